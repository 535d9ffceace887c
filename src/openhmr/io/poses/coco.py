"""COCO keypoint JSON: a data set, a list of results, or one annotation."""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openhmr.errors import InputError
from openhmr.io.poses.check import MAX_PIXEL, MIN_JOINTS, check_pose2d, other_skeleton
from openhmr.joints import COCO, JointSet
from openhmr.keypoints import Keypoints

MAX_BYTES = 24 << 20
"""Parsed, JSON takes twenty-five times its bytes."""

log = logging.getLogger(__name__)

Record = Mapping[str, Any]


def read_coco(
    path: Path, joint_set: JointSet, image: str | None, image_id: str | None, min_score: float
) -> Keypoints:
    """The people of one picture. ``image`` (a path) or ``image_id`` selects it where the file holds several;
    people below ``min_score``, or with fewer than four labelled keypoints, are left out.

    Raises :class:`InputError`.
    """
    if joint_set != COCO:
        raise InputError(
            f"{path} is JSON, which holds COCO keypoints; use the coco joints, or pass {joint_set.name} "
            f"poses as .npy"
        )
    annotations, images = _records(path)
    annotations = [a for a in annotations if "keypoints" in a]
    annotations, size = _of_one_image(annotations, images, image, image_id, path)
    kept, scores = [], []
    for annotation in annotations:
        points, score = _keypoints(annotation["keypoints"], path), _score(annotation)
        if (points[: len(COCO.base), 2] > 0).sum() >= MIN_JOINTS and not score < min_score:
            kept.append(points)
            scores.append(score)
    if not kept:
        few = f"with at least {MIN_JOINTS} labelled keypoints" + (
            f" and a score of {min_score:g}" if min_score else ""
        )
        raise InputError(f'{path} has no person {few}; check its "keypoints" lists')
    if len(kept) < len(annotations):
        gone = len(annotations) - len(kept)
        log.warning(
            "%s: %d of %d people are left out (few keypoints, or a low score)", path, gone, len(annotations)
        )
    if len({len(p) for p in kept}) > 1:
        raise InputError(f"{path} mixes people with 17 and with 19 keypoints; give all the same number")
    poses = check_pose2d(np.stack(kept), joint_set, str(path))
    return Keypoints(joint_set, poses, size, scores=np.array(scores) if np.isfinite(scores).all() else None)


def _records(path: Path) -> tuple[list[Record], list[Record]]:
    if path.stat().st_size > MAX_BYTES:
        raise InputError(
            f"{path} has {path.stat().st_size:,} bytes; JSON of at most {MAX_BYTES:,} bytes is read: pass "
            f"fewer images"
        )
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise InputError(
            f"{path} is not readable JSON ({str(error)[:80]}); save COCO keypoints as JSON"
        ) from None
    images: Any = []
    if isinstance(content, dict) and "annotations" in content:
        annotations, images = content["annotations"], content.get("images", [])
    else:
        annotations = content if isinstance(content, list) else [content]
    for records in (annotations, images):
        if not isinstance(records, list) or not all(isinstance(r, dict) for r in records):
            raise InputError(
                f"{path} is not COCO keypoint JSON; allowed are a data set, a list of results, or one "
                f"annotation"
            )
    return annotations, images


def _score(annotation: Record) -> float:
    value = annotation.get("score", float("nan"))
    return float(value) if isinstance(value, int | float) else float("nan")


def _keypoints(values: object, path: Path) -> NDArray[np.float64]:
    try:
        flat = np.asarray(values, np.float64).reshape(-1)
    except (ValueError, TypeError, OverflowError):
        raise InputError(
            f'{path} has a "keypoints" entry that is no list of numbers; write x, y, v for each joint'
        ) from None
    counts = {3 * len(COCO.base), 3 * COCO.size}
    if flat.size not in counts:
        other = other_skeleton(flat.size // 3) if flat.size % 3 == 0 else ""
        raise InputError(
            f'{path} has {flat.size} numbers in a "keypoints" list{other}; COCO has 51 (17 joints of x, y, '
            f"v) or 57 "
            "(with Pelvis and Neck): give those"
        )
    points = flat.reshape(-1, 3)
    points[~np.isfinite(points).all(-1)] = 0
    return points


def _of_one_image(
    annotations: list[Record], images: list[Record], image: str | None, image_id: str | None, path: Path
) -> tuple[list[Record], tuple[int, int] | None]:
    """The annotations of one picture, and its ``(height, width)`` if the file has it."""
    ids = list(dict.fromkeys(str(a.get("image_id")) for a in annotations))
    if image_id is not None:
        ids = _matching(image_id, ids) or [i for i in ids if i == image_id]
        if len(ids) != 1:
            raise InputError(
                f"{path} has {len(ids) or 'no'} pictures of the id {image_id!r}; give another one"
            )
    elif len(ids) > 1:
        if image is None:
            raise InputError(
                f"{path} holds people of several images and no image was given; pass the image, named as "
                f"there, or its "
                "id, to choose one"
            )
        found = _ids_of(image, ids, images)
        if len(found) != 1:
            several = f"{len(found)} of them are called" if found else "none of them is"
            raise InputError(
                f"{path} holds people of several images and {several} {image}; pass the image, named as "
                f"there, or its id, "
                "to choose one"
            )
        ids = found
    chosen = [a for a in annotations if str(a.get("image_id")) in ids]
    record = next((r for r in images if str(r.get("id")) in ids), {}) if ids else {}
    return chosen, _size(record, path)


def _ids_of(image: str, ids: list[str], images: list[Record]) -> list[str]:
    """Which of ``ids`` belong to the picture ``image``: by the names in ``images`` where there are any, else
    by ids that are names, or numbers that end its name (COCO's own file names are ids with leading zeros)."""
    names = {str(r.get("id")): r["file_name"] for r in images if isinstance(r.get("file_name"), str)}
    if names:
        found = _matching(image, list(names.values()))
        return [i for i in ids if names.get(i) in found]
    found = _matching(image, ids)
    number = re.search(r"(\d+)$", re.sub(r"\.[^.]*$", "", _parts(image)[-1]))
    if found or number is None:
        return found
    return [i for i in ids if i.isdecimal() and int(i) == int(number.group(1))]


def _parts(name: str) -> list[str]:
    return [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")] or [""]


def _matching(wanted: str, names: Sequence[str]) -> list[str]:
    """The names that agree with ``wanted`` in the most path parts from the end, as far as the shorter
    goes."""
    parts, best, out = _parts(wanted), 0, list[str]()
    for name in dict.fromkeys(names):
        other = _parts(name)
        common = min(len(parts), len(other))
        if parts[-common:] == other[-common:] and common >= best:
            out = [*out, name] if common == best else [name]
            best = common
    return out


def _size(record: Record, path: Path) -> tuple[int, int] | None:
    size = record.get("height"), record.get("width")
    if size == (None, None):
        return None
    if not all(type(n) is int and 0 < n <= MAX_PIXEL for n in size):
        raise InputError(
            f"{path} says its picture is {size[1]!r} x {size[0]!r}; both must be whole numbers from 1 to "
            f"{MAX_PIXEL:.0f}"
        )
    return int(size[0]), int(size[1])  # type: ignore[arg-type]
