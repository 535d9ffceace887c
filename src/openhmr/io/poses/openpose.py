"""OpenPose JSON: a file a picture, ``people`` with 25 or 18 keypoints; AlphaPose's two forms that copy it."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openhmr.errors import InputError
from openhmr.io.poses.contents import Contents, Person
from openhmr.io.poses.json_text import Record, numbers, records
from openhmr.io.poses.skeletons import body_points, by_count, hands_of
from openhmr.joints import JointSet

_KEYS = ("pose_keypoints_2d", "pose_keypoints", "joints")
"""What OpenPose, its first versions, and AlphaPose call a person's numbers."""
_PEOPLE = ("people", "bodies")


def is_openpose(content: Any) -> bool:
    """One picture, or an object of pictures by name (AlphaPose's ``--format open`` and ``cmu``)."""
    return _is_picture(content) or (
        isinstance(content, dict) and bool(content) and all(map(_is_picture, content.values()))
    )


def read_openpose(content: Any, asked: JointSet | None, path: Path) -> Contents:
    """Everybody in a file, with their hands; faces are left out. Raises :class:`InputError`."""
    if _is_picture(content):
        return Contents(_people(content, None, asked, path))
    people = [p for name, picture in content.items() for p in _people(picture, str(name), asked, path)]
    return Contents(people, pictures=list(map(str, content)))


def _is_picture(content: Any) -> bool:
    return isinstance(content, dict) and any(isinstance(content.get(key), list) for key in _PEOPLE)


def _people(content: dict[str, Any], picture: str | None, asked: JointSet | None, path: Path) -> list[Person]:
    out = []
    for record in records(next(content[key] for key in _PEOPLE if key in content), f"{path}: people"):
        key = next((key for key in _KEYS if key in record), None)
        if key is None:
            raise InputError(f'{path} has a person without "{_KEYS[0]}"; let OpenPose write the body too')
        flat = numbers(record[key], f'{path} has a "{key}" entry').reshape(-1)
        if not flat.size:  # a hand or a face without a body
            continue
        if flat.size % 3:
            raise InputError(
                f'{path} has {flat.size} numbers in "{key}"; OpenPose writes x, y, confidence of each joint'
            )
        points = flat.reshape(-1, 3)
        joint_set = by_count(len(points), asked, path)
        hands = hands_of(points) or _hands(record, path)
        out.append(Person(joint_set, body_points(points, joint_set), picture, hands=hands))
    return out


def _hands(record: Record, path: Path) -> dict[str, NDArray[np.float64]]:
    out = {}
    for side in ("left", "right"):
        key = f"hand_{side}_keypoints_2d"
        flat = numbers(record.get(key, []), f'{path} has a "{key}" entry').reshape(-1)
        if flat.size not in (0, 63):
            raise InputError(
                f'{path} has {flat.size} numbers in "{key}"; OpenPose writes x, y, confidence of 21 joints'
            )
        if flat.size:
            out[f"{side}_hand"] = flat.reshape(21, 3)
    return out
