"""Which skeleton a file has: by its number of joints, or by their names."""

import logging
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openhmr.errors import InputError
from openhmr.io.poses.check import MIN_JOINTS, other_skeleton
from openhmr.joints import (
    AIC,
    BODY25,
    COCO,
    COCO_FEET,
    CROWDPOSE,
    HALPE26,
    HUMAN36,
    MEDIAPIPE33,
    MPI_INF_3DHP,
    MPI_INF_3DHP28,
    MPII,
    OPENPOSE18,
    SMPL,
    JointSet,
)

log = logging.getLogger(__name__)

DETECTED = (
    COCO, COCO_FEET, OPENPOSE18, BODY25, MPII, AIC, CROWDPOSE, HALPE26, MEDIAPIPE33, HUMAN36, MPI_INF_3DHP,
    MPI_INF_3DHP28, SMPL,
)  # fmt: skip
"""Skeletons that files come in; where names fit several, the first is meant."""

SEEN = tuple(s for s in DETECTED if s != SMPL)
"""Those that a number of joints may mean in the files of detectors: none of them writes SMPL's joints."""

WHOLE_BODIES = {133: COCO_FEET, 136: HALPE26}
"""Skeletons with face and hands, of which the first joints are the body's: COCO-WholeBody and Halpe."""

HANDS = {133: 91, 136: 94}
"""Where their 21 joints of the left hand begin; those of the right one follow. Both are in MANO's order."""

USUAL = {17: COCO}
"""Where people's files mean one of several skeletons with so many joints."""

MAX_NAMES = 1000

# Other names of joints, in skeletons that have no joint of that name.
_ALIASES = (
    ("midhip", "pelvis"), ("hip", "pelvis"), ("hipcenter", "pelvis"), ("root", "pelvis"),
    ("neck", "throat"), ("neck", "upperneck"), ("head", "headtop"), ("tophead", "headtop"),
    ("spine", "torso"),
)  # fmt: skip
_SIDES = {"l": "l_", "left": "l_", "r": "r_", "right": "r_"}


def by_count(
    count: int,
    asked: JointSet | None,
    where: object,
    usual: Mapping[int, JointSet] = USUAL,
    known: Sequence[JointSet] = SEEN,
) -> JointSet:
    """The joint set of ``count`` joints: the ``usual`` one, else ``asked`` if it has so many, else the only
    one of those that are ``known``. Raises :class:`InputError`, whose sentence starts with ``where``."""
    if count in WHOLE_BODIES or count in usual:
        return WHOLE_BODIES.get(count) or usual[count]
    if asked is not None and count in (len(asked.base), asked.size):
        return asked
    fits = [s for s in known if count == len(s.base)] or [s for s in (COCO,) if count == s.size]
    if len(fits) > 1:
        raise InputError(
            f"{where} has {count} joints, as several joint sets have; name the right one of "
            f"{', '.join(s.name for s in fits)}"
        )
    if not fits:
        those = ", ".join(f"{s.name} ({len(s.base)})" for s in known)
        others = [s.name for s in DETECTED if count == len(s.base)]
        hint = f", and {others[0]} if it is named" if others else ""
        raise InputError(
            f"{where} has {count} joint{'s' * (count != 1)}{other_skeleton(count)}; known skeletons "
            f"are {those}{hint}"
        )
    return fits[0]


def hands_of(points: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """The hands ``(21,...)`` among ``points (K,...)`` of a whole body, by their part."""
    first = HANDS.get(len(points))
    if first is None:
        return {}
    return {"left_hand": points[first : first + 21], "right_hand": points[first + 21 : first + 42]}


def body_points(points: NDArray[np.float64], joint_set: JointSet) -> NDArray[np.float64]:
    """Of ``points (K,...)`` of a whole body those of ``joint_set``, which come first."""
    return points[: len(joint_set.base)] if len(points) in WHOLE_BODIES else points


def by_names(
    names: Sequence[str], asked: JointSet | None, where: object
) -> tuple[JointSet, NDArray[np.int64]]:
    """The joint set that has most of ``names``, and the row ``(len(names),)`` of each in it, -1 for none.

    Capitals, marks between words and the place of the side do not count: ``left_hip``, ``LHip`` and ``Hip.L``
    are one. Names of no joint are left out with a warning. Raises :class:`InputError` where hardly a name is
    known, or one is there twice.
    """
    if len(names) > MAX_NAMES:
        raise InputError(f"{where} names {len(names):,} joints; at most {MAX_NAMES:,} are read")
    candidates = DETECTED if asked is None or asked in DETECTED else (asked, *DETECTED)
    best = max(candidates, key=lambda s: _in_common(s, names, s == asked))
    rows = np.array([_row(best, name) for name in names], np.int64)
    known = rows[rows >= 0]
    if len(known) < MIN_JOINTS:
        given = ", ".join(map(repr, names[:6])) or "none"
        raise InputError(
            f"{where} names {len(known)} joint{'s' * (len(known) != 1)} of a known skeleton, at least "
            f"{MIN_JOINTS} are needed; its names are {given}: call them like {', '.join(best.names[:3])} ..."
        )
    for row in known:
        if (known == row).sum() > 1:
            raise InputError(f"{where} has the joint {best.names[row]} twice; give it once")
    if len(known) < len(names):
        gone = [name for name, row in zip(names, rows, strict=True) if row < 0]
        some = ", ".join(map(repr, gone[:5]))
        log.warning("%s: of %s these are no joints: %s", where, best.name, some)
    return best, rows


def _in_common(joint_set: JointSet, names: Sequence[str], asked: bool) -> tuple[int, bool, int]:
    """How many of the names are joints of a set, whether it is asked for, and how many are not derived."""
    rows = [row for name in names if (row := _row(joint_set, name)) >= 0]
    return len(rows), asked, sum(row < len(joint_set.base) for row in rows)


def _row(joint_set: JointSet, name: str) -> int:
    known = _rows(joint_set)
    return known.get(name.strip().lower(), known.get(canonical(name), -1))


def canonical(name: str) -> str:
    """A joint's name without capitals, marks and data sets, the side in front."""
    name = re.sub(r"_(mpii|3dhp|h36m|smpl)$", "", name.strip())
    words = [w.lower() for w in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name[:100])]
    side = next((_SIDES[w] for w in words if w in _SIDES), "")
    return side + "".join(w for w in words if w not in _SIDES)


@cache
def _rows(joint_set: JointSet) -> dict[str, int]:
    out = {name.lower(): i for i, name in enumerate(joint_set.names)}
    for i, name in enumerate(joint_set.names):
        out.setdefault(canonical(name), i)
    for alias, name in _ALIASES:
        if name in out:
            out.setdefault(alias, out[name])
    return out


def reordered(
    points: NDArray[np.float64], source: JointSet, target: JointSet, where: Path
) -> NDArray[np.float64]:
    """``points (N,K,3)`` of ``source`` as those of ``target``, which are the same points of the body.

    Raises :class:`InputError` where one is missing.
    """
    own = [source.points.get(name, name) for name in source.names[: points.shape[1]]]
    wanted = [target.points.get(name, name) for name in target.base]
    missing = [point for point in wanted if point not in own]
    if missing:
        raise InputError(
            f"{where} holds {source.name} joints, not {target.name}: it lacks {', '.join(missing[:3])}; "
            f"leave the joint set out, or use a model of {source.name} joints"
        )
    return points[:, [own.index(point) for point in wanted]]
