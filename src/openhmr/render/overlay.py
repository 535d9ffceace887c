"""The pictures of a lift or a recovery: the 2D skeletons, and the meshes over the photograph with a view from
the side."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.body import Body
from openhmr.camera import Camera
from openhmr.keypoints import Keypoints
from openhmr.render.compose import blank, over, scaling
from openhmr.render.figure import dress
from openhmr.render.raster import NEAR_M
from openhmr.render.scene import draw
from openhmr.render.side import side_view
from openhmr.render.skeleton import draw_pose2d

MAX_PIXELS = 4_000_000
"""Photographs are shown at their own size up to here, and larger ones scaled down to it."""

SMALLEST_SIDE = 640
"""The longer side of a picture is at least this: smaller photographs are enlarged."""

_BLANK_SIZE = (720, 1280)


class Drawn(Protocol):
    """What :class:`openhmr.People` has: meshes ``vertices (N,V,3)`` of one body in one camera, and 2D
    joints."""

    @property
    def vertices(self) -> NDArray: ...
    @property
    def body(self) -> Body: ...
    @property
    def camera(self) -> Camera: ...
    @property
    def keypoints(self) -> Keypoints: ...
    def __len__(self) -> int: ...


@dataclass(frozen=True, eq=False)
class Canvas:
    """An RGB ``image (height, width, 3)`` to draw on, and ``to_canvas (3,3)``: pixels of the input picture to
    pixels of this one. ``photo`` tells a photograph from blank paper."""

    image: NDArray[np.uint8]
    to_canvas: NDArray[np.float64]
    photo: bool

    def pose(self, points: NDArray) -> NDArray:
        """2D joints ``points (N,J,3)`` (x, y, confidence) in this canvas's pixels."""
        xy = points[..., :2] @ self.to_canvas[:2, :2].T + self.to_canvas[:2, 2]
        return np.concatenate([xy, points[..., 2:]], -1)


def canvas_for(people: Drawn, image: NDArray[np.uint8] | None) -> Canvas:
    """The photograph ``(height, width, 3)`` at its own size within limits, or blank paper around the
    people."""
    if image is None:
        return _paper_around(people)
    height, width = image.shape[:2]
    scale = max(min(1.0, (MAX_PIXELS / (height * width)) ** 0.5), SMALLEST_SIDE / max(height, width))
    if scale == 1:
        return Canvas(image, np.eye(3), True)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    picture = np.asarray(cv2.resize(image, size, interpolation=method), np.uint8)
    return Canvas(picture, scaling(size[0] / width, size[1] / height), True)


def _paper_around(people: Drawn) -> Canvas:
    points = people.keypoints.points
    seen = people.vertices.reshape(-1, 3)
    shown = np.concatenate([_projected(seen, people.camera.K), points[points[..., 2] > 0, :2]])
    if not len(shown):
        shown = np.array([[-0.5, -0.5], np.array(people.camera.image_size[::-1]) - 0.5])
    low, high = shown.min(0), shown.max(0)
    margin = 0.08 * max((high - low).max(), 1e-6)
    low, extent = low - margin, high - low + 2 * margin
    scale = min(_BLANK_SIZE[0] / extent[1], _BLANK_SIZE[1] / extent[0])
    width, height = np.maximum(np.ceil(extent * scale), 1).astype(int).tolist()
    to_canvas = scaling(scale, scale)
    to_canvas[:2, 2] = -0.5 - scale * low
    return Canvas(blank(height, width), to_canvas, False)


def _projected(points: NDArray, K: NDArray) -> NDArray:
    """Pixels ``(P,2)`` of ``points (P,3)``; what is behind the camera stays finite."""
    return points[:, :2] / np.maximum(points[:, 2:], NEAR_M) * K[(0, 1), (0, 1)] + K[:2, 2]


def pose2d_picture(people: Drawn, canvas: Canvas) -> NDArray[np.uint8]:
    """The 2D skeletons over the canvas."""
    return draw_pose2d(canvas.image, canvas.pose(people.keypoints.points), people.keypoints.joint_set)


def overlay_picture(people: Drawn, canvas: Canvas) -> NDArray[np.uint8]:
    """The meshes over the canvas and, to the right, everybody seen from the side; on blank paper, the 2D
    skeletons to the left, if there are any. Where nobody is, the canvas alone."""
    if not len(people):
        return canvas.image.copy()
    figures = dress(people.vertices, people.body)
    size = canvas.image.shape[0], canvas.image.shape[1]
    with ThreadPoolExecutor(1) as pool:  # NumPy and OpenCV let both views be drawn at once
        beside = pool.submit(side_view, figures, size[0], people.camera.down)
        front = over(canvas.image, draw(figures, canvas.to_canvas @ people.camera.K, size))
        side = beside.result()
    panels = [front, side]
    if not canvas.photo and (people.keypoints.points[..., 2] > 0).any():
        panels = [pose2d_picture(people, canvas), *panels]
    line = np.full((size[0], 2, 3), 255, np.uint8)
    return np.concatenate([part for panel in panels for part in (line, panel)][1:], axis=1)
