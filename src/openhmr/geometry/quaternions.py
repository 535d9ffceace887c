"""Rotations as unit quaternions ``(..., 4)``, w first: what paths of rotations are computed with."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Quaternions = NDArray[np.float64]


def exp(axis_angle: ArrayLike) -> Quaternions:
    """Quaternions ``(..., 4)`` of axis-angle vectors ``(..., 3)`` in radians."""
    half = np.asarray(axis_angle, np.float64) / 2
    angle = np.linalg.norm(half, axis=-1, keepdims=True)
    # sinc's argument counts in pi; at 0 it is 1.
    return np.concatenate([np.cos(angle), half * np.sinc(angle / np.pi)], -1)


def log(q: Quaternions) -> NDArray[np.float64]:
    """Axis-angle vectors ``(..., 3)`` with angles in [0, pi] of quaternions ``(..., 4)``."""
    sine = np.linalg.norm(q[..., 1:], axis=-1, keepdims=True)
    cosine = q[..., :1]
    half = np.arctan2(sine, np.abs(cosine)) * np.where(cosine < 0, -1, 1)
    return q[..., 1:] * np.divide(2 * half, sine, out=np.full_like(half, 2), where=sine > 0)


def multiply(a: Quaternions, b: Quaternions) -> Quaternions:
    """``a`` after ``b``, ``(..., 4)``."""
    p, x, y, z = np.moveaxis(a, -1, 0)
    q, u, v, w = np.moveaxis(b, -1, 0)
    return np.stack(
        [
            p * q - x * u - y * v - z * w,
            p * u + x * q + y * w - z * v,
            p * v - x * w + y * q + z * u,
            p * w + x * v - y * u + z * q,
        ],
        -1,
    )


def inverse(q: Quaternions) -> Quaternions:
    """The rotation back, ``(..., 4)``."""
    return q * np.array([1.0, -1, -1, -1])


def rotate(q: Quaternions, vectors: ArrayLike) -> NDArray[np.float64]:
    """Vectors ``(..., 3)`` turned by ``q (..., 4)``."""
    v, axis = np.asarray(vectors, np.float64), q[..., 1:]
    t = 2 * np.cross(axis, v)
    return v + q[..., :1] * t + np.cross(axis, t)


def between(a: Quaternions, b: Quaternions) -> NDArray[np.float64]:
    """Angles ``(...)`` in [0, pi] by which rotations differ."""
    return 2 * np.arccos(np.minimum(np.abs((a * b).sum(-1)), 1))


def slerp(a: Quaternions, b: Quaternions, share: ArrayLike) -> Quaternions:
    """Rotations ``(..., 4)`` on the shortest way from ``a`` (share 0) to ``b`` (share 1), at constant
    speed."""
    way = log(multiply(inverse(a), b))
    return multiply(a, exp(np.asarray(share)[..., None] * way))


def one_hemisphere(path: Quaternions) -> Quaternions:
    """``path (T,...,4)`` with signs such that neighbours in time are less than half a turn apart, so that
    whoever interpolates the numbers takes the shorter way."""
    dots = np.sum(path[1:] * path[:-1], -1, keepdims=True)
    flips = np.cumprod(np.where(dots < 0, -1.0, 1.0), axis=0)
    return np.concatenate([path[:1], path[1:] * flips])
