"""Many people in one picture: one after the other into one z-buffer, so that memory follows the picture's
size."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.body import Body
from openhmr.render.compose import scaling
from openhmr.render.figure import Figure, dress
from openhmr.render.raster import NEAR_M, rasterise
from openhmr.render.shading import shade

SUPERSAMPLING = 2
DRAWN_SIDE = 1280
"""Pictures with a longer side are drawn at this size and enlarged: smooth bodies look the same, in a fraction
of the time."""


def render(vertices: NDArray, body: Body, K: NDArray, size: tuple[int, int]) -> NDArray[np.float32]:
    """:func:`draw` of the people ``vertices (N,V,3)`` (camera axes, metres) in their suits."""
    return draw(dress(vertices, body), K, size)


def draw(figures: Sequence[Figure], K: NDArray, size: tuple[int, int]) -> NDArray[np.float32]:
    """Picture ``(height, width, 4)`` of ``figures``: RGB (sRGB, 0..1, times alpha) and alpha, with smooth
    edges.

    ``K (3,3)`` projects to pixels whose integers are centres; ``size`` is (height, width).
    """
    shrink = max(1.0, max(size) / DRAWN_SIDE)
    drawn = (max(1, round(size[0] / shrink)), max(1, round(size[1] / shrink)))
    big = (drawn[0] * SUPERSAMPLING, drawn[1] * SUPERSAMPLING)
    scaled = scaling(big[1] / size[1], big[0] / size[0]) @ K
    depth = np.full(big, np.inf, np.float32)
    picture = np.zeros((*big, 4), np.float32)
    # The nearest first: what they hide need not be shaded.
    for figure in sorted(figures, key=lambda figure: float(np.median(figure.vertices[:, 2]))):
        _add(figure, scaled, picture, depth)
    small = cv2.resize(picture, drawn[::-1], interpolation=cv2.INTER_AREA)
    out = small if drawn == size else cv2.resize(small, size[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(out, np.float32)


def _add(figure: Figure, K: NDArray, picture: NDArray[np.float32], depth: NDArray[np.float32]) -> None:
    """Draw one person into ``picture (height, width, 4)`` where it is nearer than ``depth (height,
    width)``."""
    window = _window(figure.vertices, K, depth.shape)
    rows, columns = window
    size = (rows.stop - rows.start, columns.stop - columns.start)
    if min(size) <= 0:
        return
    shifted = K - np.array([[0, 0, columns.start], [0, 0, rows.start], [0, 0, 0]])
    fragments = rasterise(figure.vertices, figure.suit.faces, shifted, size, depth[window])
    if len(fragments.pixel):
        y, x = np.divmod(fragments.pixel, size[1])
        depth[window][y, x] = fragments.depth
        picture[window][y, x, :3] = shade(fragments, figure, shifted, size)
        picture[window][y, x, 3] = 1


def _window(vertices: NDArray, K: NDArray, size: Sequence[int]) -> tuple[slice, slice]:
    """Rows and columns of the picture that the visible ``vertices`` may fall on."""
    seen = vertices[vertices[:, 2] > NEAR_M]
    if not len(seen):
        return slice(0, 0), slice(0, 0)
    out = []
    for axis, length in ((1, size[0]), (0, size[1])):
        at = K[axis, axis] * (seen[:, axis] / seen[:, 2]) + K[axis, 2]
        low, high = np.clip([at.min(), at.max() + 1], 0, length)
        out.append(slice(int(low), int(np.ceil(high))))
    return out[0], out[1]
