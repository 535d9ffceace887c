"""Pinhole projection. Camera axes x right, y down, z forward; units of length are the caller's and stay."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def world2cam(points: NDArray, R: NDArray, t: ArrayLike) -> NDArray:
    """``R X + t`` for ``points (..., 3)`` and a world-to-camera transform ``R (3, 3)``, ``t (3,)``."""
    return points @ R.T + np.asarray(t)


def cam2pixel(points: NDArray, focal_px: ArrayLike, principal_px: ArrayLike) -> NDArray:
    """Project ``points (..., 3)`` to ``(u, v, depth)`` with ``focal_px (2,)`` and ``principal_px (2,)`` in
    pixels."""
    xy = points[..., :2] / points[..., 2:] * np.asarray(focal_px) + np.asarray(principal_px)
    return np.concatenate([xy, points[..., 2:]], axis=-1)


def pixel2cam(pixels: NDArray, focal_px: ArrayLike, principal_px: ArrayLike) -> NDArray:
    """Inverse of :func:`cam2pixel`: ``(..., 3)`` holding pixel x, pixel y and depth, to camera
    coordinates."""
    xy = (pixels[..., :2] - np.asarray(principal_px)) / np.asarray(focal_px) * pixels[..., 2:]
    return np.concatenate([xy, pixels[..., 2:]], axis=-1)


def gaze_rotation(x: NDArray, y: NDArray) -> NDArray[np.float64]:
    """Shortest rotation ``(...,3,3)`` that turns the ray ``(x, y, 1)`` (each ``(...)``) onto the optical axis
    ``(0, 0, 1)``."""
    length = np.sqrt(1 + x * x + y * y)
    x, y, z = x / length, y / length, 1 / length
    rows = [1 - x * x / (1 + z), -x * y / (1 + z), -x, -x * y / (1 + z), 1 - y * y / (1 + z), -y, x, y, z]
    return np.stack(rows, -1).reshape(*np.shape(x), 3, 3)
