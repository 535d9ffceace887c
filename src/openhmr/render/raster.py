"""A z-buffer in NumPy: which triangle, and which point of it, each pixel shows."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NEAR_M = 0.05
"""Triangles that reach nearer than this are left out (there is no clipping)."""

_CHUNK = 1 << 20
"""Candidate pixels examined at once; bounds memory."""

_MARGIN = 1e-4
"""Barycentric tolerance, so that rounding opens no gaps between neighbours; the z-buffer settles who wins."""


@dataclass(frozen=True)
class Fragments:
    """The visible pixels of a scene: ``pixel (P,)`` flat indices, ``face (P,)``, perspective-correct
    ``barycentric (P,3)`` and ``depth (P,)`` in metres."""

    pixel: NDArray[np.int64]
    face: NDArray[np.int64]
    barycentric: NDArray[np.float32]
    depth: NDArray[np.float32]


def rasterise(vertices: NDArray, faces: NDArray, K: NDArray, size: tuple[int, int]) -> Fragments:
    """Visible fragments of ``faces (F,3)`` on ``vertices (V,3)`` (camera axes, metres) in an image of ``size
    (height, width)``.

    ``K (3,3)`` projects to pixel coordinates whose integers are pixel *corners*: centres lie at 0.5.
    Triangles are seen from the side on which their corners run counter-clockwise; back faces are skipped.
    """
    height, width = size
    z = vertices[:, 2].astype(np.float64)
    safe = np.maximum(z, NEAR_M)
    x, y = (K[i, i] * vertices[:, i] / safe + K[i, 2] - 0.5 for i in (0, 1))
    fx, fy, fz = x[faces], y[faces], safe[faces]
    area = (fx[:, 1] - fx[:, 0]) * (fy[:, 2] - fy[:, 0]) - (fx[:, 2] - fx[:, 0]) * (fy[:, 1] - fy[:, 0])
    # Pixel range [low, high) of each triangle, clipped to the image before it becomes an integer.
    x0, y0 = (
        np.ceil(np.clip(fx.min(1), 0, width)).astype(int),
        np.ceil(np.clip(fy.min(1), 0, height)).astype(int),
    )
    x1 = np.floor(np.clip(fx.max(1), -1, width - 1)).astype(int) + 1
    y1 = np.floor(np.clip(fy.max(1), -1, height - 1)).astype(int) + 1
    # Image axes have y down, so what the eye sees run counter-clockwise has negative area.
    seen = (area < 0) & (x1 > x0) & (y1 > y0) & (z[faces].min(1) > NEAR_M)
    ids = np.flatnonzero(seen)
    table = _edge_functions(fx[ids], fy[ids], fz[ids], area[ids])
    return _resolve(ids, table, np.stack([x0, y0, x1 - x0, y1 - y0], -1)[ids], size)


def _edge_functions(x: NDArray, y: NDArray, z: NDArray, area: NDArray) -> NDArray[np.float32]:
    """Rows ``(x_a, y_a, d1x, d1y, d2x, d2y, 1/z_a, 1/z_b, 1/z_c)`` of each triangle, where ``d1`` and ``d2``
    are the screen gradients of the second and third barycentric coordinate."""
    d1x, d1y = (y[:, 2] - y[:, 0]) / area, -(x[:, 2] - x[:, 0]) / area
    d2x, d2y = -(y[:, 1] - y[:, 0]) / area, (x[:, 1] - x[:, 0]) / area
    return np.stack([x[:, 0], y[:, 0], d1x, d1y, d2x, d2y, *(1 / z).T]).astype(np.float32)


def _chunks(counts: NDArray) -> Iterator[slice]:
    """Slices of consecutive triangles with about ``_CHUNK`` candidate pixels together."""
    total = np.cumsum(counts)
    start = 0
    while start < len(counts):
        base = total[start - 1] if start else 0
        stop = max(int(np.searchsorted(total, base + _CHUNK, side="right")), start + 1)
        yield slice(start, stop)
        start = stop


def _resolve(ids: NDArray, table: NDArray, boxes: NDArray, size: tuple[int, int]) -> Fragments:
    nearest = np.zeros(size[0] * size[1], np.float32)  # largest 1/z so far
    kept = []
    counts = boxes[:, 2] * boxes[:, 3]
    for part in _chunks(counts):
        n, box = counts[part], boxes[part]
        tri = np.repeat(np.arange(part.start, part.stop, dtype=np.int32), n)
        index = np.arange(len(tri), dtype=np.int32) - np.repeat((np.cumsum(n) - n).astype(np.int32), n)
        wide = np.repeat(box[:, 2].astype(np.int32), n)
        row = index // wide
        px = np.repeat(box[:, 0].astype(np.int32), n) + index - row * wide
        py = np.repeat(box[:, 1].astype(np.int32), n) + row
        xa, ya, d1x, d1y, d2x, d2y = table[:6, tri]
        # float32 throughout: what is compared with the z-buffer must have its precision.
        dx, dy = px.astype(np.float32) - xa, py.astype(np.float32) - ya
        b1, b2 = d1x * dx + d1y * dy, d2x * dx + d2y * dy
        inside = np.flatnonzero((b1 >= -_MARGIN) & (b2 >= -_MARGIN) & (b1 + b2 <= 1 + _MARGIN))
        tri, pixel, b1, b2 = (
            tri[inside],
            (py[inside].astype(np.int64) * size[1] + px[inside]),
            b1[inside],
            b2[inside],
        )
        weights = np.stack([1 - b1 - b2, b1, b2]) * table[6:, tri]
        inverse = weights[0] + weights[1] + weights[2]
        np.maximum.at(nearest, pixel, inverse)
        won = np.flatnonzero(inverse >= nearest[pixel])
        kept.append((pixel[won], tri[won], weights[:, won].T, inverse[won]))
    if not kept:
        return Fragments(
            np.zeros(0, int), np.zeros(0, int), np.zeros((0, 3), np.float32), np.zeros(0, np.float32)
        )
    pixel, tri, weights, inverse = (np.concatenate(part) for part in zip(*kept, strict=True))
    last = np.flatnonzero(inverse >= nearest[pixel])  # later chunks may have been nearer
    _, first = np.unique(pixel[last], return_index=True)  # shared edges win twice
    last = last[first]
    barycentric = np.clip(weights[last] / inverse[last, None], 0, 1)
    return Fragments(pixel[last], ids[tri[last]], barycentric, (1 / inverse[last]).astype(np.float32))
