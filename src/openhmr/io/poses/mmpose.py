"""JSON of mmpose's inferencer and demos: instances with ``keypoints`` (K,2) and ``keypoint_scores``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from openhmr.errors import InputError
from openhmr.io.poses.contents import Contents, Person, score_of
from openhmr.io.poses.json_text import Record, numbers, records
from openhmr.io.poses.skeletons import body_points, by_count, hands_of
from openhmr.joints import COCO, JOINT_SETS, JointSet

_DATA_SETS = {"h36m": "human36", "coco_wholebody": "coco_feet"}
"""What mmpose calls data sets, where that is no name of ours."""
_LISTS = ("instance_info", "predictions")


def is_mmpose(content: Any) -> bool:
    """An object with ``instance_info`` or ``predictions``, or a list of instances, of frames, or of lists of
    instances."""
    if isinstance(content, dict):
        return any(isinstance(content.get(key), list) for key in _LISTS) or _is_part(content)
    if not isinstance(content, list):
        return False
    return any(_is_part(r) or (isinstance(r, list) and any(map(_is_part, r))) for r in content)


def read_mmpose(content: Any, asked: JointSet | None, path: Path) -> Contents:
    """Everybody in a file. Raises :class:`InputError`."""
    told = asked
    if isinstance(content, dict):
        meta = content.get("meta_info")
        name = str(meta.get("dataset_name")) if isinstance(meta, dict) else ""
        told = JOINT_SETS.get(_DATA_SETS.get(name, name), asked)
        content = next((content[key] for key in _LISTS if isinstance(content.get(key), list)), [content])
    people = [_person(r, frame, told, path) for r, frame in _instances(content, path)]
    return Contents(people, pictures=_frames(content))


def _frames(content: Any) -> list[str]:
    """The ids of all frames, also of those without instances."""
    if len(content) > 1 and all(isinstance(r, list) for r in content):
        return [str(index) for index in range(len(content))]
    return [str(r["frame_id"]) for r in content if isinstance(r, dict) and "frame_id" in r]


def _is_part(value: Any) -> bool:
    return isinstance(value, dict) and ("keypoint_scores" in value or "instances" in value)


def _instances(content: Any, path: Path) -> Iterator[tuple[Record, str | None]]:
    """Instances, each with the id of its frame."""
    lists = [r for r in content if isinstance(r, list)]
    if lists and len(lists) < len(content):
        raise InputError(f"{path} mixes instances and lists of them; give one list for each picture")
    if lists:
        for index, inner in enumerate(lists):
            frame = None if len(lists) == 1 else str(index)
            yield from ((r, frame) for r in records(inner, f"{path}: predictions"))
        return
    for record in records(content, f"{path}: instances"):
        if "instances" not in record:
            yield record, None
            continue
        frame = str(record["frame_id"]) if "frame_id" in record else None
        yield from ((r, frame) for r in records(record["instances"], f"{path}: instances"))


def _person(record: Record, frame: str | None, asked: JointSet | None, path: Path) -> Person:
    if "keypoints" not in record:
        raise InputError(f'{path} has an instance without "keypoints"; save the predictions of a pose model')
    xy = numbers(record["keypoints"], f'{path} has a "keypoints" entry')
    xy = xy[0] if xy.ndim == 3 and len(xy) == 1 else xy
    if xy.ndim != 2 or xy.shape[1] != 2:
        deep = ", which is a 3D pose" if xy.ndim == 2 and xy.shape[1] == 3 else ""
        raise InputError(f'{path} has "keypoints" of shape {xy.shape}{deep}; (K, 2) pixels x, y are needed')
    scores = numbers(record.get("keypoint_scores", np.ones(len(xy))), f'{path} has a "keypoint_scores" entry')
    if scores.size != len(xy):
        raise InputError(
            f"{path} has {len(xy)} keypoints and {scores.size} scores of an instance; give one for each"
        )
    points = np.concatenate([xy, scores.reshape(-1, 1)], 1)
    joint_set = by_count(len(points), asked or COCO, path, usual={})
    score = score_of(record.get("bbox_score"))
    return Person(joint_set, body_points(points, joint_set), frame, score, hands_of(points))
