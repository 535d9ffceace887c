"""Boxes in pictures: x, y, width, height in pixels."""

import numpy as np
from numpy.typing import NDArray


def overlaps(boxes: NDArray, others: NDArray) -> NDArray[np.float64]:
    """Intersection over union ``(K,N)`` of ``boxes (K,4)`` and ``others (N,4)``."""
    low = np.maximum(boxes[:, None, :2], others[:, :2])
    high = np.minimum((boxes[:, :2] + boxes[:, 2:])[:, None], others[:, :2] + others[:, 2:])
    common = np.maximum(high - low, 0).prod(-1)
    either = boxes[:, 2:].prod(-1)[:, None] + others[:, 2:].prod(-1) - common
    return np.asarray(common / np.maximum(either, 1e-9))
