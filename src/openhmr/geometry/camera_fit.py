"""Where a person stands: the translation that makes a root-relative 3D pose fit its 2D pose, in closed form plus a few steps."""

import numpy as np
from numpy.typing import NDArray

DEFAULT_FIELD_OF_VIEW = np.radians(55.0)
"""Horizontal to vertical fields of view of phones and cameras lie between 40 and 75 degrees along the longer side."""
ROBUST_STEPS = 4
NEAREST_M = 0.3


def intrinsics(focal_px: float, image_size: tuple[int, int]) -> NDArray:
    """``K (3,3)`` of a camera with square pixels and its principal point in the middle of ``image_size`` (height, width)."""
    height, width = image_size
    return np.array([[focal_px, 0, width / 2], [0, focal_px, height / 2], [0, 0, 1]], np.float64)


def default_focal(image_size: tuple[int, int]) -> float:
    """Focal length (pixels) that gives the longer side of ``image_size`` :data:`DEFAULT_FIELD_OF_VIEW`."""
    return max(image_size) / (2 * np.tan(DEFAULT_FIELD_OF_VIEW / 2))


def weak_perspective(points: NDArray, pixels: NDArray, weights: NDArray) -> tuple[NDArray, NDArray]:
    """Scale ``s (...)`` px/m and shift ``t (...,2)`` px such that ``s X + t`` is nearest to ``pixels`` (weighted least squares).

    ``points (...,J,3)`` metres, ``pixels (...,J,2)``, ``weights (...,J)`` of which at least two are positive.
    """
    w = weights[..., None] / weights.sum(-1)[..., None, None]
    xy = points[..., :2]
    mean_xy, mean_px = (w * xy).sum(-2, keepdims=True), (w * pixels).sum(-2, keepdims=True)
    a, b = xy - mean_xy, pixels - mean_px
    s = (w * a * b).sum((-1, -2)) / np.maximum((w * a * a).sum((-1, -2)), 1e-12)
    return s, mean_px[..., 0, :] - s[..., None] * mean_xy[..., 0, :]


def fit_translation(points: NDArray, pixels: NDArray, weights: NDArray, K: NDArray) -> NDArray:
    """Translation ``(...,3)`` metres that places ``points (...,J,3)`` so that they project onto ``pixels (...,J,2)`` under ``K``.

    The projection equations are linear in the translation; each is divided by the depth found before, so that errors are
    pixels, and weighted by a Geman-McClure factor of its residual, so that one wild joint does not move a person (ours).
    """
    focal, centre = np.array([K[0, 0], K[1, 1]]), K[:2, 2]
    rays = (pixels - centre) / focal
    s, _ = weak_perspective(points, pixels, weights)
    # A mirrored fit (s <= 0) says nothing of the depth: start from the spread instead.
    spread = np.linalg.norm(points[..., :2].std(-2), axis=-1) / np.maximum(np.linalg.norm(rays.std(-2), axis=-1), 1e-9)
    depth = np.where(s > 0, focal.mean() / np.maximum(s, 1e-9), spread)
    t = np.zeros((*points.shape[:-2], 3))
    robust = weights.astype(np.float64)
    for _ in range(ROBUST_STEPS):
        z = np.maximum(points[..., 2] + depth[..., None], NEAREST_M)
        scale = robust / z**2
        # x + tx - u (z + tz) = 0 and the same for y: normal equations of three unknowns.
        u, v = rays[..., 0], rays[..., 1]
        rx, ry = u * points[..., 2] - points[..., 0], v * points[..., 2] - points[..., 1]
        total = scale.sum(-1)
        su, sv, suu = (scale * u).sum(-1), (scale * v).sum(-1), (scale * (u * u + v * v)).sum(-1)
        bx, by = (scale * rx).sum(-1), (scale * ry).sum(-1)
        bz = -(scale * (u * rx + v * ry)).sum(-1)
        # Eliminate tx = (bx + su tz)/total and ty likewise.
        denominator = np.maximum(suu - (su * su + sv * sv) / total, 1e-12)
        tz = (bz + (su * bx + sv * by) / total) / denominator
        tz = np.maximum(tz, NEAREST_M - points[..., 2].min(-1))
        t = np.stack([(bx + su * tz) / total, (by + sv * tz) / total, tz], -1)
        depth = tz
        placed = points + t[..., None, :]
        residual = np.linalg.norm(placed[..., :2] / np.maximum(placed[..., 2:], NEAREST_M) - rays, axis=-1)
        typical = np.maximum(np.median(residual, -1, keepdims=True), 1e-6) * 2.5
        robust = weights / (1 + (residual / typical) ** 2) ** 2
    return t
