"""Reading 2D poses: one file a format, recognised from the content."""

from pathlib import Path
from typing import Literal

import numpy as np

from openhmr.errors import InputError
from openhmr.io.poses.arrays import read_array
from openhmr.io.poses.check import check_pose2d
from openhmr.io.poses.coco import is_coco, read_coco
from openhmr.io.poses.contents import Contents, Wanted, keypoints_of
from openhmr.io.poses.hands import of_hand
from openhmr.io.poses.json_text import read_json
from openhmr.io.poses.mediapipe import is_mediapipe, read_mediapipe
from openhmr.io.poses.mmpose import is_mmpose, read_mmpose
from openhmr.io.poses.openpose import is_openpose, read_openpose
from openhmr.io.poses.pictures import choose
from openhmr.io.poses.tables import is_table, read_table
from openhmr.joints import MANO, JointSet
from openhmr.keypoints import Keypoints

__all__ = ["FORMATS", "check_pose2d", "read_poses"]

MAX_POSES = 100
"""In one file: as many people are drawn into one picture; for more, pass arrays to the lifter."""

FORMATS = (
    "JSON of COCO, COCO-WholeBody, OpenPose, AlphaPose, mmpose, MediaPipe, CSV with the "
    "names of the joints (wide, long, DeepLabCut's)"
)
"""What text files may hold."""

_JSON = (
    (is_openpose, read_openpose),
    (is_mediapipe, read_mediapipe),
    (is_mmpose, read_mmpose),
    (is_coco, read_coco),
)


def read_poses(
    path: str | Path,
    joint_set: JointSet | None = None,
    *,
    image: str | None = None,
    image_id: str | None = None,
    min_score: float = 0.0,
    image_size: tuple[int, int] | None = None,
    hand: Literal["left", "right"] = "right",
) -> Keypoints:
    """The people of one picture from a file of 2D poses: ``.npy`` or ``.npz`` (``(J,2|3)`` or ``(N,J,2|3)``,
    see :func:`check_pose2d`), JSON of COCO, COCO-WholeBody, OpenPose, AlphaPose, mmpose or MediaPipe, or CSV.

    The file tells the joint set; ``joint_set`` is needed for arrays whose number of joints several have, and
    takes the joints of one out of another where a file has more. ``image`` (a path) or ``image_id`` (an id, a
    file name, the number of a frame) selects the people of one picture where a file, or a folder of files
    as OpenPose writes, holds several; people below ``min_score`` are left out. ``image_size`` (height, width)
    serves landmarks that are shares of the picture. Of the joint set ``mano`` the 21 points of one ``hand``
    are read, also from files of whole bodies that have them. Raises :class:`InputError`.
    """
    path = Path(path)
    if np.isnan(min_score):
        raise InputError("min_score is nan; give a number, such as 0.5")
    wanted = Wanted(joint_set, image, image_id, min_score, image_size)
    if "\0" not in str(path) and path.is_dir():
        path, wanted = _frame(path, image, image_id), Wanted(joint_set, None, None, min_score, image_size)
    if "\0" in str(path) or not path.is_file():
        raise InputError(
            f"{str(path)!r} is not an existing file; give a .npy, .npz, .json or .csv file with 2D poses"
        )
    with path.open("rb") as file:
        head = file.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith((b"\x93NUMPY", b"PK")):
        out = read_array(path, wanted)
    elif head[:1] in (b"{", b"["):
        out = keypoints_of(_json(path, joint_set, hand), wanted, path)
    elif is_table(head):
        out = keypoints_of(read_table(path, joint_set), wanted, path)
    else:
        raise InputError(f"{path} holds no 2D poses; known are NumPy arrays, {FORMATS}")
    if len(out) > MAX_POSES:
        raise InputError(
            f"{path} holds {len(out)} people; at most {MAX_POSES} are taken from one file: split it"
        )
    return out


def _json(path: Path, joint_set: JointSet | None, hand: Literal["left", "right"]) -> Contents:
    content = read_json(path)
    try:
        if joint_set == MANO:
            content = of_hand(content, hand)
        for recognised, read in _JSON:
            if recognised(content):
                return read(content, joint_set, path)
    except RecursionError:
        raise InputError(f"{path} nests lists too deeply; save the detector's output again") from None
    empty = "is empty JSON" if not content else "is JSON of no known format"
    raise InputError(f"{path} {empty} and has no person; known are {FORMATS}")


def _frame(folder: Path, image: str | None, image_id: str | None) -> Path:
    """The file of one picture in a folder of files, one for each frame, as OpenPose writes them."""
    files = {f.stem.removesuffix("_keypoints"): f for f in sorted(folder.glob("*.json"))}
    if not files:
        raise InputError(f"{folder} is a folder without JSON files; give a file of 2D poses")
    if image is None and image_id is None and len(files) > 1:
        raise InputError(
            f"{folder} is a folder of {len(files)} files, which is a sequence; poses of one picture are "
            f"read: give one of the files, or the picture or its id (such as {next(iter(files))!r})"
        )
    stem = None if image is None else Path(image).stem
    return files[str(choose(list(files), {}, stem, image_id, folder))]
