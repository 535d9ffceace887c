"""Everybody from the side: how deep a pose is, which no view from the camera shows."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from openhmr.render.compose import blank, over
from openhmr.render.figure import Figure
from openhmr.render.scene import draw

_FOV = np.deg2rad(4.0)
"""Of a long lens, in whose pictures a level floor is a line."""

_WIDTHS = (0.6, 1.25)
"""Limits of a panel's width, in its heights."""

_CELL_WIDTH = 0.62
"""Width of one person's cell, in its heights."""

_FILL = 0.84
"""How much of a panel people take up at most."""

_TALL = 0.5
"""Where the tallest is lower than this part of the panel, because people stand far apart, each has a cell."""

_TOGETHER = 6
"""More people than this have cells as well: they would hide each other."""

_FLOOR, _MARGIN_M = (168, 174, 182), 0.2


def side_view(figures: Sequence[Figure], height: int, down: NDArray | None = None) -> NDArray[np.uint8]:
    """The ``figures`` from their side on a panel ``height`` pixels high: the camera moved to their right, so
    that what was far is on the right, and who faced the camera looks to the left.

    Each stands (sits, lies) on a line: the floor under the lowest point, level if ``down (3,)``, the
    direction of gravity, is known, else if the camera was. People far apart and crowds are shown in rows of
    cells, each as large as fits.
    """
    turned = [figure.moved(_sideways(down), np.zeros(3)) for figure in figures]
    extent = np.ptp(_bounds(turned), axis=0)
    width = height * float(np.clip(1.05 * extent[0] / max(extent[1], 1e-6), *_WIDTHS))
    scale = _FILL * min(height / max(extent[1], 1e-6), width / max(extent[0], 1e-6))
    tallest = max(float(np.ptp(figure.vertices[:, 1])) for figure in turned)
    if len(turned) == 1 or (len(turned) <= _TOGETHER and scale * tallest >= _TALL * height):
        panel = blank(height, int(width))
        _show(turned, panel)
        return panel
    rows, columns = _grid(len(turned))
    panel = blank(height, max(1, round(columns * _CELL_WIDTH * height / rows)))
    cells = [cell for row in np.array_split(panel, rows) for cell in np.array_split(row, columns, axis=1)]
    for figure, cell in zip(turned, cells, strict=False):
        _show([figure], cell)
    return panel


def _sideways(down: NDArray | None) -> NDArray[np.float64]:
    """Rotation ``(3,3)`` from camera axes to those of a level camera that looks along the old -x axis."""
    y = np.array([0, 1.0, 0]) if down is None else down
    forward = np.array([0, 0, 1.0]) if abs(y[2]) < 0.99 else np.array([0, -1.0, 0])
    forward = forward - y * (forward @ y)
    forward /= np.linalg.norm(forward)
    return np.stack([forward, y, -np.cross(y, forward)])


def _bounds(figures: Sequence[Figure]) -> NDArray[np.float64]:
    """Lowest and highest coordinates ``(2,3)``."""
    low = np.min([figure.vertices.min(0) for figure in figures], axis=0)
    return np.stack([low, np.max([figure.vertices.max(0) for figure in figures], axis=0)]).astype(np.float64)


def _grid(count: int) -> tuple[int, int]:
    """Rows and columns of cells: as few rows as the panel's greatest width allows."""
    rows = 1
    while -(-count // rows) * _CELL_WIDTH > rows * _WIDTHS[1]:
        rows += 1
    return rows, -(-count // rows)


def _show(figures: Sequence[Figure], panel: NDArray[np.uint8]) -> None:
    """Draw ``figures``, as large as fits, and the floor under each, into ``panel``."""
    height, width = panel.shape[:2]
    bounds = _bounds(figures)
    extent = np.maximum(bounds[1] - bounds[0], 1e-6)
    focal = 0.5 * height / np.tan(0.5 * _FOV)
    distance = focal / _FILL * max(extent[1] / height, extent[0] / width) + 0.5 * extent[2]
    K = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1.0]])
    placed = [f.moved(np.eye(3), np.array([0, 0, distance]) - bounds.mean(0)) for f in figures]
    line = np.ascontiguousarray(panel)
    for figure in placed:
        low, high = figure.vertices.min(0), figure.vertices.max(0)
        ends = np.array([[low[0] - _MARGIN_M, high[1], 0], [high[0] + _MARGIN_M, high[1], 0]])
        ends[:, 2] = figure.vertices[:, 2].mean()
        xy = np.rint(16 * (ends @ K.T)[:, :2] / ends[:, 2:]).astype(int).tolist()
        cv2.line(line, xy[0], xy[1], _FLOOR, max(1, round(height / 360)), cv2.LINE_AA, 4)
    panel[:] = over(line, draw(placed, K, (height, width)))
