"""A z-buffer in NumPy: which triangle, and which point of it, each pixel shows."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

NEAR_M = 0.05
"""Triangles that reach nearer than this are left out (there is no clipping)."""

_CHUNK = 1 << 20
"""Candidate pixels examined at once; bounds memory."""

_SMALL = 25
"""Triangles up to this many pixels wide and high can be told to be hidden."""

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


def rasterise(
    vertices: NDArray,
    faces: NDArray,
    K: NDArray,
    size: tuple[int, int],
    before: NDArray[np.float32] | None = None,
) -> Fragments:
    """Visible fragments of ``faces (F,3)`` on ``vertices (V,3)`` (camera axes, metres) in an image of ``size
    (height, width)``.

    ``K (3,3)`` projects to pixel coordinates whose integers are pixel centres, as everywhere (see
    :class:`~openhmr.camera.Camera`): a pixel shows what its centre sees. Triangles are seen from the side on
    which their corners run counter-clockwise; back faces are skipped. So is what
    ``before (height, width)``, the depth in metres of what has been drawn (infinity: nothing), hides.
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
    if before is not None:
        hit = hit[_least(fz[:, hit]) <= _farthest(before, x0[hit], y0[hit], x1[hit], y1[hit])]
    boxes = np.stack([x0, y0, x1 - x0, y1 - y0])[:, hit]
    table = _edge_functions(fx[:, hit] - boxes[0], fy[:, hit] - boxes[1], fz[:, hit], area[hit])
    return _resolve(ids[hit], table, boxes, size, before)


def _farthest(depth: NDArray[np.float32], x0: NDArray, y0: NDArray, x1: NDArray, y1: NDArray) -> NDArray:
    """At least the greatest ``depth`` in each of the boxes from (x0, y0) to before (x1, y1): infinity in
    large ones."""
    around = cv2.dilate(depth, np.ones((_SMALL, _SMALL), np.uint8))
    small = np.maximum(x1 - x0, y1 - y0) <= _SMALL
    return np.where(small, around[(y0 + y1) // 2, (x0 + x1) // 2], np.inf)


def _least(corners: NDArray) -> NDArray:
    return np.minimum(np.minimum(corners[0], corners[1]), corners[2])


def _edge_functions(x: NDArray, y: NDArray, z: NDArray, area: NDArray) -> NDArray[np.float64]:
    """Rows ``(b1, d1x, d1y, b2, d2x, d2y, 1/z_a, 1/z_b, 1/z_c)`` of triangles with corners ``(3,F)``: the
    second and third barycentric coordinate at the origin, each with its gradient."""
    d1x, d1y = (y[2] - y[0]) / area, -(x[2] - x[0]) / area
    d2x, d2y = -(y[1] - y[0]) / area, (x[1] - x[0]) / area
    b1, b2 = -d1x * x[0] - d1y * y[0], -d2x * x[0] - d2y * y[0]
    return np.stack([b1, d1x, d1y, b2, d2x, d2y, *(1 / z)])


def _scanlines(table: NDArray, boxes: NDArray) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Rows of pixels in triangles: ``triangle (R,)``, picture row ``y (R,)``, first column ``x (R,)`` and
    ``count (R,)`` of pixels, each with its centre in the triangle."""
    triangle = np.repeat(np.arange(boxes.shape[1]), boxes[3])
    above = np.arange(len(triangle)) - np.repeat(np.cumsum(boxes[3]) - boxes[3], boxes[3])
    b1, d1x, d1y, b2, d2x, d2y = table[:6].take(triangle, axis=1)
    b1, b2 = b1 + d1y * above, b2 + d2y * above
    low, high = np.zeros(len(triangle)), boxes[2][triangle] - 1.0
    # Each barycentric coordinate, v + g x, must be at least 0.
    for v, g in ((b1, d1x), (b2, d2x), (1 - b1 - b2, -d1x - d2x)):
        v = v + _MARGIN
        at = -v / np.where(g == 0, 1, g)
        low = np.where(g > 0, np.maximum(low, at), low)
        high = np.where(g < 0, np.minimum(high, at), high)
        high[(g == 0) & (v < 0)] = -1
    first = np.ceil(low).astype(int)
    count = np.floor(high).astype(int) - first + 1
    kept = np.flatnonzero(count > 0)
    triangle = triangle[kept]
    return triangle, boxes[1][triangle] + above[kept], boxes[0][triangle] + first[kept], count[kept]


def _chunks(counts: NDArray) -> Iterator[slice]:
    """Slices of consecutive rows with about ``_CHUNK`` pixels together."""
    total = np.cumsum(counts)
    start = 0
    while start < len(counts):
        base = total[start - 1] if start else 0
        stop = max(int(np.searchsorted(total, base + _CHUNK, side="right")), start + 1)
        yield slice(start, stop)
        start = stop


def _resolve(
    ids: NDArray, table: NDArray, boxes: NDArray, size: tuple[int, int], before: NDArray | None
) -> Fragments:
    nearest = np.zeros(size[0] * size[1], np.float32)  # largest 1/z so far
    if before is not None:
        nearest[:] = (1 + _MARGIN * 0.01) / before.ravel()  # what coincides with it must not show in specks
    triangle, y, x, count = _scanlines(table, boxes)
    across, down = x - boxes[0][triangle], y - boxes[1][triangle]
    b1, d1x, d1y, b2, d2x, d2y, *inverses = table.take(triangle, axis=1)
    b1, b2 = b1 + d1x * across + d1y * down, b2 + d2x * across + d2y * down
    start = (1 - b1 - b2) * inverses[0] + b1 * inverses[1] + b2 * inverses[2]
    slope = d1x * (inverses[1] - inverses[0]) + d2x * (inverses[2] - inverses[0])
    # What is compared with the z-buffer must have its precision.
    start, slope, b1, b2, d1x, d2x = (v.astype(np.float32) for v in (start, slope, b1, b2, d1x, d2x))
    origin = (y * size[1] + x).astype(np.int32)
    winner = np.full(len(nearest), -1, np.int32)
    for part in _chunks(count):
        n = count[part]
        row = np.repeat(np.arange(part.start, part.stop, dtype=np.int32), n)
        along = np.arange(len(row), dtype=np.int32) - np.repeat((np.cumsum(n) - n).astype(np.int32), n)
        inverse = start.take(row) + slope.take(row) * along.astype(np.float32)
        pixel = origin.take(row) + along
        nearer = np.flatnonzero(inverse > nearest.take(pixel))
        row, pixel, inverse = row[nearer], pixel[nearer], inverse[nearer]
        np.maximum.at(nearest, pixel, inverse)
        won = np.flatnonzero(inverse == nearest.take(pixel))
        winner[pixel[won]] = row[won]  # shared edges win twice: one of them stays
    pixel = np.flatnonzero(winner >= 0)
    row = winner[pixel]
    along = (pixel - origin[row]).astype(np.float32)
    tri, b1, b2 = triangle[row], b1[row] + d1x[row] * along, b2[row] + d2x[row] * along
    depth = (1 / nearest[pixel]).astype(np.float32, copy=False)
    weights = np.stack([1 - b1 - b2, b1, b2], -1) * table[6:].astype(np.float32).T[tri]
    return Fragments(pixel, ids[tri], np.clip(weights * depth[:, None], 0, 1), depth)
