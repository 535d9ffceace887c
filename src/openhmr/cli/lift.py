"""``openhmr lift``: 2D poses to 3D meshes."""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openhmr.arguments import add_camera, add_model, add_output
from openhmr.errors import InputError

if TYPE_CHECKING:
    from openhmr.io.images import Photo
    from openhmr.keypoints import Keypoints
    from openhmr.pipeline import Picture
    from openhmr.predict.lift import Lifter

_EXAMPLES = """examples:
  openhmr lift examples/human36_pose.npy --joints human36 --out out/human36
  openhmr lift examples/coco_skier.json --joints coco --out out/skier
  openhmr lift alphapose.npy --joints halpe26 --out out/halpe
  openhmr lift poses.json --joints coco --image photo.jpg --focal 1150 --out out/photo
  openhmr lift poses.json --joints coco --camera camera.json --image-id 42 --min-score 0.5 --out out/one
  openhmr lift pose.npy --model official.onnx --body SMPL_NEUTRAL.pkl --out out/official
  openhmr lift photo.jpg --detect --out out/detected

POSE is an array (J,2), (J,3), (N,J,2) or (N,J,3) of pixels x, y and an optional confidence (0 = missing) as
.npy or .npz, or COCO keypoint JSON. OUT receives mesh.obj, mesh.glb (metres, y up), result.npz (metres,
camera axes), pose2d.png and overlay.png."""


def add_command(commands: Any) -> None:
    lift = commands.add_parser(
        "lift", help="2D poses to 3D meshes", description="2D poses to 3D meshes.", epilog=_EXAMPLES
    )
    lift.add_argument(
        "pose",
        type=Path,
        metavar="POSE",
        help="2D poses: .npy, .npz or COCO keypoint JSON; a photo with --detect",
    )
    lift.add_argument(
        "--joints", metavar="SET", help="joint set of POSE: coco, human36, smpl, body25, halpe26 ..."
    )
    lift.add_argument(
        "--detect",
        action="store_true",
        help="POSE is a photo, in which MediaPipe finds people (detect extra)",
    )
    lift.add_argument(
        "--image",
        type=Path,
        metavar="IMG",
        help="picture that the poses belong to: gives its size and perhaps focal length",
    )
    lift.add_argument(
        "--image-id", metavar="ID", help="which picture's people of a file that holds several pictures'"
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
    add_model(lift)
    add_output(lift)
    lift.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    from openhmr.cli.running import folder_for, write_frame
    from openhmr.pipeline import Pipeline

    started = time.perf_counter()
    folder = folder_for(options)
    lifter = _lifter(options)
    picture = _detected(options) if options.detect else _given(options, lifter)
    write_frame(Pipeline(lifter=lifter).one(picture), folder, options, started)


def _lifter(options: argparse.Namespace) -> "Lifter":
    from openhmr.joints import JOINT_SETS, get_joint_set, has_points
    from openhmr.models import load
    from openhmr.predict.lift import Lifter

    if options.model is None:
        names = [s.name for s in JOINT_SETS.values() if has_points(s)]
        if options.joints is None and not options.detect:
            raise InputError(
                f"the joint set of {options.pose} is not known; add --joints with one of {', '.join(names)}"
            )
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
        raise InputError(f"{options.model} takes photos, not 2D poses; use it with `openhmr recover`")
    if options.joints is not None:
        lifter = Lifter(options.model, lifter.body, get_joint_set(options.joints))
    return lifter


def _given(options: argparse.Namespace, lifter: "Lifter") -> "Picture":
    from openhmr.camera import image_size_around
    from openhmr.cli.running import camera_for
    from openhmr.io.images import read_photo
    from openhmr.io.poses import read_poses
    from openhmr.pipeline import Picture

    photo = None if options.image is None else read_photo(options.image, upright=not options.as_stored)
    keypoints = read_poses(
        options.pose,
        lifter.joint_set,
        image=None if options.image is None else str(options.image),
        image_id=options.image_id,
        min_score=options.min_score,
    )
    if photo is not None and keypoints.image_size not in (None, photo.image.shape[:2]):
        raise _another_size(options, keypoints, photo)
    size = keypoints.image_size if photo is None else photo.image.shape[:2]
    if size is None and options.camera is None:
        size = image_size_around(keypoints.points)
    camera = camera_for(options, size, photo)
    return Picture(None if photo is None else photo.image, keypoints, camera=camera)


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


def _detected(options: argparse.Namespace) -> "Picture":
    from openhmr.cli.running import camera_for
    from openhmr.errors import NothingFound
    from openhmr.io.images import read_photo
    from openhmr.pipeline import Picture
    from openhmr.predict.detect.mediapipe import detect_people

    if options.joints not in (None, "coco") or options.image is not None:
        raise InputError("--detect takes a photo and finds coco joints; leave --image and other --joints out")
    photo = read_photo(options.pose, people=True)
    keypoints = detect_people(photo.image)
    if not len(keypoints):
        raise NothingFound(
            f"no person was found in {options.pose}; give a picture with people, or a file of 2D poses"
        )
    camera = camera_for(options, photo.image.shape[:2], photo)
    return Picture(photo.image, keypoints, camera=camera)
