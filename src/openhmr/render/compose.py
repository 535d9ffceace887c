"""Layers over pictures, and the blank paper under them."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

_TOP, _BOTTOM = np.array([250.0, 250, 251]), np.array([226.0, 229, 234])


def over(image: ArrayLike, layer: NDArray[np.float32]) -> NDArray[np.uint8]:
    """``layer (height, width, 4)``, colour times alpha and alpha in 0..1, over ``image``: RGB in 0..255, of
    shape ``(height, width, 3)`` or any that broadcasts to it."""
    mixed = 255 * layer[..., :3]
    mixed += (1 - layer[..., 3:]) * np.asarray(image, np.float32)
    return np.rint(np.clip(mixed, 0, 255, out=mixed), out=mixed).astype(np.uint8)


def blank(height: int, width: int) -> NDArray[np.uint8]:
    """Light grey paper ``(height, width, 3)``, a little darker towards its lower edge."""
    ramp = np.rint(_TOP + (_BOTTOM - _TOP) * np.linspace(0, 1, height)[:, None]).astype(np.uint8)
    return np.repeat(ramp[:, None], width, axis=1)


def scaling(x: float, y: float) -> NDArray[np.float64]:
    """Matrix ``(3,3)`` from pixels of a picture to those of the picture scaled by ``x`` and ``y``: as
    integers are the centres of pixels (see :class:`~openhmr.camera.Camera`), u' = x (u + 1/2) - 1/2."""
    return np.array([[x, 0, 0.5 * x - 0.5], [0, y, 0.5 * y - 0.5], [0, 0, 1]])
