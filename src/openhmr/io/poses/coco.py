"""COCO keypoint JSON: a data set, a list of results, or one annotation; so write AlphaPose and Halpe, too."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openhmr.errors import InputError
from openhmr.io.poses.contents import Contents, Person, score_of
from openhmr.io.poses.json_text import Record, numbers, records
from openhmr.io.poses.skeletons import body_points, by_count, by_names, hands_of
from openhmr.joints import COCO, COCO_FEET, JointSet


def is_coco(content: Any) -> bool:
    """Whether some object has ``keypoints``, or the whole is a data set."""
    if isinstance(content, dict):
        return "annotations" in content or "keypoints" in content
    return isinstance(content, list) and any(isinstance(r, dict) and "keypoints" in r for r in content)


def read_coco(content: Any, asked: JointSet | None, path: Path) -> Contents:
    """Everybody in a file: 17 keypoints, with ``foot_kpts`` or without, COCO-WholeBody's 133, Halpe's 26 or
    136, or others that the data set's category names. Raises :class:`InputError`."""
    images: list[Record] = []
    names: Sequence[str] = ()
    if isinstance(content, dict) and "annotations" in content:
        annotations = records(content["annotations"], f"{path}: annotations")
        images = records(content.get("images", []), f"{path}: images")
        names = _joint_names(content.get("categories"))
    else:
        annotations = records(content if isinstance(content, list) else [content], str(path))
    people = [_person(a, asked, names, path) for a in annotations if "keypoints" in a]
    return Contents(
        people,
        {str(r.get("id")): r["file_name"] for r in images if isinstance(r.get("file_name"), str)},
        {str(r.get("id")): (r.get("width"), r.get("height")) for r in images},
        pictures=[str(r["id"]) for r in images if "id" in r],
    )


def _person(record: Record, asked: JointSet | None, names: Sequence[str], path: Path) -> Person:
    flat = numbers(record["keypoints"], f'{path} has a "keypoints" entry').reshape(-1)
    if flat.size % 3:
        raise InputError(
            f'{path} has {flat.size} numbers in a "keypoints" list; COCO has x, y, v for each joint, such as '
            f"51 for 17 joints"
        )
    points = flat.reshape(-1, 3)
    hands = dict(hands_of(points))
    if len(points) == len(names):
        joint_set, points = _by_names(names, points, asked, path)
    else:
        joint_set = by_count(len(points), asked, path)
        points = body_points(points, joint_set)
    if joint_set == COCO and "foot_kpts" in record:
        feet = _more(record, "foot_kpts", 6, path)
        joint_set, points = COCO_FEET, np.concatenate([points[:17], feet])
    sides = [side for side in ("left", "right") if record.get(f"{side}hand_kpts") is not None]
    hands |= {f"{s}_hand": h for s in sides if len(h := _more(record, f"{s}hand_kpts", 21, path))}
    picture = str(record["image_id"]) if "image_id" in record else None
    return Person(joint_set, points, picture, score_of(record.get("score")), hands)


def _more(record: Record, key: str, joints: int, path: Path) -> NDArray[np.float64]:
    """What COCO-WholeBody adds to a person: ``(joints,3)``, of hands perhaps nothing."""
    flat = numbers(record[key], f'{path} has a "{key}" entry').reshape(-1)
    if flat.size != 3 * joints and (flat.size or key == "foot_kpts"):
        raise InputError(
            f'{path} has {flat.size} numbers in "{key}"; COCO-WholeBody has {3 * joints}, x, y, v of '
            f"{joints} joints"
        )
    return flat.reshape(-1, 3)


def _joint_names(categories: Any) -> Sequence[str]:
    """The joints that a data set names, if all its categories that have joints name the same."""
    lists = (
        [c.get("keypoints") for c in categories if isinstance(c, dict)]
        if isinstance(categories, list)
        else []
    )
    named = [names for names in lists if isinstance(names, list) and names]
    same = bool(named) and all(names == named[0] for names in named)
    return named[0] if same and all(isinstance(name, str) for name in named[0]) else ()


def _by_names(
    names: Sequence[str], points: NDArray[np.float64], asked: JointSet | None, path: Path
) -> tuple[JointSet, NDArray[np.float64]]:
    joint_set, rows = by_names(names, None, path)
    if asked is not None and len(points) in (len(asked.base), asked.size):
        joint_set, rows = by_names(names, asked, path)
    out = np.zeros((joint_set.size if rows.max() >= len(joint_set.base) else len(joint_set.base), 3))
    out[rows[rows >= 0]] = points[rows >= 0]
    return joint_set, out
