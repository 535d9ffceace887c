"""``openhmr lift``: 2D poses to 3D meshes."""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openhmr.arguments import add_camera, add_height, add_model, add_output
from openhmr.errors import InputError, NothingFound

if TYPE_CHECKING:
    from openhmr.bodies.shipped import Side
    from openhmr.pipeline import Picture
    from openhmr.predict.lift import Lifter

_EXAMPLES = """examples:
  openhmr lift examples/human36_pose.npy --joints human36 --out out/human36
  openhmr lift examples/coco_skier.json --out out/skier
  openhmr lift openpose/000012_keypoints.json --image photo.jpg --focal 1150 --out out/photo
  openhmr lift poses.json --camera camera.json --image-id 42 --min-score 0.5 --out out/one
  openhmr lift pose.npy --model official.onnx --body SMPL_NEUTRAL.pkl --out out/official
  openhmr lift hand.npy --joints mano --hand left --out out/hand
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
        "--hand", choices=("left", "right"), help="which hand mano joints are of (default: right)"
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
    from openhmr.cli.posed import frames_of, picture_of, pictures_of
    from openhmr.cli.running import folder_for, write_frame, write_frames
    from openhmr.pipeline import Pipeline

    started = time.perf_counter()
    folder = folder_for(options)
    lifter = _lifter(options)
    pipeline, frames = Pipeline(lifter=lifter), [] if _is_photo(options) else frames_of(options, lifter)
    if len(frames) > 1:
        folder = folder_for(options, several=True)
        write_frames(pipeline(pictures_of(options, frames)), folder, options)
        return
    picture = picture_of(options, frames[0].keypoints) if frames else _photo(options)
    frame = pipeline.frame(picture)
    if not len(frame.people):
        raise NothingFound(f"nobody was found in {options.pose}; give another photo, or 2D poses")
    write_frame(frame, folder, options, started)


def _lifter(options: argparse.Namespace) -> "Lifter":
    from openhmr.cli.running import another_kind
    from openhmr.joints import JOINT_SETS, MANO, get_joint_set, has_points
    from openhmr.models import available, load
    from openhmr.predict.lift import Lifter

    hand: Side = options.hand or "right"
    if options.hand is not None and options.joints not in (None, MANO.name):
        raise InputError(f"--hand is for the {MANO.name} joints of hands, not {options.joints}; leave it out")
    if options.model is None:
        names = [s.name for s in JOINT_SETS.values() if has_points(s)]
        joints = options.joints or (MANO.name if options.hand else "coco")
        if joints == MANO.name and f"pose2mesh-{MANO.name}" in available():
            return load("pose2mesh-mano", options.body, hand=hand)  # type: ignore[return-value]
        if joints not in names:
            get_joint_set(joints)  # a sentence for names that are no joint set at all
            raise InputError(
                f"no model for {joints} joints comes with openhmr; add --model FILE.onnx, or choose one of "
                f"{', '.join(names)}"
            )
        return load(f"pose2mesh-{joints}", options.body)  # type: ignore[return-value]
    lifter = load(options.model, options.body, hand=hand)
    if not isinstance(lifter, Lifter):
        raise another_kind(options.model, lifter)
    if options.joints not in (None, lifter.joint_set.name):
        lifter = Lifter(options.model, lifter.body, get_joint_set(options.joints))
    return lifter


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
