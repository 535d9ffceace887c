"""The pictures that ``openhmr lift`` writes: the skeleton, and the mesh over the photograph with a view from
the side."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from openhmr.geometry.camera_fit import NEAR_M
from openhmr.predict.result import Result
from openhmr.render.shading import render
from openhmr.render.skeleton import draw_pose2d

LONG_SIDE = (640, 1280)
"""Pictures are drawn with a longer side within these limits."""

_BLANK_HEIGHT = 720
_BLANK_TOP, _BLANK_BOTTOM = np.array([250.0, 250, 251]), np.array([226.0, 229, 234])
_SIDE_FOV = np.deg2rad(20.0)


@dataclass(frozen=True)
class Canvas:
    """An RGB ``image`` to draw on, and ``to_canvas (3,3)``: pixels of the input picture to pixels of this
    one."""

    image: NDArray[np.uint8]
    to_canvas: NDArray[np.float64]

    def pose(self, pose2d: NDArray) -> NDArray:
        """``pose2d (N,J,3)`` (x, y, confidence) in this canvas's pixels."""
        xy = pose2d[..., :2] @ self.to_canvas[:2, :2].T + self.to_canvas[:2, 2]
        return np.concatenate([xy, pose2d[..., 2:]], -1)


def canvas_for(result: Result, image: NDArray[np.uint8] | None) -> Canvas:
    """The photograph ``(height, width, 3)``, scaled to a handy size, or a light blank canvas around the
    people."""
    if image is not None:
        long = max(image.shape[:2])
        scale = float(np.clip(long, *LONG_SIDE)) / long
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        picture = np.asarray(cv2.resize(image, size, interpolation=method), np.uint8) if scale != 1 else image
        return Canvas(picture, np.diag([size[0] / image.shape[1], size[1] / image.shape[0], 1.0]))
    projected = result.vertices @ result.K.T
    points = projected[..., :2] / np.maximum(projected[..., 2:], NEAR_M)
    shown = np.concatenate([points.reshape(-1, 2), result.pose2d[result.pose2d[..., 2] > 0, :2]])
    low, high = shown.min(0), shown.max(0)
    margin = 0.08 * (high - low).max()
    scale = min(_BLANK_HEIGHT / (high - low + 2 * margin)[1], LONG_SIDE[1] / (high - low + 2 * margin)[0])
    width, height = np.maximum(np.ceil((high - low + 2 * margin) * scale), 1).astype(int)
    shift = (margin - low) * scale
    return Canvas(
        _blank(int(height), int(width)), np.array([[scale, 0, shift[0]], [0, scale, shift[1]], [0, 0, 1]])
    )


def pose2d_picture(result: Result, canvas: Canvas) -> NDArray[np.uint8]:
    """The input's 2D skeletons over the canvas."""
    return draw_pose2d(canvas.image, canvas.pose(result.pose2d), result.joint_set)


def overlay_picture(result: Result, canvas: Canvas) -> NDArray[np.uint8]:
    """The meshes over the canvas and, to the right, everybody seen from their side (the camera moved to its
    right)."""
    height, width = canvas.image.shape[:2]
    front = _over(
        canvas.image, render(result.vertices, result.faces, canvas.to_canvas @ result.K, (height, width))
    )
    return np.concatenate([front, np.full((height, 2, 3), 255, np.uint8), side_view(result, height)], axis=1)


def side_view(result: Result, height: int) -> NDArray[np.uint8]:
    """All meshes turned by 90 degrees about the vertical through their middle, on a blank panel of ``height``
    pixels."""
    flat = result.vertices.reshape(-1, 3)
    centre = 0.5 * (flat.min(0) + flat.max(0))
    x, y, z = np.moveaxis(result.vertices - centre, -1, 0)
    # Seen along the old -x axis, so that what was far lies on the right, and who faced the camera now looks
    # to the left.
    turned = np.stack([z, y, -x], -1)
    extent = np.ptp(turned.reshape(-1, 3), axis=0)
    width = int(np.clip(height * extent[0] / max(extent[1], 1e-6) * 1.05, 0.6 * height, 1.2 * height))
    focal = 0.5 * height / np.tan(0.5 * _SIDE_FOV)
    distance = focal * max(extent[1] / (0.84 * height), extent[0] / (0.84 * width)) + 0.5 * extent[2]
    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])
    turned[..., 2] += distance
    return _over(_blank(height, width), render(turned, result.faces, K, (height, width)))


def _blank(height: int, width: int) -> NDArray[np.uint8]:
    ramp = np.linspace(0, 1, height)[:, None, None]
    return np.broadcast_to(
        np.rint(_BLANK_TOP + (_BLANK_BOTTOM - _BLANK_TOP) * ramp), (height, width, 3)
    ).astype(np.uint8)


def _over(image: NDArray[np.uint8], layer: NDArray[np.float32]) -> NDArray[np.uint8]:
    """``layer`` (colour times alpha, alpha) over ``image``."""
    return np.rint(np.clip(layer[..., :3] * 255 + image * (1 - layer[..., 3:]), 0, 255)).astype(np.uint8)
