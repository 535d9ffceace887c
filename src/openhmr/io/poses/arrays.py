"""Arrays of 2D poses, ``.npy`` and ``.npz``: the people of one picture."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openhmr.errors import InputError
from openhmr.io.arrays import read_npy, read_npz
from openhmr.io.poses.check import MIN_JOINTS, check_pose2d
from openhmr.io.poses.contents import Wanted
from openhmr.io.poses.skeletons import body_points, by_count
from openhmr.joints import JOINT_SETS, JointSet, get_joint_set, has_points
from openhmr.keypoints import Keypoints

MAX_NUMBERS, MAX_FRAME_NUMBERS = 1_000_000, 50_000_000
_ARRAYS = ("pose2d", "keypoints", "joints2d")


def read_array(path: Path, wanted: Wanted) -> Keypoints:
    """The people of ``.npy`` or ``.npz``, ``(J,2|3)`` or ``(N,J,2|3)``. Raises :class:`InputError`."""
    if wanted.image_id is not None:
        raise InputError(
            f"{path} holds arrays, the people of one picture, which has no id; leave the id "
            f"{wanted.image_id!r} out"
        )
    return _keypoints(*_read(path, wanted, MAX_NUMBERS))


def read_array_frames(path: Path, wanted: Wanted) -> list[Keypoints | None]:
    """The people of every frame of an array ``(T,J,2|3)``, one person, or ``(T,N,J,2|3)``; None where all
    joints of all people are missing. Raises :class:`InputError`."""
    array, joint_set, where, size = _read(path, wanted, MAX_FRAME_NUMBERS)
    if (
        array.ndim not in (3, 4)
        or array.shape[-1] not in (2, 3)
        or not array.size
        or array.dtype.kind not in "iuf"
    ):
        raise InputError(
            f"{where} is of {array.dtype} and shape {array.shape}; poses of a sequence are numbers "
            f"(T, J, 2|3) or (T, N, J, 2|3)"
        )
    out: list[Keypoints | None] = []
    for people in array if array.ndim == 4 else array[:, None]:
        seen = np.isfinite(people).all(-1) & (people != 0).any(-1) & (people[..., 2:] != 0).all(-1)
        rows = seen.sum(-1) >= MIN_JOINTS
        out.append(_keypoints(people[rows], joint_set, where, size) if rows.any() else None)
    return out


def _read(
    path: Path, wanted: Wanted, most: int
) -> tuple[NDArray[Any], JointSet | None, str, tuple[int, int] | None]:
    """The array of a file, with the joint set and the picture's size where they are known."""
    with path.open("rb") as file:
        single = file.read(6) == b"\x93NUMPY"
    if single:
        return read_npy(path, most), wanted.joint_set, str(path), None
    arrays = read_npz(path, most)
    name = next((n for n in _ARRAYS if n in arrays), next(iter(arrays)) if len(arrays) == 1 else None)
    if name is None:
        raise InputError(
            f"{path} holds the arrays {', '.join(list(arrays)[:20])}; a file of 2D poses holds one array, or "
            f"one called {' or '.join(_ARRAYS)}"
        )
    joint_set = _told(arrays.get("joint_set"), wanted.joint_set, path)
    size = arrays.get("image_size")
    known = None if size is None or size.shape != (2,) else _size(size, path)
    return arrays[name], joint_set, f"{path}[{name}]", known


def _keypoints(
    array: NDArray[Any], joint_set: JointSet | None, where: str, size: tuple[int, int] | None = None
) -> Keypoints:
    if joint_set is None:
        if array.ndim not in (2, 3) or array.shape[-1] not in (2, 3):
            raise InputError(f"{where} has shape {array.shape}; 2D poses are (J, 2|3) or (N, J, 2|3)")
        joint_set = by_count(array.shape[-2], None, where, usual={})
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
