"""What a file of 2D poses holds, whatever its format, and the people of one of its pictures."""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openhmr.errors import InputError
from openhmr.io.poses.check import MAX_PIXEL, MIN_JOINTS, check_pose2d
from openhmr.io.poses.pictures import choose
from openhmr.io.poses.skeletons import reordered
from openhmr.joints import MANO, MEDIAPIPE33, JointSet
from openhmr.keypoints import Keypoints

log = logging.getLogger(__name__)

Size = tuple[int, int]

_SHARES = 2.0
"""Landmarks whose median coordinate is not above this are shares of the picture, not pixels (ours): those of
a person who is partly outside may exceed 1."""


@dataclass(frozen=True)
class Person:
    """One person as a file has it: ``points (K,3)`` of the base joints, or of all, of ``joint_set``; the id
    of the ``picture`` where the file tells it; NaN as ``score`` where it does not."""

    joint_set: JointSet
    points: NDArray[np.float64]
    picture: str | None = None
    score: float = math.nan


@dataclass(frozen=True)
class Contents:
    """Everybody in a file, in all pictures; ``names`` and ``sizes`` (width and height as the file has them)
    of pictures by their ids."""

    people: list[Person]
    names: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str | None, tuple[Any, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """Which people of a file are asked for: those of the picture ``image`` (a path) or ``image_id``, with a
    score of at least ``min_score``, as ``joint_set`` if one is given. ``image_size`` (height, width) of the
    picture where the caller knows it."""

    joint_set: JointSet | None = None
    image: str | None = None
    image_id: str | None = None
    min_score: float = 0.0
    image_size: Size | None = None


def keypoints_of(contents: Contents, wanted: Wanted, path: Path) -> Keypoints:
    """The people of one picture. Left out are those with fewer than four present joints or too low a score.

    Raises :class:`InputError`.
    """
    ids = list(dict.fromkeys(p.picture for p in contents.people))
    picture = choose(ids, contents.names, wanted.image, wanted.image_id, path)
    people = [p for p in contents.people if p.picture == picture]
    size = _size(contents.sizes.get(picture), path)
    kept = [p for p in people if _joints(p) >= MIN_JOINTS and not p.score < wanted.min_score]
    if not kept:
        few = f"at least {MIN_JOINTS} labelled keypoints"
        few += f" and a score of {wanted.min_score:g}" if wanted.min_score else ""
        raise InputError(f"{path} has no person with {few}; check its numbers, or give another file")
    if len(kept) < len(people):
        gone = len(people) - len(kept)
        log.warning(
            "%s: %d of %d people are left out (few keypoints, or a low score)", path, gone, len(people)
        )
    kinds = list(dict.fromkeys((p.joint_set.name, len(p.points)) for p in kept))
    if len(kinds) > 1:
        mixed = " and ".join(f"{count} {name} keypoints" for name, count in kinds[:3])
        raise InputError(f"{path} mixes people with {mixed}; give all the same number")
    points, joint_set = np.stack([p.points for p in kept]), kept[0].joint_set
    if joint_set in (MEDIAPIPE33, MANO):
        points = _in_pixels(points, size or wanted.image_size, path)
    if wanted.joint_set is not None and wanted.joint_set != joint_set:
        points, joint_set = reordered(points, joint_set, wanted.joint_set, path), wanted.joint_set
    scores = np.array([p.score for p in kept])
    return Keypoints(
        joint_set,
        check_pose2d(points, joint_set, str(path)),
        size,
        scores=scores if np.isfinite(scores).all() else None,
    )


def score_of(value: object) -> float:
    """The score of a person, NaN where there is none."""
    sound = isinstance(value, int | float) and abs(value) < 1e9
    return float(value) if sound else math.nan  # type: ignore[arg-type]


def _joints(person: Person) -> int:
    points = person.points[: len(person.joint_set.base)]
    return int((np.isfinite(points).all(-1) & (points[:, 2] > 0)).sum())


def _size(size: tuple[Any, Any] | None, path: Path) -> Size | None:
    if size is None or size == (None, None):
        return None
    if not all(type(n) is int and 0 < n <= MAX_PIXEL for n in size):
        raise InputError(
            f"{path} says its picture is {size[0]!r} x {size[1]!r}; both must be whole numbers from 1 to "
            f"{MAX_PIXEL:.0f}"
        )
    return int(size[1]), int(size[0])


def _small(points: NDArray[np.float64]) -> bool:
    """Whether the points are no pixels but shares of a picture, as MediaPipe writes hands."""
    present = np.isfinite(points).all(-1) & (points[..., 2] > 0)
    return bool(present.any()) and float(np.median(np.abs(points[present, :2]))) <= _SHARES


def _in_pixels(points: NDArray[np.float64], size: Size | None, path: Path) -> NDArray[np.float64]:
    """Landmarks in pixels: shares of the picture, 0 at its edge and 1 at the other one, are scaled."""
    if not _small(points):
        return points
    present = np.isfinite(points).all(-1) & (points[..., 2] > 0)
    if size is None:
        raise InputError(
            f"{path} has landmarks as shares of the picture, from 0 to 1, but not its size; give the "
            f"picture, or pixels"
        )
    out = points.copy()
    with np.errstate(over="ignore"):
        out[..., :2] = points[..., :2] * size[::-1] - 0.5
    out[~present] = 0
    return out
