"""Similarity Procrustes alignment (Umeyama 1991), batch axes in front."""

import numpy as np
from numpy.typing import NDArray


def similarity_transform(a: NDArray, b: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Scale ``c (...)``, rotation ``R (..., 3, 3)`` and translation ``t (..., 3)`` that bring ``c R a + t``
    closest to ``b``.

    Both are ``(..., N, 3)`` in one unit; see :func:`scale_and_rotation`.
    """
    mean_a, mean_b = a.mean(axis=-2, keepdims=True), b.mean(axis=-2, keepdims=True)
    covariance = np.swapaxes(a - mean_a, -1, -2) @ (b - mean_b) / a.shape[-2]
    c, R = scale_and_rotation(covariance, a.var(axis=-2).sum(axis=-1))
    t = mean_b[..., 0, :] - c[..., None] * (R @ mean_a[..., 0, :, None])[..., 0]
    return c, R, t


def scale_and_rotation(covariance: NDArray, variance: NDArray) -> tuple[NDArray, NDArray]:
    """Scale ``c (...)`` and rotation ``R (..., 3, 3)`` of points a onto points b, from the mean of ``a b^T``
    ``(..., 3, 3)`` and of ``|a|^2`` ``(...)``, both about the points' means.

    R is a rotation, never a reflection: when the best orthogonal map reflects, the axis of the smallest
    singular value is turned, and the scale counts that value as negative. If all points of a coincide the
    scale is nan.
    """
    u, s, vt = np.linalg.svd(covariance)
    sign = np.where(np.linalg.det(u) * np.linalg.det(vt) < 0, -1, 1).astype(s.dtype)
    vt = np.concatenate([vt[..., :2, :], vt[..., 2:, :] * sign[..., None, None]], axis=-2)
    R = np.swapaxes(vt, -1, -2) @ np.swapaxes(u, -1, -2)
    with np.errstate(divide="ignore", invalid="ignore"):
        c = (s[..., :2].sum(axis=-1) + s[..., 2] * sign) / variance
    return c, R


def align_similarity(a: NDArray, b: NDArray) -> NDArray:
    """``a (..., N, 3)`` moved onto ``b (..., N, 3)`` by :func:`similarity_transform`."""
    c, R, t = similarity_transform(a, b)
    return c[..., None, None] * (a @ np.swapaxes(R, -1, -2)) + t[..., None, :]
