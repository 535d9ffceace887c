"""Sequences of 2D poses: the frames of a file or a folder in order, each with its people."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from openhmr.errors import InputError
from openhmr.io.poses.check import MIN_JOINTS, MIN_SPAN_PX
from openhmr.io.poses.contents import (
    SHARES,
    Contents,
    Person,
    Wanted,
    check_told,
    keypoints_of,
    nobody_there,
    scores_of,
    size_of,
    stacked,
    warn_of_left_out,
)
from openhmr.io.poses.pictures import in_order, parts
from openhmr.keypoints import Keypoints

MAX_PEOPLE = 200_000
"""In all frames together."""


@dataclass(frozen=True, eq=False)
class PosedFrame:
    """The ``keypoints`` of the people in one frame of a sequence, perhaps of nobody; its ``name`` (of the
    picture, without folder and suffix, or the frame's number in six digits; None where the file tells
    neither), and its ``time_s`` where the file tells it."""

    name: str | None
    keypoints: Keypoints
    time_s: float | None = None


def frames_of(contents: Contents, wanted: Wanted, path: Path) -> list[PosedFrame]:
    """Every frame of ``contents`` in order, also those without people: fewer than four joints, or a score
    that is too low, are nobody. A file that tells no frames is one frame. Raises :class:`InputError` if
    nobody is in any.
    """
    contents = contents.of_part(wanted.part, path)
    check_told(contents, path)
    ids = list(
        dict.fromkeys([*contents.pictures, *(p.picture for p in contents.people if p.picture is not None)])
    )
    if len(ids) < 2:
        return [PosedFrame(None, keypoints_of(contents, wanted, path))]
    kept = [p for p in contents.people if _is_there(p) and not p.score < wanted.min_score]
    if not kept:
        raise nobody_there(wanted, path)
    if len(kept) > MAX_PEOPLE:
        raise InputError(f"{path} holds {len(kept):,} people; at most {MAX_PEOPLE:,} are read: split it")
    warn_of_left_out(len(kept), len(contents.people), path)
    sizes = {i: size_of(contents, i, path) for i in ids}
    joint_set, points = stacked(kept, [sizes[str(p.picture)] for p in kept], wanted, path)
    rows = defaultdict[str, list[int]](list)
    for row, person in enumerate(kept):
        rows[str(person.picture)].append(row)
    names = _names(ids, contents, path)
    out = []
    for i in in_order([contents.names.get(i, i) for i in ids]):
        picture, own = ids[i], rows[ids[i]]
        scores = scores_of([kept[row] for row in own])
        keypoints = Keypoints(joint_set, points[own], sizes[picture], scores=scores)
        out.append(PosedFrame(names[picture], keypoints, contents.times.get(picture)))
    return out


def _is_there(person: Person) -> bool:
    """Whether a pose tells anything: one frame of a sequence must not end the others."""
    points = person.points[: len(person.joint_set.base)]
    there = np.isfinite(points).all(-1) & (points[:, 2] > 0)
    there &= ~((points[:, :2] == 0).all(-1) | (points[:, :2] == -1).all(-1))
    xy = points[there, :2]
    if len(xy) < MIN_JOINTS:
        return False
    in_pixels = np.abs(xy).max() > SHARES
    return not in_pixels or bool(np.ptp(xy, axis=0).max() >= MIN_SPAN_PX)


def _names(ids: Sequence[str], contents: Contents, path: Path) -> dict[str, str]:
    """What the frames are called, so that a file or folder can have the name."""
    whole = {i: contents.names.get(i, f"{int(i):06d}" if re.fullmatch(r"\d{1,18}", i) else i) for i in ids}
    short = {i: _stem(parts(name)[-1]) for i, name in whole.items()}
    if len(set(short.values())) < len(ids):
        short = {i: _stem("_".join(parts(name))) for i, name in whole.items()}
    if len(set(short.values())) < len(ids):
        raise InputError(f"{path} calls two of its frames the same; give each a name or number of its own")
    return short


def _stem(name: str) -> str:
    """Without the suffix of a picture; numbers of seconds keep what is behind their point."""
    name = re.sub(r"\.[A-Za-z]\w{1,4}$", "", name)[:200]
    return re.sub(r"[\x00-\x1f/\\:]", "_", name).strip(". ") or "_"
