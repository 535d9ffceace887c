"""``openhmr lift``: 2D poses to 3D meshes."""

import argparse
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openhmr.arguments import add_camera, add_height, add_model, add_output
from openhmr.errors import InputError, NothingFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from openhmr.io.images import Photo
    from openhmr.io.poses import PosedFrame
    from openhmr.joints import JointSet
    from openhmr.keypoints import Keypoints
    from openhmr.pipeline import Picture
    from openhmr.predict.lift import Lifter

log = logging.getLogger(__name__)

_EXAMPLES = """examples:
  openhmr lift examples/human36_pose.npy --joints human36 --out out/human36
  openhmr lift examples/coco_skier.json --out out/skier
  openhmr lift openpose/000012_keypoints.json --image photo.jpg --focal 1150 --out out/photo
  openhmr lift poses.json --camera camera.json --image-id 42 --min-score 0.5 --out out/one
  openhmr lift pose.npy --model official.onnx --body SMPL_NEUTRAL.pkl --out out/official
  openhmr lift openpose/ --no-pictures --out out/clip
  openhmr lift alphapose-results.json --image frames/ --out out/clip
  openhmr lift photo.jpg --out out/detected

POSE is what a detector wrote: JSON of COCO, COCO-WholeBody, OpenPose (also its folder), AlphaPose, mmpose or
MediaPipe; TRC of Sports2D; CSV; or an array (J,2|3), (N,J,2|3) or (T,N,J,2|3) of pixels x, y and an optional
confidence (0 = missing) as .npy or .npz; or a photo, in which everybody is found. --joints is for arrays and
where a file does not tell its skeleton; `openhmr skeletons` lists them. OUT receives mesh.obj, mesh.glb
(metres, y up), result.npz (metres, camera axes), pose2d.png and overlay.png, or what --formats names
(docs/formats.md). Of a sequence each frame gets a folder of its own below OUT, in order, unless --image or
--image-id chooses one."""


def add_command(commands: Any) -> None:
    lift = commands.add_parser(
        "lift", help="2D poses to 3D meshes", description="2D poses to 3D meshes.", epilog=_EXAMPLES
    )
    lift.add_argument(
        "pose",
        type=Path,
        metavar="POSE",
        help="2D poses: JSON, CSV, .npy or .npz; or a photo, whose people are found",
    )
    lift.add_argument(
        "--joints",
        metavar="SET",
        help="joint set of POSE where it does not tell: coco, human36, body25, halpe26 ...",
    )
    lift.add_argument(
        "--image",
        type=Path,
        metavar="IMG",
        help="picture that the poses belong to: gives its size and perhaps focal length; or the folder of a "
        "sequence's pictures",
    )
    lift.add_argument(
        "--image-id",
        metavar="ID",
        help="which picture's people of a file that holds several: id, file name or frame",
    )
    lift.add_argument(
        "--min-score", type=float, default=0.0, metavar="S", help="leave out people whose score is lower"
    )
    lift.add_argument(
        "--as-stored",
        action="store_true",
        help="the poses count pixels as stored, before the EXIF rotation of IMG",
    )
    add_camera(lift, "IMG's EXIF data, or 52 degrees field of view")
    add_height(lift)
    add_model(lift)
    add_output(lift)
    lift.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    from openhmr.cli.running import folder_for, write_frame, write_frames
    from openhmr.pipeline import Pipeline

    started = time.perf_counter()
    folder = folder_for(options)
    lifter = _lifter(options)
    pipeline, frames = Pipeline(lifter=lifter), [] if _is_photo(options) else _frames(options, lifter)
    if len(frames) > 1:
        folder = folder_for(options, several=True)
        write_frames(pipeline(_pictures(options, frames)), folder, options)
        return
    picture = _given(options, frames[0].keypoints) if frames else _photo(options)
    frame = pipeline.frame(picture)
    if not len(frame.people):
        raise NothingFound(f"nobody was found in {options.pose}; give another photo, or 2D poses")
    write_frame(frame, folder, options, started)


def _lifter(options: argparse.Namespace) -> "Lifter":
    from openhmr.cli.running import another_kind
    from openhmr.joints import JOINT_SETS, get_joint_set, has_points
    from openhmr.models import load
    from openhmr.predict.lift import Lifter

    if options.model is None:
        names = [s.name for s in JOINT_SETS.values() if has_points(s)]
        joints = options.joints or "coco"
        if joints not in names:
            get_joint_set(joints)  # a sentence for names that are no joint set at all
            raise InputError(
                f"no model for {joints} joints comes with openhmr; add --model FILE.onnx, or choose one of "
                f"{', '.join(names)}"
            )
        return load(f"pose2mesh-{joints}", options.body)  # type: ignore[return-value]
    lifter = load(options.model, options.body)
    if not isinstance(lifter, Lifter):
        raise another_kind(options.model, lifter)
    if options.joints is not None:
        lifter = Lifter(options.model, lifter.body, get_joint_set(options.joints))
    return lifter


def _frames(options: argparse.Namespace, lifter: "Lifter") -> "list[PosedFrame]":
    """The frames of POSE in which there is somebody; the one that an option chooses."""
    from openhmr.io.photos import SUFFIXES
    from openhmr.io.poses import PosedFrame, read_poses, read_sequence

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


def _pictures(options: argparse.Namespace, frames: "list[PosedFrame]") -> "Iterator[Picture]":
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
        picture = _given(options, frame.keypoints, photo_of(frame), around)
        yield replace(picture, name=frame.name, time_s=frame.time_s)


def _photos_of(
    options: argparse.Namespace, frames: "list[PosedFrame]"
) -> "Callable[[PosedFrame], Path | None]":
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


def _given(
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


def _is_photo(options: argparse.Namespace) -> bool:
    from openhmr.io.photos import SUFFIXES

    return options.pose.suffix.lower() in SUFFIXES


def _photo(options: argparse.Namespace) -> "Picture":
    """A photo whose people the pipeline detects."""
    from openhmr.cli.running import camera_for
    from openhmr.io.images import read_photo
    from openhmr.pipeline import Picture

    of_files = options.image, options.image_id, options.min_score or None, options.as_stored or None
    if options.joints not in (None, "coco") or of_files != (None,) * len(of_files):
        raise InputError(
            f"{options.pose} is a photo, in which coco joints are found; leave out other --joints and the "
            "options of pose files: --image, --image-id, --min-score, --as-stored"
        )
    photo = read_photo(options.pose, people=True)
    camera = camera_for(options, photo.image.shape[:2], photo)
    return Picture(photo.image, camera=camera, heights_m=options.height)
