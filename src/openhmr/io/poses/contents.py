"""What a file of 2D poses holds, whatever its format, and the people of one of its pictures."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openhmr.errors import InputError, NothingFound
from openhmr.io.poses.check import MAX_PIXEL, MIN_JOINTS, check_pose2d
from openhmr.io.poses.pictures import choose
from openhmr.io.poses.skeletons import reordered
from openhmr.joints import MANO, MEDIAPIPE33, JointSet
from openhmr.keypoints import Keypoints, Part

log = logging.getLogger(__name__)

Size = tuple[int, int]

SHARES = 2.0
"""Landmarks whose median coordinate is not above this are shares of the picture, not pixels (ours): those of
a person who is partly outside may exceed 1."""


@dataclass(frozen=True)
class Person:
    """One person as a file has it: ``points (K,3)`` of the base joints, or of all, of ``joint_set``; the id
    of the ``picture`` where the file tells it; NaN as ``score`` where it does not; ``hands (21,3)`` by their
    part, in MANO's order, where the file has them."""

    joint_set: JointSet
    points: NDArray[np.float64]
    picture: str | None = None
    score: float = math.nan
    hands: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)


@dataclass(frozen=True)
class Contents:
    """Everybody in a file, in all pictures; ``names``, ``sizes`` (width and height as the file has them) and
    ``times`` in seconds of pictures by their ids; the ids of all ``pictures``, as far as the file tells them,
    also of those without people."""

    people: list[Person]
    names: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str | None, tuple[Any, Any]] = field(default_factory=dict)
    times: Mapping[str, float] = field(default_factory=dict)
    pictures: Sequence[str] = ()

    def of_part(self, part: Part, path: Path) -> "Contents":
        """Hands in the place of the bodies that they belong to. Raises :class:`InputError` if there is
        none."""
        if part == "body":
            return self
        hands = [
            p if p.joint_set == MANO else replace(p, joint_set=MANO, points=p.hands[part], hands={})
            for p in self.people
            if p.joint_set == MANO or part in p.hands
        ]
        if not hands:
            raise InputError(
                f"{path} has no {part.replace('_', ' ')}; hands are in files of OpenPose with hands, and in "
                f"those of 133 or 136 joints"
            )
        return replace(self, people=hands)


@dataclass(frozen=True)
class Wanted:
    """Which people of a file are asked for: those of the picture ``image`` (a path) or ``image_id``, with a
    score of at least ``min_score``, as ``joint_set`` if one is given. ``image_size`` (height, width) of the
    picture where the caller knows it; arrays with three axes are several people of a picture, or, where
    ``over_time``, one in several frames."""

    joint_set: JointSet | None = None
    image: str | None = None
    image_id: str | None = None
    min_score: float = 0.0
    image_size: Size | None = None
    part: Part = "body"
    over_time: bool = False


def keypoints_of(contents: Contents, wanted: Wanted, path: Path) -> Keypoints:
    """The people of one picture. Left out are those with fewer than four present joints or too low a score.

    Raises :class:`InputError`.
    """
    contents = contents.of_part(wanted.part, path)
    check_told(contents, path)
    ids = list(dict.fromkeys(p.picture for p in contents.people))
    picture = choose(ids, contents.names, wanted.image, wanted.image_id, path)
    people = [p for p in contents.people if p.picture == picture]
    kept = [p for p in people if _joints(p) >= MIN_JOINTS and not p.score < wanted.min_score]
    if not kept:
        raise nobody_there(wanted, path)
    warn_of_left_out(len(kept), len(people), path)
    size = size_of(contents, picture, path)
    joint_set, points = stacked(kept, [size] * len(kept), wanted, path)
    return Keypoints(joint_set, points, size, scores=scores_of(kept))


def check_told(contents: Contents, path: Path) -> None:
    """Raises :class:`InputError` where a file tells the picture of some people only: whether the others are
    in it, nobody can say."""
    told = [p.picture is not None for p in contents.people]
    if any(told) and not all(told):
        raise InputError(
            f"{path} says of {sum(told)} of {len(told)} people in which picture or frame they are; say it of "
            f"all, or of nobody"
        )


def nobody_there(wanted: Wanted, path: Path) -> NothingFound:
    """What to say of a file in which nobody is wanted."""
    few = f"at least {MIN_JOINTS} labelled keypoints"
    few += f" and a score of {wanted.min_score:g}" if wanted.min_score else ""
    return NothingFound(f"{path} has no person with {few}; check its numbers, or give another file")


def warn_of_left_out(kept: int, given: int, path: Path) -> None:
    """Log how many of the ``given`` people are not among the ``kept`` ones."""
    if kept < given:
        log.warning(
            "%s: %d of %d people are left out (few keypoints, or a low score)", path, given - kept, given
        )


def stacked(
    people: Sequence[Person], sizes: Sequence[Size | None], wanted: Wanted, path: Path
) -> tuple[JointSet, NDArray[np.float32]]:
    """The joint set and the points ``(N,J,3)`` of ``people`` in pictures of ``sizes``, one each. Raises
    :class:`InputError`."""
    kinds = list(dict.fromkeys((p.joint_set.name, len(p.points)) for p in people))
    if len(kinds) > 1:
        mixed = " and ".join(f"{count} {name} keypoints" for name, count in kinds[:3])
        raise InputError(f"{path} mixes people with {mixed}; give all the same number")
    points, joint_set = np.stack([p.points for p in people]), people[0].joint_set
    if joint_set in (MEDIAPIPE33, MANO):
        for size in dict.fromkeys(sizes):
            rows = [i for i, other in enumerate(sizes) if other == size]
            points[rows] = _in_pixels(points[rows], size or wanted.image_size, path)
    if wanted.joint_set is not None and wanted.part == "body" and wanted.joint_set != joint_set:
        points, joint_set = reordered(points, joint_set, wanted.joint_set, path), wanted.joint_set
    return joint_set, check_pose2d(points, joint_set, str(path))


def scores_of(people: Sequence[Person]) -> NDArray[np.float64] | None:
    """Everybody's score, None where somebody has none."""
    scores = np.array([p.score for p in people])
    return scores if np.isfinite(scores).all() else None


def score_of(value: object) -> float:
    """The score of a person, NaN where there is none."""
    sound = isinstance(value, int | float) and abs(value) < 1e9
    return float(value) if sound else math.nan  # type: ignore[arg-type]


def _joints(person: Person) -> int:
    points = person.points[: len(person.joint_set.base)]
    return int((np.isfinite(points).all(-1) & (points[:, 2] > 0)).sum())


def size_of(contents: Contents, picture: str | None, path: Path) -> Size | None:
    """Height and width of a picture, where the file tells them. Raises :class:`InputError`."""
    size = contents.sizes.get(picture)
    if size is None or size == (None, None):
        return None
    if not all(type(n) is int and 0 < n <= MAX_PIXEL for n in size):
        raise InputError(
            f"{path} says its picture is {size[0]!r} x {size[1]!r}; both must be whole numbers from 1 to "
            f"{MAX_PIXEL:.0f}"
        )
    return int(size[1]), int(size[0])


def _in_pixels(points: NDArray[np.float64], size: Size | None, path: Path) -> NDArray[np.float64]:
    """Landmarks in pixels: shares of the picture, 0 at its edge and 1 at the other one, are scaled."""
    present = np.isfinite(points).all(-1) & (points[..., 2] > 0)
    if np.median(np.abs(points[present, :2])) > SHARES:
        return points
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
