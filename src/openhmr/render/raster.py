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


@dataclass(frozen=True, eq=False)
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

    ``K (3,3)`` projects to pixel coordinates whose integers are pixel centres, as everywhere (see
    :class:`~openhmr.camera.Camera`): a pixel shows what its centre sees. Triangles are seen from the side on
    which their corners run counter-clockwise; back faces are skipped.
    """
    height, width = size
    z = vertices[:, 2].astype(np.float64)
    safe = np.maximum(z, NEAR_M)
    x, y = (K[i, i] * vertices[:, i] / safe + K[i, 2] for i in (0, 1))
    fx, fy, fz = (values.take(faces.T) for values in (x, y, z))  # (3,F): long rows are quick
    area = (fx[1] - fx[0]) * (fy[2] - fy[0]) - (fx[2] - fx[0]) * (fy[1] - fy[0])
    # Image axes have y down, so what the eye sees run counter-clockwise has negative area.
    ids = np.flatnonzero((area < 0) & (_least(fz) > NEAR_M))
    fx, fy, fz, area = fx[:, ids], fy[:, ids], fz[:, ids], area[ids]
    # Pixel range [low, high) of each triangle, clipped to the image before it becomes an integer.
    x0, y0 = (np.ceil(np.clip(_least(f), 0, n)).astype(int) for f, n in ((fx, width), (fy, height)))
    x1, y1 = (
        np.floor(np.clip(-_least(-f), -1, n - 1)).astype(int) + 1 for f, n in ((fx, width), (fy, height))
    )
    hit = np.flatnonzero((x1 > x0) & (y1 > y0))
    table = _edge_functions(fx[:, hit], fy[:, hit], fz[:, hit], area[hit])
    return _resolve(ids[hit], table, np.stack([x0, y0, x1 - x0, y1 - y0], -1)[hit], size)


def _least(corners: NDArray) -> NDArray:
    return np.minimum(np.minimum(corners[0], corners[1]), corners[2])


def _edge_functions(x: NDArray, y: NDArray, z: NDArray, area: NDArray) -> NDArray[np.float32]:
    """Rows ``(x_a, y_a, d1x, d1y, d2x, d2y, 1/z_a, 1/z_b, 1/z_c)`` of triangles with corners ``(3,F)``, where
    ``d1`` and ``d2`` are the screen gradients of the second and third barycentric coordinate."""
    d1x, d1y = (y[2] - y[0]) / area, -(x[2] - x[0]) / area
    d2x, d2y = -(y[1] - y[0]) / area, (x[1] - x[0]) / area
    return np.stack([x[0], y[0], d1x, d1y, d2x, d2y, *(1 / z)]).astype(np.float32)


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
        tri = np.repeat(np.arange(part.start, part.stop, dtype=np.int32), counts[part])
        px, py = _candidates(counts[part], boxes[part].astype(np.int32))
        xa, ya, d1x, d1y, d2x, d2y = table[:6].take(tri, axis=1)
        # float32 throughout: what is compared with the z-buffer must have its precision.
        dx, dy = px - xa, py - ya
        b1, b2 = d1x * dx + d1y * dy, d2x * dx + d2y * dy
        inside = np.flatnonzero((b1 >= -_MARGIN) & (b2 >= -_MARGIN) & (b1 + b2 <= 1 + _MARGIN))
        tri, b1, b2 = tri[inside], b1[inside], b2[inside]
        pixel = py[inside].astype(np.int64) * size[1] + px[inside].astype(np.int64)
        weights = np.stack([1 - b1 - b2, b1, b2]) * table[6:].take(tri, axis=1)
        inverse = weights[0] + weights[1] + weights[2]
        np.maximum.at(nearest, pixel, inverse)
        won = np.flatnonzero(inverse >= nearest[pixel])
        kept.append((pixel[won], tri[won], weights[:, won].T, inverse[won]))
    if not kept:
        none = np.zeros(0, np.int64)
        return Fragments(none, none, np.zeros((0, 3), np.float32), np.zeros(0, np.float32))
    pixel, tri, weights, inverse = (np.concatenate(part) for part in zip(*kept, strict=True))
    last = np.flatnonzero(inverse >= nearest[pixel])  # later chunks may have been nearer
    winner = np.full(len(nearest), -1)
    winner[pixel[last]] = last  # shared edges win twice: one of them stays
    last = winner[winner >= 0]
    barycentric = np.clip(weights[last] / inverse[last, None], 0, 1)
    return Fragments(pixel[last], ids[tri[last]], barycentric, (1 / inverse[last]).astype(np.float32))


def _candidates(counts: NDArray, boxes: NDArray[np.int32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """x and y of all pixels in ``boxes (F,4)`` (x, y, width, height), one box after the other."""
    first = (np.cumsum(counts) - counts).astype(np.int32)
    index = np.arange(counts.sum(), dtype=np.int32) - np.repeat(first, counts)
    x, y, wide = (np.repeat(boxes[:, k], counts) for k in range(3))
    row = index // wide
    return (x + index - row * wide).astype(np.float32), (y + row).astype(np.float32)
