"""Reading 2D poses: one file a format, recognised from the content."""

from pathlib import Path

import numpy as np

from openhmr.errors import InputError
from openhmr.io.poses.check import check_pose2d
from openhmr.io.poses.contents import Wanted, keypoints_of
from openhmr.io.poses.files import FORMATS, frame_file, is_folder, read_file, read_folder
from openhmr.io.poses.sequence import PosedFrame, frames_of
from openhmr.joints import JointSet
from openhmr.keypoints import Keypoints, Part

__all__ = ["FORMATS", "PosedFrame", "check_pose2d", "read_poses", "read_sequence"]

MAX_POSES = 100
"""In one picture: as many people are drawn into one; for more, pass arrays to the lifter."""


def read_poses(
    path: str | Path,
    joint_set: JointSet | None = None,
    *,
    image: str | None = None,
    image_id: str | None = None,
    min_score: float = 0.0,
    image_size: tuple[int, int] | None = None,
    part: Part = "body",
) -> Keypoints:
    """The people of one picture from a file of 2D poses: ``.npy`` or ``.npz`` (``(J,2|3)``, ``(N,J,2|3)`` or
    ``(T,N,J,2|3)``, see :func:`check_pose2d`), JSON of COCO, COCO-WholeBody, OpenPose, AlphaPose, mmpose or
    MediaPipe, TRC of Sports2D, or CSV.

    The file tells the joint set; ``joint_set`` is needed for arrays whose number of joints several have, and
    takes the joints of one out of another where a file has more. ``image`` (a path) or ``image_id`` (an id, a
    file name, the number of a frame) selects the people of one picture where a file, or a folder of files
    as OpenPose writes, holds several; people below ``min_score`` are left out. ``image_size`` (height, width)
    serves landmarks that are shares of the picture. ``part`` reads the left or right hands of whole bodies,
    as ``mano`` joints. Raises :class:`InputError`.
    """
    wanted, path = _wanted(joint_set, min_score, image_size, part), Path(path)
    if is_folder(path):
        path = frame_file(path, image, image_id)
    else:
        wanted = Wanted(joint_set, image, image_id, min_score, image_size, part)
    found = read_file(path, wanted)
    out = found if isinstance(found, Keypoints) else keypoints_of(found, wanted, path)
    _check_number(out, path)
    return out


def read_sequence(
    path: str | Path,
    joint_set: JointSet | None = None,
    *,
    min_score: float = 0.0,
    image_size: tuple[int, int] | None = None,
    part: Part = "body",
    over_time: bool = False,
) -> list[PosedFrame]:
    """Every frame of a file, or of a folder of files (one a frame, as OpenPose writes them; or TRC files, one
    a person), in order, as :func:`read_poses` reads one.

    Frames are ordered by number, or by name with its numbers counted. Those without people are empty. A file
    of one picture is one frame. An array with three axes is one picture, or, where ``over_time``, one person
    in several frames. Raises :class:`InputError`, also where people of some frames only tell where
    they are, or where they have different numbers of joints.
    """
    wanted, path = _wanted(joint_set, min_score, image_size, part, over_time), Path(path)
    found = read_folder(path, wanted) if is_folder(path) else read_file(path, wanted)
    out = [PosedFrame(None, found)] if isinstance(found, Keypoints) else frames_of(found, wanted, path)
    for frame in out:
        _check_number(frame.keypoints, path)
    return out


def _check_number(people: Keypoints, path: Path) -> None:
    if len(people) > MAX_POSES:
        raise InputError(
            f"{path} holds {len(people)} people of one picture; at most {MAX_POSES} are taken: split it, or "
            f"leave out those with a low score"
        )


def _wanted(
    joint_set: JointSet | None,
    min_score: float,
    image_size: tuple[int, int] | None,
    part: Part,
    over_time: bool = False,
) -> Wanted:
    if np.isnan(min_score):
        raise InputError("min_score is nan; give a number, such as 0.5")
    return Wanted(joint_set, None, None, min_score, image_size, part, over_time)
