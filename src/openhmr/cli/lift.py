"""``openhmr lift``: 2D poses to 3D meshes."""

import argparse
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openhmr.arguments import add_camera, add_height, add_model, add_output
from openhmr.errors import InputError, NothingFound

if TYPE_CHECKING:
    from openhmr.io.images import Photo
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
  openhmr lift photo.jpg --out out/detected

POSE is what a detector wrote: JSON of COCO, COCO-WholeBody, OpenPose (also its folder, with --image or
--image-id), AlphaPose, mmpose or MediaPipe; CSV; or an array (J,2), (J,3), (N,J,2) or (N,J,3) of pixels x, y
and an optional confidence (0 = missing) as .npy or .npz; or a photo, in which everybody is found. --joints is
for arrays and where a file does not tell its skeleton; `openhmr skeletons` lists them. OUT receives mesh.obj,
mesh.glb (metres, y up), result.npz (metres, camera axes), pose2d.png and overlay.png."""


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
        help="picture that the poses belong to: gives its size and perhaps focal length",
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
    from openhmr.cli.running import folder_for, write_frame
    from openhmr.models import load
    from openhmr.pipeline import Pipeline

    started = time.perf_counter()
    folder = folder_for(options)
    lifter = _lifter(options)
    photo = _is_photo(options)
    picture = _photo(options, lifter) if photo else _given(options, lifter)
    check = load("i2l-body") if photo else None
    frame = Pipeline(lifter=lifter, check=check).frame(picture)  # type: ignore[arg-type]
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


def _given(options: argparse.Namespace, lifter: "Lifter") -> "Picture":
    from openhmr.camera import image_size_around
    from openhmr.cli.running import camera_for
    from openhmr.io.images import read_photo
    from openhmr.io.poses import read_poses
    from openhmr.pipeline import Picture

    if options.as_stored and options.image is None:
        raise InputError(
            "--as-stored is about the EXIF rotation of a picture; add --image IMG, or leave it out"
        )
    photo = None if options.image is None else read_photo(options.image, upright=not options.as_stored)
    keypoints = read_poses(
        options.pose,
        _joint_set(options, lifter),
        image=None if options.image is None else str(options.image),
        image_id=options.image_id,
        min_score=options.min_score,
        image_size=_known_size(options, photo),
    )
    if options.min_score and keypoints.scores is None:
        raise InputError(f"{options.pose} does not have a score for everybody; leave --min-score out")
    if photo is not None and photo.turned and not options.as_stored and not _upright(keypoints):
        log.warning(
            "the EXIF data of %s turn it, and in the turned picture the people do not stand upright; add "
            "--as-stored if the poses count pixels of the stored one",
            options.image,
        )
    if photo is not None and keypoints.image_size not in (None, photo.image.shape[:2]):
        raise _another_size(options, keypoints, photo)
    size = keypoints.image_size if photo is None else photo.image.shape[:2]
    if size is None and options.camera is None:
        size = image_size_around(keypoints.points)
    camera = camera_for(options, size, photo)
    image = None if photo is None else photo.image
    return Picture(image, keypoints, camera=camera, heights_m=options.height)


def _joint_set(options: argparse.Namespace, lifter: "Lifter") -> "JointSet | None":
    """What POSE must hold: None for whatever it tells."""
    from openhmr.joints import POINTS

    return None if options.joints is None and lifter.layout == POINTS else lifter.joint_set


def _known_size(options: argparse.Namespace, photo: "Photo | None") -> tuple[int, int] | None:
    """Height and width of the picture that the poses belong to, if an option tells them."""
    from openhmr.cli.running import camera_for

    if photo is not None:
        return photo.image.shape[:2]  # type: ignore[return-value]
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


def _another_size(options: argparse.Namespace, keypoints: "Keypoints", photo: "Photo") -> InputError:
    size, told = photo.image.shape[:2], keypoints.image_size
    if told == size[::-1] and not options.as_stored:
        return InputError(
            f"{options.image} is {size[1]} x {size[0]} pixels after the rotation of its EXIF data, but "
            f"{options.pose} counts "
            f"pixels of {size[0]} x {size[1]}: add --as-stored if the poses belong to the stored, unrotated "
            f"picture"
        )
    return InputError(
        f"{options.image} has (height, width) {size}, but {options.pose} says {told}; pass the picture of "
        f"these poses"
    )


def _is_photo(options: argparse.Namespace) -> bool:
    from openhmr.io.photos import SUFFIXES

    return options.pose.suffix.lower() in SUFFIXES


def _photo(options: argparse.Namespace, lifter: "Lifter") -> "Picture":
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
