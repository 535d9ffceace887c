"""Arrays of 2D poses, ``.npy`` and ``.npz``: the people of one picture, or of the frames of a sequence."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openhmr.errors import InputError
from openhmr.io.arrays import read_npy, read_npz
from openhmr.io.poses.check import check_pose2d
from openhmr.io.poses.contents import Contents, Person, Wanted
from openhmr.io.poses.skeletons import DETECTED, body_points, by_count, hands_of
from openhmr.joints import JOINT_SETS, JointSet, get_joint_set, has_points
from openhmr.keypoints import Keypoints

MAX_NUMBERS = 5_000_000
"""Ten thousand frames of six people."""
_ARRAYS = ("pose2d", "keypoints", "joints2d")


def read_array(path: Path, wanted: Wanted) -> Keypoints | Contents:
    """The people of ``.npy`` or ``.npz``, ``(J,2|3)`` or ``(N,J,2|3)``; everybody in the frames of
    ``(T,N,J,2|3)``, which are called 0, 1, and so on. Raises :class:`InputError`."""
    with path.open("rb") as file:
        single = file.read(6) == b"\x93NUMPY"
    if single:
        return _poses(read_npy(path, MAX_NUMBERS), wanted, wanted.joint_set, path)
    arrays = read_npz(path, MAX_NUMBERS)
    name = next((n for n in _ARRAYS if n in arrays), next(iter(arrays)) if len(arrays) == 1 else None)
    if name is None:
        raise InputError(
            f"{path} holds the arrays {', '.join(list(arrays)[:20])}; a file of 2D poses holds one array, or "
            f"one called {' or '.join(_ARRAYS)}"
        )
    joint_set = _told(arrays.get("joint_set"), wanted.joint_set, path)
    size = arrays.get("image_size")
    known = None if size is None or size.shape != (2,) else _size(size, path)
    return _poses(arrays[name], wanted, joint_set, path, f"[{name}]", known)


def _poses(
    array: NDArray[Any],
    wanted: Wanted,
    joint_set: JointSet | None,
    path: Path,
    name: str = "",
    size: tuple[int, int] | None = None,
) -> Keypoints | Contents:
    if wanted.part != "body":
        raise InputError(f"{path} holds arrays, of which the body is read; give the joints of a hand alone")
    if array.ndim == 3 and wanted.over_time:
        array = array[:, None]
    if array.ndim == 4 and array.size and array.shape[-1] in (2, 3) and array.dtype.kind in "iuf":
        return _frames(array, joint_set, f"{path}{name}", size)
    if wanted.image_id is not None:
        raise InputError(
            f"{path} holds arrays, the people of one picture, which has no id; leave the id "
            f"{wanted.image_id!r} out"
        )
    return _keypoints(array, joint_set, f"{path}{name}", size)


def _frames(
    array: NDArray[Any], joint_set: JointSet | None, where: str, size: tuple[int, int] | None
) -> Contents:
    """Everybody in ``array (T,N,J,2|3)``."""
    joint_set = by_count(array.shape[2], joint_set, where, usual={}, known=DETECTED)
    points = np.ones((*array.shape[:3], 3))
    points[..., : array.shape[-1]] = array
    people = [
        Person(joint_set, body_points(person, joint_set), str(frame), hands=hands_of(person))
        for frame, everybody in enumerate(points)
        for person in everybody
    ]
    pictures = [str(frame) for frame in range(len(points))]
    return Contents(people, sizes=dict.fromkeys(pictures, size and size[::-1]), pictures=pictures)  # type: ignore[arg-type]


def _keypoints(
    array: NDArray[Any], joint_set: JointSet | None, where: str, size: tuple[int, int] | None = None
) -> Keypoints:
    if joint_set is None:
        if array.ndim not in (2, 3) or array.shape[-1] not in (2, 3):
            raise InputError(
                f"{where} has shape {array.shape}; 2D poses are (J, 2|3), (N, J, 2|3), or in frames "
                f"(T, N, J, 2|3)"
            )
        joint_set = by_count(array.shape[-2], None, where, usual={}, known=DETECTED)
        array = np.moveaxis(body_points(np.moveaxis(array, -2, 0), joint_set), 0, -2)
    return Keypoints(joint_set, check_pose2d(array, joint_set, where), size)


def _told(said: NDArray[Any] | None, asked: JointSet | None, path: Path) -> JointSet | None:
    """The joint set that a file says it has, which must be the one asked for."""
    if said is None:
        return asked
    name = str(said)[:60]
    if asked is not None and name != asked.name:
        raise InputError(f"{path} holds {name} joints, not {asked.name}; use the model of that joint set")
    return (
        get_joint_set(name, [s.name for s in JOINT_SETS.values() if has_points(s)])
        if asked is None
        else asked
    )


def _size(size: NDArray[Any], path: Path) -> tuple[int, int]:
    try:
        return int(size[0]), int(size[1])
    except (ValueError, TypeError, OverflowError):
        raise InputError(f"{path} has an image_size that is no height and width; give two numbers") from None
