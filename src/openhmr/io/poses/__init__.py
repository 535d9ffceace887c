"""Reading 2D poses: one file a format, recognised from the content."""

from pathlib import Path

from openhmr.errors import InputError
from openhmr.io.arrays import read_npy, read_npz
from openhmr.io.poses.check import check_pose2d
from openhmr.io.poses.coco import read_coco
from openhmr.joints import JointSet
from openhmr.keypoints import Keypoints

__all__ = ["check_pose2d", "read_poses"]

MAX_NUMBERS = 1_000_000
MAX_POSES = 100
"""In one file: as many people are drawn into one picture; for more, pass arrays to the lifter."""
_ARRAYS = ("pose2d", "keypoints", "joints2d")


def read_poses(
    path: str | Path,
    joint_set: JointSet,
    *,
    image: str | None = None,
    image_id: str | None = None,
    min_score: float = 0.0,
) -> Keypoints:
    """The people of one picture from ``.npy`` or ``.npz`` (``(J,2|3)`` or ``(N,J,2|3)``, see
    :func:`check_pose2d`) or COCO keypoint JSON (data set, result list, one annotation).

    ``image`` (a path) or ``image_id`` selects the people of one picture where a JSON file holds several;
    people below ``min_score`` are left out. Raises :class:`InputError`.
    """
    path = Path(path)
    if "\0" in str(path) or not path.is_file():
        raise InputError(
            f"{str(path)!r} is not an existing file; give a .npy, .npz or COCO .json file with 2D poses"
        )
    with path.open("rb") as file:
        head = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith(b"\x93NUMPY"):
        out = Keypoints(joint_set, check_pose2d(read_npy(path, MAX_NUMBERS), joint_set, str(path)))
    elif head.startswith(b"PK"):
        out = _read_npz(path, joint_set)
    elif head[:1] in (b"{", b"["):
        out = read_coco(path, joint_set, image, image_id, min_score)
    else:
        raise InputError(
            f"{path} is neither a NumPy array nor JSON; save 2D poses with numpy.save, or as COCO keypoint "
            f"JSON"
        )
    if len(out) > MAX_POSES:
        raise InputError(
            f"{path} holds {len(out)} people; at most {MAX_POSES} are taken from one file: split it"
        )
    return out


def _read_npz(path: Path, joint_set: JointSet) -> Keypoints:
    arrays = read_npz(path, MAX_NUMBERS)
    name = next((n for n in _ARRAYS if n in arrays), next(iter(arrays)) if len(arrays) == 1 else None)
    if name is None:
        raise InputError(
            f"{path} holds the arrays {', '.join(list(arrays)[:20])}; a file of 2D poses holds one array, "
            f"or one called "
            f"{' or '.join(_ARRAYS)}"
        )
    said = str(arrays.get("joint_set", joint_set.name))
    if said != joint_set.name:
        raise InputError(f"{path} holds {said} joints, not {joint_set.name}; use the model of that joint set")
    size = arrays.get("image_size")
    known = None if size is None or size.shape != (2,) else (int(size[0]), int(size[1]))
    return Keypoints(joint_set, check_pose2d(arrays[name], joint_set, f"{path}[{name}]"), known)
