"""Rotations as three turns about axes, batch axes in front, radians."""

import numpy as np
from numpy.typing import NDArray

_STRAIGHT = 1e-6
"""Cosine (sine, for proper Euler angles) of the middle angle below which only the sum of the others is
known."""


def cardan_zxy(matrix: NDArray) -> NDArray[np.float64]:
    """Angles ``(...,3)`` about z, the turned x and the twice turned y whose turns make ``matrix (...,3,3)``:
    ``R = Rz Rx Ry``, the middle one in [-pi/2, pi/2]; where that is upright, the third is 0."""
    m = np.asarray(matrix, np.float64)
    cosine = np.hypot(m[..., 0, 1], m[..., 1, 1])
    free = cosine > _STRAIGHT
    first = np.where(free, np.arctan2(-m[..., 0, 1], m[..., 1, 1]), np.arctan2(m[..., 1, 0], m[..., 0, 0]))
    third = np.where(free, np.arctan2(-m[..., 2, 0], m[..., 2, 2]), 0.0)
    return np.stack([first, np.arctan2(m[..., 2, 1], cosine), third], -1)


def euler_yxy(matrix: NDArray) -> NDArray[np.float64]:
    """Angles ``(...,3)`` with ``R = Ry Rx Ry`` of ``matrix (...,3,3)``, the middle one in [-pi, 0]; where
    that is 0 or -pi, the first is 0."""
    m = np.asarray(matrix, np.float64)
    sine = np.hypot(m[..., 1, 0], m[..., 1, 2])
    free = sine > _STRAIGHT
    first = np.where(free, np.arctan2(-m[..., 0, 1], -m[..., 2, 1]), 0.0)
    third = np.where(free, np.arctan2(-m[..., 1, 0], m[..., 1, 2]), np.arctan2(m[..., 0, 2], m[..., 0, 0]))
    return np.stack([first, -np.arctan2(sine, m[..., 1, 1]), third], -1)


def steady_zxy(angles: NDArray) -> NDArray[np.float64]:
    """``angles (T,...,3)`` of :func:`cardan_zxy` over time, without leaps: each frame as the one of its two
    forms, and with the whole turns, that lie nearest to the frame before."""
    out = np.array(angles, np.float64)
    for before, now in zip(out, out[1:], strict=False):
        other = now + (np.pi, 0, np.pi)
        other[..., 1] = np.pi - now[..., 1]
        forms = np.stack([now, other])
        forms -= 2 * np.pi * np.round((forms - before) / (2 * np.pi))
        nearer = np.abs(forms - before).sum(-1, keepdims=True)
        now[:] = np.where(nearer[1] < nearer[0], forms[1], forms[0])
    return out
