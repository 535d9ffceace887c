"""The pictures that show a result: 2D skeleton, mesh over the image, mesh from the side."""

import cv2
import numpy as np
from numpy.typing import NDArray

from openhmr.joints.joint_set import JointSet
from openhmr.predict.result import Result
from openhmr.render.rasterizer import render

LEFT, RIGHT, MIDDLE = (235, 110, 60), (40, 130, 220), (70, 160, 90)
"""Colours (RGB) of left, right and midline bones."""
PERSON_TINTS = np.array([[0.60, 0.68, 0.78], [0.78, 0.66, 0.58], [0.60, 0.75, 0.64], [0.74, 0.64, 0.78], [0.78, 0.75, 0.58]])
"""Plain clay tints that tell people apart."""
MIN_SIDE, MAX_SIDE = 480, 1920


def canvas(size: tuple[int, int]) -> NDArray:
    """A light, gently shaded blank picture ``(h,w,3)``."""
    height, width = size
    column = np.linspace(252, 226, height)[:, None, None]
    return np.broadcast_to(column, (height, width, 3)).astype(np.uint8).copy()


def fit_scale(size: tuple[int, int]) -> float:
    """Factor that brings the longer side of a picture between 480 and 1920 pixels."""
    longest = max(size)
    return min(max(1.0, MIN_SIDE / longest), MAX_SIDE / longest)


def scene(result: Result, image: NDArray | None) -> tuple[NDArray, float]:
    """The picture to draw on and its scale to the result's pixels."""
    scale = fit_scale(result.image_size)
    height, width = (max(1, round(s * scale)) for s in result.image_size)
    if image is None:
        return canvas((height, width)), scale
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(image, (width, height), interpolation=method), scale


def draw_skeleton(picture: NDArray, pose2d: NDArray, joint_set: JointSet) -> NDArray:
    """Draw present joints and bones of ``pose2d (N,J,3)`` (pixels of ``picture``); left orange, right blue, middle green."""
    out = picture.copy()

    def side(name: str) -> tuple[int, int, int]:
        return LEFT if name.startswith("L_") else RIGHT if name.startswith("R_") else MIDDLE

    at = lambda p: tuple(int(round(c * 16)) for c in p[:2])  # noqa: E731
    for person in pose2d:
        present = person[person[:, 2] > 0]
        unit = float(np.ptp(present[:, :2], 0).max()) / 100
        thick, radius = max(1, round(1.1 * unit)), max(2.0, 1.1 * unit)
        for a, b in joint_set.skeleton:
            if person[a, 2] > 0 and person[b, 2] > 0:
                names = (joint_set.names[a], joint_set.names[b])
                colour = next((side(n) for n in names[::-1] if side(n) != MIDDLE), MIDDLE)
                cv2.line(out, at(person[a]), at(person[b]), (255, 255, 255), thick + 2, cv2.LINE_AA, 4)
                cv2.line(out, at(person[a]), at(person[b]), colour, thick, cv2.LINE_AA, 4)
        for joint, name in zip(person, joint_set.names, strict=True):
            if joint[2] > 0:
                cv2.circle(out, at(joint), round((radius + 1) * 16), (255, 255, 255), -1, cv2.LINE_AA, 4)
                cv2.circle(out, at(joint), round(radius * 16), side(name), -1, cv2.LINE_AA, 4)
    return out


def pose_picture(result: Result, joint_set: JointSet, image: NDArray | None = None) -> NDArray:
    """The input 2D poses over the image or a blank canvas."""
    picture, scale = scene(result, image)
    pose = result.pose2d.astype(np.float64).copy()
    pose[..., :2] *= scale
    return draw_skeleton(picture, pose, joint_set)


def side_view(result: Result, size: tuple[int, int]) -> NDArray:
    """All people seen from their left (camera moved a quarter turn about the vertical through their middle)."""
    height, width = size
    points = result.vertices.reshape(-1, 3).astype(np.float64)
    middle = (points.min(0) + points.max(0)) / 2
    turned = (result.vertices - middle) @ np.array([[0.0, 0, -1], [0, 1, 0], [1, 0, 0]]).T
    extent = np.abs(turned).reshape(-1, 3).max(0)
    # Long lens from far away: the side view should show depth, not perspective.
    distance = 8 * max(float(extent.max()), 0.1)
    focal = 0.9 * min(width / (2 * extent[0]), height / (2 * extent[1])) * (distance - extent[2])
    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    return render(turned + [0, 0, distance], result.faces, K, canvas(size), tints(len(result.vertices)))


def tints(people: int) -> NDArray:
    return PERSON_TINTS[np.arange(people) % len(PERSON_TINTS)]


def overlay_picture(result: Result, image: NDArray | None = None) -> NDArray:
    """The meshes over the image (or a blank canvas) on the left, the same meshes from the side on the right."""
    picture, scale = scene(result, image)
    K = result.K.copy()
    K[:2] *= scale
    front = render(result.vertices, result.faces, K, picture, tints(len(result.vertices)), opacity=0.94 if image is not None else 1.0)
    height, width = front.shape[:2]
    side = side_view(result, (height, min(width, height)))
    return np.concatenate([front, np.full((height, 2, 3), 255, np.uint8), side], 1)
