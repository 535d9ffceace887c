"""A skeleton with the names of its joints, drawn on the open body in its T-pose."""

import cv2
import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.body import Body
from openhmr.camera import Camera
from openhmr.joints import JointSet
from openhmr.render.compose import blank, over
from openhmr.render.figure import dress
from openhmr.render.scene import draw
from openhmr.render.skeleton import draw_pose2d, joint_colour

_SIZE = (1080, 1720)
_FOCAL, _DISTANCE_M = 3400.0, 6.4
"""A long lens: joints are seen nearly as they are measured, side by side."""
_LINE, _LETTERS, _COLUMN = 19, 0.45, 190
"""Height of a line of text in pixels, size of its letters, width of the columns at both sides."""
_SLOPE, _LEVEL, _THICKNESS = 0.12, 200, 4.0
"""Lines to the names fall by this share, and are level where so many pixels long; joints are as thick."""
_FADED = 0.55
"""How much of the body shows."""


def skeleton_chart(joint_set: JointSet, body: Body) -> NDArray[np.uint8]:
    """RGB picture ``(height, width, 3)`` of a joint set on ``body``, with the number and name of each joint.

    The body faces the reader: its left is at the right. Raises :class:`InputError` for joints that the body
    does not have.
    """
    joints = body.joint_regressor(joint_set) @ body.v_template
    middle = (body.v_template.max(0) + body.v_template.min(0)) / 2
    axes = np.array((1, -1, -1), np.float32)
    away = np.array((0, 0, _DISTANCE_M), np.float32)
    camera = Camera.from_focal(_FOCAL, _SIZE)
    figures = dress(((body.v_template - middle) * axes + away)[None], body)
    xy = camera.project((joints - middle) * axes + away)
    person = draw(figures, camera.K, _SIZE) * _FADED
    pose = np.concatenate([xy, np.ones((len(xy), 1))], 1)
    picture = draw_pose2d(over(blank(*_SIZE), person), pose[None], joint_set, _THICKNESS)
    for side, rows in _columns(joint_set, xy):
        _label(picture, joint_set, xy, rows, side)
    return picture


def _columns(joint_set: JointSet, xy: NDArray) -> list[tuple[str, list[int]]]:
    """Joints of the left and of the right column from above: those of a side on their side, those between
    where there is more room."""
    columns: dict[str, list[int]] = {"left": [], "right": []}
    for i, name in enumerate(joint_set.names):
        if name.startswith(("L_", "R_")):
            columns["right" if name.startswith("L_") else "left"].append(i)
    for i, name in enumerate(joint_set.names):
        if not name.startswith(("L_", "R_")):
            columns[min(columns, key=lambda side: len(columns[side]))].append(i)
    return [(side, sorted(rows, key=_heights(side, xy).__getitem__)) for side, rows in columns.items()]


def _heights(side: str, xy: NDArray) -> NDArray:
    """Where labels would be best: all lines slope alike, so that none crosses another."""
    return xy[:, 1] + _SLOPE * (abs(xy[:, 0] - _edge(side)) - _LEVEL)


def _edge(side: str) -> int:
    return _COLUMN if side == "left" else _SIZE[1] - _COLUMN


def _label(picture: NDArray[np.uint8], joint_set: JointSet, xy: NDArray, rows: list[int], side: str) -> None:
    edge = _edge(side)
    for i, y in zip(rows, _spread(_heights(side, xy)[rows]), strict=True):
        name, colour = f"{i} {joint_set.names[i]}", joint_colour(joint_set.names[i])
        (width, height), _ = cv2.getTextSize(name, cv2.FONT_HERSHEY_SIMPLEX, _LETTERS, 1)
        start = edge - 8 - width if side == "left" else edge + 8
        joint = np.rint(xy[i]).astype(int).tolist()
        cv2.line(picture, (edge, round(y)), joint, colour, 1, cv2.LINE_AA)
        cv2.circle(picture, joint, 2, (255, 255, 255), -1, cv2.LINE_AA)
        at = (start, round(y) + height // 2)
        cv2.putText(picture, name, at, cv2.FONT_HERSHEY_SIMPLEX, _LETTERS, (40, 44, 52), 1, cv2.LINE_AA)


def _spread(heights: NDArray) -> list[float]:
    """Ascending ``heights (R,)`` moved as little apart as lines of text need, within the picture."""
    out = [float(h) for h in heights]
    for i in range(1, len(out)):
        out[i] = max(out[i], out[i - 1] + _LINE)
    limit: float = _SIZE[0] - _LINE
    for i in reversed(range(len(out))):
        out[i] = min(out[i], limit)
        limit = out[i] - _LINE
    return out
