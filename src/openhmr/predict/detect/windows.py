"""Parts of a picture that detectors look at one by one."""

import numpy as np
from numpy.typing import NDArray

STEP = 2 / 3
"""From one part to the next, in sides: nothing that is small in them is cut by all."""


def parts(image: NDArray[np.uint8], side: float) -> NDArray[np.float64]:
    """Squares ``(N,3)`` of ``side`` that overlap and cover the picture."""
    axes = []
    for length in (image.shape[1], image.shape[0]):
        count = 1 + int(np.ceil(max(length - side, 0) / (STEP * side)))
        ends = (side, length - side) if length > side else (length, 0)
        axes.append((ends[0] / 2 + np.linspace(0, ends[1], count)) - 0.5)
    return np.array([(x, y, side) for y in axes[1] for x in axes[0]])


def inside(boxes: NDArray, part: NDArray, edge: float, image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which ``boxes (K,4)`` are not within ``edge`` pixels of an edge of the square
    ``part`` that lies in the picture, where they may be cut off."""
    size = np.array([image.shape[1], image.shape[0]])
    low, high = part[:2] - part[2] / 2, part[:2] + part[2] / 2
    cut_low = (boxes[:, :2] < low + edge) & (low > edge)
    cut_high = (boxes[:, :2] + boxes[:, 2:] > high - edge) & (high < size - edge)
    return ~(cut_low | cut_high).any(1)
