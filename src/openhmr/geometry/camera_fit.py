"""Placing a root-relative 3D pose before a camera, from its 2D pose: closed form, then a few robust steps."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

NEAR_M = 0.3
"""No point of the pose may come nearer to the camera than this."""

_ROUNDS = 10
"""Forgets an outlier of 1000 px to machine precision; without one, 3 would do."""

_CAUCHY = 2.385 / 1.1774
"""95 %-efficiency constant of Cauchy's weight, over the median length of a 2D normal error of unit
deviation."""


def fit_weak_perspective(points: ArrayLike, pixels: ArrayLike, weights: ArrayLike) -> tuple[NDArray, NDArray]:
    """Scale ``s (...)`` (px per metre, > 0) and shift ``t_px (...,2)`` that minimise the sum of ``w |s P_xy +
    t - p|^2``.

    ``points (...,J,3)`` metres in camera axes, ``pixels (...,J,2)``, ``weights (...,J)`` >= 0, not all zero.
    Weighted least squares in closed form; where that scale is not positive (the poses contradict each other),
    the ratio of spreads is.
    """
    xy, p, w = (
        np.asarray(points, np.float64)[..., :2],
        np.asarray(pixels, np.float64),
        np.asarray(weights, np.float64)[..., None],
    )
    total = w.sum(-2, keepdims=True)
    xy_mean, p_mean = (w * xy).sum(-2, keepdims=True) / total, (w * p).sum(-2, keepdims=True) / total
    a, b = xy - xy_mean, p - p_mean
    covariance, variance = (w * a * b).sum((-1, -2)), np.maximum((w * a * a).sum((-1, -2)), 1e-12)
    spread = np.sqrt((w * b * b).sum((-1, -2)) / variance)
    s = np.where(covariance > 0.1 * spread * variance, covariance / variance, np.maximum(spread, 1e-9))
    return s, (p_mean - s[..., None, None] * xy_mean)[..., 0, :]


def fit_translation(
    points: ArrayLike, pixels: ArrayLike, weights: ArrayLike, K: NDArray
) -> NDArray[np.float64]:
    """``t (...,3)`` metres such that ``points + t`` project onto ``pixels`` through ``K``; robust to
    outliers.

    ``points (...,J,3)`` metres in camera axes, ``pixels (...,J,2)``, ``weights (...,J)`` in [0, 1]. Starts
    from the linear least-squares solution of ``X + tx = u (Z + tz)`` (direct linear transform), or from the
    weak perspective where that puts a point behind the camera; then Gauss-Newton on the reprojection error
    with Cauchy weights ``1 / (1 + (r/c)^2)``, whose ``c`` follows the median residual (Huber's, tried first,
    needs twice the rounds to forget a wild outlier). Every point ends at least ``NEAR_M`` before the camera.
    """
    P, w = np.asarray(points, np.float64), np.asarray(weights, np.float64)
    focal = np.array([K[0, 0], K[1, 1]])
    uv = (np.asarray(pixels, np.float64) - K[:2, 2]) / focal
    nearest = NEAR_M - P[..., 2].min(-1)
    t = _solve_linear(P, uv, w)
    behind = t[..., 2] < nearest
    if behind.any():
        s, shift = fit_weak_perspective(P, uv, w)
        t = np.where(
            behind[..., None], np.concatenate([shift, np.ones_like(s)[..., None]], -1) / s[..., None], t
        )
    t[..., 2] = np.maximum(t[..., 2], nearest)
    present = w > 0
    middle = (present.sum(-1, keepdims=True) - 1) // 2
    for _ in range(_ROUNDS):
        depth = P[..., 2] + t[..., None, 2]
        projected = (P[..., :2] + t[..., None, :2]) / depth[..., None]
        residual = uv - projected
        squared = (residual * residual).sum(-1)
        median = np.take_along_axis(np.sort(np.where(present, squared, np.inf), axis=-1), middle, -1)
        robust = w / (1 + squared / (_CAUCHY**2 * median + 1e-20)) / depth
        # Residual of the linearised problem in units of 1/depth: J = (1, 0, -u; 0, 1, -v) / depth.
        t = t + _solve(robust / depth, projected, robust[..., None] * residual)
        t[..., 2] = np.maximum(t[..., 2], nearest)
    return t


def _solve_linear(P: NDArray, uv: NDArray, w: NDArray) -> NDArray:
    return _solve(w, uv, w[..., None] * (uv * P[..., 2:] - P[..., :2]))


def _solve(w: NDArray, uv: NDArray, right: NDArray) -> NDArray:
    """Least squares for ``t`` with rows ``(1, 0, -u)`` and ``(0, 1, -v)``, weights ``w``, weighted right
    sides ``(...,J,2)``.

    The normal matrix is an arrow, so that tx and ty are eliminated by hand.
    """
    total = w.sum(-1)
    wuv = w[..., None] * uv
    mean = wuv.sum(-2) / total[..., None]
    b = right.sum(-2)
    pivot = (wuv * (uv - mean[..., None, :])).sum((-1, -2))
    tz = (-(right * (uv - mean[..., None, :])).sum((-1, -2))) / np.maximum(pivot, 1e-15)
    txy = b / total[..., None] + mean * tz[..., None]
    return np.concatenate([txy, tz[..., None]], -1)
