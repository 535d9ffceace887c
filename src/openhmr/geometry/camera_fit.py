"""Placing a root-relative 3D pose before a camera, from its 2D pose: closed form, then a few robust steps."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from openhmr.errors import InputError

NUMBER = int | float | np.integer | np.floating

FIELD_OF_VIEW = np.deg2rad(52.0)
"""Over the longer image side, when nothing is known: ours; a 35 mm equivalent of 37 mm, between a phone's
wide main camera (about 70 degrees) and Human3.6M's (47 degrees)."""

SHORTEST_FOCAL = 0.1
"""Of the longer image side: a field of view of 157 degrees, wider than any lens that draws straight lines."""

NEAR_M = 0.3
"""No point of the pose may come nearer to the camera than this."""

_ROUNDS = 10
"""Forgets an outlier of 1000 px to machine precision; without one, 3 would do."""

_CAUCHY = 2.385 / 1.1774
"""95 %-efficiency constant of Cauchy's weight, over the median length of a 2D normal error of unit
deviation."""


def assumed_image_size(pose2d: NDArray) -> tuple[int, int]:
    """``(height, width)`` of a picture in whose middle the people ``(N,J,3)`` (x, y, confidence) stand
    (ours)."""
    xy = pose2d[pose2d[..., 2] > 0, :2]
    low, high = xy.min(0), xy.max(0)
    # Margins on the right and below equal those on the left and above; at least a tenth of the people's
    # extent.
    margin = np.maximum(low, 0.1 * (high - low).max())
    width, height = np.ceil(high + margin).astype(int)
    return max(int(height), 1), max(int(width), 1)


def intrinsics(image_size: tuple[int, int], focal_px: float | None = None) -> NDArray[np.float64]:
    """``K (3,3)`` with the principal point in the image centre; without focal length, of 52 degrees over the
    longer side.

    Raises :class:`InputError` for a focal length that no camera has, and for what is no size.
    """
    sized = (
        isinstance(image_size, tuple | list | np.ndarray)
        and len(image_size) == 2
        and all(isinstance(n, NUMBER) for n in image_size)
    )
    if not sized or not all(1 <= n <= 1e5 for n in image_size):
        raise InputError(
            f"image_size is {image_size!r}; (height, width) of the picture is needed, each 1 to 100,000 "
            f"pixels"
        )
    height, width = image_size
    shortest = SHORTEST_FOCAL * max(height, width)
    if focal_px is not None and not (isinstance(focal_px, NUMBER) and shortest <= focal_px <= 1e5):
        given = f"focal length is {focal_px}; in a picture of {width} x {height} pixels"
        raise InputError(
            f"{given} it must lie between {shortest:.0f} and 100,000 pixels: leave it out if unknown"
        )
    focal = focal_px if focal_px is not None else 0.5 * max(height, width) / np.tan(0.5 * FIELD_OF_VIEW)
    return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])


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
