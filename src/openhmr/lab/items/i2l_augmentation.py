"""The random draws of I2L-MeshNet's training, call for call as the original makes them.

Source: docs/originals/i2l_meshnet.md, "Augmentation".
"""

import random
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import RandomState

SCALE, ROTATION_DEG, COLOUR = 0.25, 30.0, 0.2
ROTATED, FLIPPED = 0.6, 0.5
"""How often."""


@dataclass(frozen=True)
class Augmentation:
    """Enlargement of the box, turn in the image plane, factor per colour channel, mirroring. The default
    changes nothing."""

    scale: float = 1.0
    rotation_deg: float = 0.0
    colour: tuple[float, float, float] = (1.0, 1.0, 1.0)
    flip: bool = False


def draw_augmentation(
    flips: bool, rng: RandomState | None = None, picker: random.Random | None = None
) -> Augmentation:
    """One draw; ``flips`` is False for hands, which are all right ones.

    Without generators NumPy's and Python's global ones are used, as in the original; the order of the calls
    is part of the contract.
    """
    # Both modules have the methods of their generators.
    normal: Any = rng if rng is not None else np.random
    uniform: Any = picker if picker is not None else random
    scale = float(np.clip(normal.randn(), -1, 1)) * SCALE + 1
    rotation = float(np.clip(normal.randn(), -2, 2)) * ROTATION_DEG if uniform.random() <= ROTATED else 0.0
    red, green, blue = (uniform.uniform(1 - COLOUR, 1 + COLOUR) for _ in range(3))
    return Augmentation(scale, rotation, (red, green, blue), flips and uniform.random() <= FLIPPED)
