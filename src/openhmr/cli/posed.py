"""2D poses from options: the frames of a file or a folder, with their pictures and cameras."""

import argparse
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openhmr.errors import InputError

if TYPE_CHECKING:
    from openhmr.io.images import Photo
    from openhmr.io.poses import PosedFrame
    from openhmr.joints import JointSet
    from openhmr.keypoints import Keypoints
    from openhmr.pipeline import Picture
    from openhmr.predict.lift import Lifter

log = logging.getLogger(__name__)


def frames_of(options: argparse.Namespace, lifter: "Lifter") -> "list[PosedFrame]":
    """The frames of POSE in which there is somebody; the one that an option chooses."""
    from openhmr.io.photos import SUFFIXES
    from openhmr.io.poses import PosedFrame, read_poses, read_sequence
    from openhmr.joints import MANO

    if options.as_stored and options.image is None:
        raise InputError(
            "--as-stored is about the EXIF rotation of a picture; add --image IMG, or leave it out"
        )
    suffixes = {p.suffix.lower() for p in options.pose.iterdir()} if options.pose.is_dir() else set()
    if suffixes & set(SUFFIXES) and not suffixes & {".json", ".trc"}:
        raise InputError(
            f"{options.pose} is a folder of photos; `openhmr recover {options.pose}` takes it, and "
            f"`openhmr lift` takes single photos, or files of 2D poses"
        )
    joint_set, several = _joint_set(options, lifter), options.image is not None and options.image.is_dir()
    how: Any = {"min_score": options.min_score, "image_size": _known_size(options)}
    if lifter.joint_set == MANO and options.pose.suffix.lower() not in (".npy", ".npz"):
        how["part"] = f"{options.hand or 'right'}_hand"
    if options.image_id is None and (options.image is None or several):
        frames = read_sequence(options.pose, joint_set, **how)
    else:
        image = None if options.image is None else str(options.image)
        found = read_poses(options.pose, joint_set, image=image, image_id=options.image_id, **how)
        frames = [PosedFrame(None, found)]
    there = [frame for frame in frames if len(frame.keypoints)]
    if len(there) < len(frames) and len(there) > 1:
        log.warning("%s: nobody is in %d of %d frames", options.pose, len(frames) - len(there), len(frames))
    if options.min_score and any(frame.keypoints.scores is None for frame in there):
        raise InputError(f"{options.pose} does not have a score for everybody; leave --min-score out")
    return there


def pictures_of(options: argparse.Namespace, frames: "list[PosedFrame]") -> Iterator["Picture"]:
    """The frames of a sequence, of one camera, each with its picture where there are some."""
    from dataclasses import replace

    import numpy as np
    from tqdm import tqdm

    from openhmr.camera import image_size_around
    from openhmr.cli.printing import printable

    if options.height is not None and not isinstance(options.height, float):
        raise InputError("--height has several heights, which belong to one picture; give one for all")
    around = image_size_around(np.concatenate([frame.keypoints.points for frame in frames]))
    photo_of = _photos_of(options, frames)
    for frame in tqdm(frames, desc=printable(options.pose.name), unit="frame", delay=1):
        picture = picture_of(options, frame.keypoints, photo_of(frame), around)
        yield replace(picture, name=frame.name, time_s=frame.time_s)


def _photos_of(
    options: argparse.Namespace, frames: "list[PosedFrame]"
) -> Callable[["PosedFrame"], Path | None]:
    """Which picture of ``--image``, a folder, each frame has: the one of its name, else of its number."""
    from openhmr.io.photos import photos_in
    from openhmr.io.poses.pictures import number_of

    if options.image is None:
        return lambda frame: None
    photos, found = photos_in(options.image), dict[str | None, Path]()
    for frame in frames:
        name = frame.name or ""
        number = number_of(name)
        same = [p for p in photos if p.stem == name] or [
            p for p in photos if number is not None and number_of(p.stem) == number
        ]
        if len(same) != 1:
            raise InputError(
                f"{options.image} holds {len(same) or 'no'} pictures of the frame {name!r}; call them as the "
                f"frames, or number them alike"
            )
        found[frame.name] = same[0]
    return lambda frame: found[frame.name]


def picture_of(
    options: argparse.Namespace,
    keypoints: "Keypoints",
    path: Path | None = None,
    around: tuple[int, int] | None = None,
) -> "Picture":
    """Poses with their camera and their picture, at ``path`` or that of ``--image``, else one ``around``
    everybody."""
    from openhmr.camera import Camera, image_size_around
    from openhmr.cli.running import camera_for
    from openhmr.io.images import read_photo
    from openhmr.pipeline import Picture

    path = path or options.image
    photo = None if path is None else read_photo(path, upright=not options.as_stored)
    if photo is not None and photo.turned and not options.as_stored and not _upright(keypoints):
        log.warning(
            "the EXIF data of %s turn it, and in the turned picture the people do not stand upright; add "
            "--as-stored if the poses count pixels of the stored one",
            path,
        )
    if photo is not None and keypoints.image_size not in (None, photo.image.shape[:2]):
        raise _another_size(options, keypoints, photo, path)
    size = keypoints.image_size if photo is None else photo.image.shape[:2]
    if size is None and options.camera is None:
        size = around or image_size_around(keypoints.points)
    camera = camera_for(options, size, photo)
    if camera is None and size is not None:
        camera = Camera.assumed(size)
    image = None if photo is None else photo.image
    return Picture(image, keypoints, camera=camera, heights_m=options.height)


def _joint_set(options: argparse.Namespace, lifter: "Lifter") -> "JointSet | None":
    """What POSE must hold: None for whatever it tells."""
    from openhmr.joints import POINTS

    return None if options.joints is None and lifter.layout == POINTS else lifter.joint_set


def _known_size(options: argparse.Namespace) -> tuple[int, int] | None:
    """Height and width of the picture that the poses belong to, if an option tells them."""
    from openhmr.cli.running import camera_for
    from openhmr.io.images import read_photo
    from openhmr.io.photos import photos_in

    if options.image is not None:
        path = photos_in(options.image)[0] if options.image.is_dir() else options.image
        return read_photo(path, upright=not options.as_stored).image.shape[:2]  # type: ignore[return-value]
    camera = None if options.camera is None else camera_for(options, None, None)
    return None if camera is None else camera.image_size


def _upright(keypoints: "Keypoints") -> bool:
    """Whether most people whose trunk is seen have their shoulders above their hips."""
    import numpy as np

    names, points = keypoints.joint_set.names, keypoints.points
    trunk = [[f"{side}_{joint}" for side in "LR"] for joint in ("Shoulder", "Hip")]
    if not {name for pair in trunk for name in pair} <= set(names):
        return True
    ends = np.stack([points[:, [names.index(name) for name in pair]] for pair in trunk], 1)
    x, y = (ends[:, 1, :, :2] - ends[:, 0, :, :2]).mean(1)[(ends[..., 2] > 0).all((1, 2))].T
    return 2 * int((y > abs(x)).sum()) >= len(y)


def _another_size(
    options: argparse.Namespace, keypoints: "Keypoints", photo: "Photo", path: Path | None
) -> InputError:
    size, told = photo.image.shape[:2], keypoints.image_size
    if told == size[::-1] and not options.as_stored:
        return InputError(
            f"{path} is {size[1]} x {size[0]} pixels after the rotation of its EXIF data, but "
            f"{options.pose} counts "
            f"pixels of {size[0]} x {size[1]}: add --as-stored if the poses belong to the stored, unrotated "
            f"picture"
        )
    return InputError(
        f"{path} has (height, width) {size}, but {options.pose} says {told}; pass the picture of these poses"
    )
