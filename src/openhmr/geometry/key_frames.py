"""Rotations as key frames of animations hold them: unit quaternions (x, y, z, w)."""

import numpy as np
from numpy.typing import NDArray

_PARALLEL = 1 - 1e-9


def quaternions(axis_angle: NDArray) -> NDArray[np.float64]:
    """``(...,4)`` of rotations ``axis_angle (...,3)`` in radians."""
    v = np.asarray(axis_angle, np.float64)
    half = np.linalg.norm(v, axis=-1, keepdims=True) / 2
    # sin(h) / 2 h, through numpy's sin(pi x) / (pi x), which knows 0.
    return np.concatenate([v * np.sinc(half / np.pi) / 2, np.cos(half)], -1)


def axis_angles(quaternion: NDArray) -> NDArray[np.float64]:
    """The inverse of :func:`quaternions`: ``(...,4)`` to ``(...,3)``, angles in [0, pi]."""
    q = np.where(quaternion[..., 3:] < 0, -quaternion, quaternion)
    sine = np.linalg.norm(q[..., :3], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, q[..., 3:])
    return q[..., :3] * np.divide(angle, sine, out=np.full_like(angle, 2.0), where=sine > 0)


def one_hemisphere(path: NDArray) -> NDArray:
    """``path (T,...,4)`` with signs such that neighbours in time are less than half a turn apart, so that
    what lies between them is found along the shorter way."""
    dots = np.sum(path[1:] * path[:-1], -1, keepdims=True)
    flips = np.cumprod(np.where(dots < 0, -1.0, 1.0), axis=0)
    return np.concatenate([path[:1], path[1:] * flips])


def slerp(a: NDArray, b: NDArray, share: NDArray) -> NDArray[np.float64]:
    """From ``a`` to ``b (...,4)`` along the shorter great circle by ``share (...)`` of the way (Shoemake
    1985)."""
    dot = np.sum(a * b, -1, keepdims=True)
    b, dot = np.where(dot < 0, -b, b), np.abs(dot)
    angle = np.arccos(np.clip(dot, 0, _PARALLEL))
    share = np.asarray(share, np.float64)[..., None]
    out = np.sin((1 - share) * angle) * a + np.sin(share * angle) * b
    return out / np.linalg.norm(out, axis=-1, keepdims=True)
