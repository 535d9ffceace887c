"""The command line: names to objects. Nothing else in the package knows names or prints."""

import argparse
import importlib
import json
import logging
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openhmr.arguments import Parser, box, folder
from openhmr.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from openhmr.io.images import Photo
    from openhmr.io.pose2d import Pose2D
    from openhmr.predict.result import Result

JOINT_SETS = ("coco", "human36")
SHORTEST_PX, LONGEST_SHARE = 32, 10
UNSURE_MM = 150
"""Of people who are there 1 in 100 has more; about half of the boxes without them have."""
RESULT_FILES = ("mesh.obj", "mesh.glb", "result.npz", "pose2d.png", "overlay.png")

_LIFT_EXAMPLES = """examples:
  openhmr lift examples/human36_pose.npy --joints human36 --out out/human36
  openhmr lift examples/coco_skier.json --joints coco --out out/skier
  openhmr lift poses.json --joints coco --image photo.jpg --focal 1150 --out out/photo
  openhmr lift photo.jpg --detect --out out/detected

POSE is a .npy array (J,2), (J,3), (N,J,2) or (N,J,3) of pixels x, y and an optional confidence (0 = missing), or COCO
keypoint JSON. OUT receives mesh.obj, mesh.glb (metres, y up), result.npz (metres, camera axes), pose2d.png, overlay.png."""

_RECOVER_EXAMPLES = """examples:
  openhmr recover photo.jpg --out out/photo
  openhmr recover group.jpg --detect --lift --out out/group
  openhmr recover photo.jpg --box 280,45,219,347 --box 30,60,110,300 --focal 1150 --out out/two

Without --box and --detect the one most certain person is searched. The focal length comes from --focal, the photo's EXIF data,
or a field of view of 52 degrees. OUT receives the same files as from `openhmr lift`; result.npz also tells the uncertainty of every
vertex and joint, and the pose and shape parameters with their own mesh (shown in its place with --param)."""

_EXAMPLES = """examples:
  openhmr recover photo.jpg --out out/photo
  openhmr lift examples/coco_skier.json --joints coco --out out/skier
  openhmr bodies convert SMPL_NEUTRAL.pkl smpl.npz
  openhmr lab --help"""


def main(argv: list[str] | None = None) -> int:
    """Run the command ``argv`` (default: of the process). Returns the exit code: 0, or 2 after ``error: ...``
    on stderr."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    arguments = _with_negatives(sys.argv[1:] if argv is None else argv)
    try:
        if arguments[:1] == ["lab"]:  # its own parser, which exists only with the train extra
            return _lab(arguments[1:])
        options = _parser().parse_args(arguments)
        options.run(options)
        return 0
    except InputError as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 0
    except KeyboardInterrupt:
        print("interrupted; files that were complete before stay as they were", file=sys.stderr)
        return 130
    except OSError as error:  # a path too long, a full disk: what the system says, as one sentence
        print(
            f"error: {str(error.filename or 'output')[:80]}: {error.strerror}; choose another path or free "
            f"some space",
            file=sys.stderr,
        )
        return 2


def _with_negatives(arguments: list[str]) -> list[str]:
    """``--box -10,5,80,200`` as ``--box=-10,5,80,200``: argparse takes a list that begins with a minus for an
    option."""
    out: list[str] = []
    for argument in arguments:
        if out and out[-1] in ("--box", "--focal") and re.match(r"-(\d|\.|inf)", argument):
            out[-1] += f"={argument}"
        else:
            out.append(argument)
    return out


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="openhmr", description="Open human mesh recovery.", epilog=_EXAMPLES)
    parser.add_argument("--version", action=_Version)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    lift = commands.add_parser(
        "lift", help="2D poses to 3D meshes", description="2D poses to 3D meshes.", epilog=_LIFT_EXAMPLES
    )
    lift.add_argument(
        "pose", type=Path, metavar="POSE", help="2D poses: .npy or COCO keypoint .json; a photo with --detect"
    )
    lift.add_argument("--joints", choices=JOINT_SETS, help="joint set of POSE")
    lift.add_argument(
        "--detect",
        action="store_true",
        help="POSE is a photo, in which MediaPipe finds people (detect extra)",
    )
    lift.add_argument(
        "--image",
        type=Path,
        metavar="IMG",
        help="picture the poses belong to (drawn upon; fixes the image size)",
    )
    lift.add_argument(
        "--focal", type=float, metavar="PX", help="focal length in pixels (default: 52 degrees field of view)"
    )
    lift.add_argument(
        "--out", type=folder, metavar="DIR", required=True, help="folder for the results; made if need be"
    )
    lift.add_argument("--json", action="store_true", help="print a machine-readable summary")
    lift.set_defaults(run=_lift)
    _add_recover(commands)
    bodies = commands.add_parser(
        "bodies", help="convert SMPL and MANO files", description="Work with body models."
    )
    body_commands = bodies.add_subparsers(metavar="COMMAND", required=True)
    convert = body_commands.add_parser(
        "convert", help="SMPL .pkl/.npz or MANO .pkl to .npz", description="Convert a body model."
    )
    convert.add_argument("source", metavar="IN", help="SMPL .pkl or .npz, or MANO .pkl")
    convert.add_argument("target", metavar="OUT", help="file to write, .npz")
    convert.set_defaults(run=_convert)
    commands.add_parser("lab", help="train, test and bake (needs the train extra)", add_help=False)
    return parser


def _add_recover(commands: Any) -> None:
    about = "People in a photo to 3D meshes."
    recover = commands.add_parser(
        "recover", help="photos to 3D meshes", description=about, epilog=_RECOVER_EXAMPLES
    )
    recover.add_argument("photo", type=Path, metavar="PHOTO", help="JPEG, PNG, WebP, BMP or TIFF")
    who = recover.add_mutually_exclusive_group()
    who.add_argument(
        "--box",
        type=box,
        action="append",
        metavar="X,Y,W,H",
        help="a person's box in pixels; may be given again",
    )
    who.add_argument(
        "--detect",
        action="store_true",
        help="find people with MediaPipe (detect extra), but not those in front of others",
    )
    recover.add_argument(
        "--focal", type=float, metavar="PX", help="focal length in pixels (default: EXIF, or 52 degrees)"
    )
    recover.add_argument(
        "--lift", action="store_true", help="average with Pose2Mesh on the 2D joints, by uncertainty"
    )
    recover.add_argument("--param", action="store_true", help="meshes and pictures show the parametric mesh")
    recover.add_argument(
        "--out", type=folder, metavar="DIR", required=True, help="folder for the results; made if need be"
    )
    recover.add_argument("--json", action="store_true", help="print a machine-readable summary")
    recover.set_defaults(run=_recover)


class _Version(argparse.Action):
    """Looks the version up only when asked."""

    def __init__(self, option_strings: list[str], dest: str, **_: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, help="print the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print("openhmr", version("openhmr"))
        parser.exit()


def _lift(options: argparse.Namespace) -> None:
    import openhmr
    from openhmr.io.images import read_image

    _check_folder(options.out, RESULT_FILES)
    started = time.perf_counter()
    image: NDArray[np.uint8] | None
    if options.detect:
        poses, image = _detected(options)
    else:
        image = None if options.image is None else read_image(options.image)
        poses = _given_poses(options)
    size = poses.image_size if image is None else (image.shape[0], image.shape[1])
    if poses.image_size not in (None, size):
        told = f"{options.pose} says {poses.image_size}"
        raise InputError(
            f"{options.image} has (height, width) {size}, but {told}; pass the picture of these poses"
        )
    lifter = openhmr.load(f"pose2mesh-{options.joints or 'coco'}")
    result = lifter(poses.joints, options.focal, size)
    _write_all(options, result, result, image, started, {})


def _given_poses(options: argparse.Namespace) -> "Pose2D":
    from openhmr.io.pose2d import read_pose2d
    from openhmr.joints import COCO, HUMAN36

    if options.joints is None:
        raise InputError(
            f"the joint set of {options.pose} is not told; add --joints {' or --joints '.join(JOINT_SETS)}, "
            f"or --detect for a photo"
        )
    joint_set = {s.name: s for s in (COCO, HUMAN36)}[options.joints]
    return read_pose2d(options.pose, joint_set, None if options.image is None else options.image.name)


def _detected(options: argparse.Namespace) -> "tuple[Pose2D, NDArray[np.uint8]]":
    from openhmr.io.pose2d import Pose2D, check_pose2d
    from openhmr.joints import COCO
    from openhmr.predict.detect import detect_people

    if options.joints not in (None, "coco") or options.image is not None:
        raise InputError("--detect takes a photo and finds coco joints; leave --image and other --joints out")
    photo = _photo(options.pose)
    options.focal = photo.focal_px if options.focal is None else options.focal
    joints = check_pose2d(detect_people(photo.image).pose2d, COCO, str(options.pose))
    return Pose2D(joints, photo.image.shape[:2]), photo.image


def _photo(path: Path) -> "Photo":
    from openhmr.io.images import read_photo

    photo = read_photo(path)
    height, width = photo.image.shape[:2]
    if min(height, width) < SHORTEST_PX or max(height, width) > LONGEST_SHARE * min(height, width):
        raise InputError(
            f"{path} is {width} x {height} pixels; photos of at least {SHORTEST_PX} pixels, and at most "
            f"{LONGEST_SHARE} times as long "
            "as wide, can hold people: give another picture"
        )
    return photo


def _recover(options: argparse.Namespace) -> None:
    import numpy as np

    import openhmr
    from openhmr.predict.average import average
    from openhmr.predict.detect import detect_people
    from openhmr.predict.person_crop import check_boxes

    _check_folder(options.out, RESULT_FILES)
    started = time.perf_counter()
    image, written_down = _photo(options.photo)
    focal = written_down if options.focal is None else options.focal
    boxes = (
        detect_people(image).boxes
        if options.detect
        else options.box and check_boxes(options.box, image.shape[:2])
    )
    recoverer = openhmr.load("i2l-body")
    recovered = recoverer(image, boxes, focal)
    # The network's own: an average is surer of what is not there, too.
    sigma_mm = 1000 * np.median(np.linalg.norm(recovered.joints_sigma, axis=-1), axis=-1)
    if options.lift:
        lifted = openhmr.load("pose2mesh-coco")(recovered.pose2d, focal, recovered.image_size)
        recovered = average(recovered, lifted, recoverer.body)
    shown = recovered.parametric() if options.param else recovered
    for i, sigma in enumerate(sigma_mm):
        if sigma > UNSURE_MM:
            print(
                f"warning: person {i} is uncertain by {sigma:.0f} mm (median of the joints); maybe nobody "
                f"is there",
                file=sys.stderr,
            )
    more = {
        "boxes": recovered.boxes.round(1).tolist(),
        "joints_sigma_mm": [round(float(sigma), 1) for sigma in sigma_mm],
        "focal_from": "--focal" if options.focal is not None else "EXIF" if focal else "52 degrees",
    }
    _write_all(options, recovered, shown, image, started, more)


def _write_all(
    options: argparse.Namespace,
    result: "Result",
    shown: "Result",
    image: "NDArray[np.uint8] | None",
    started: float,
    more: dict[str, Any],
) -> None:
    """Write all files of ``result``, with the meshes of ``shown`` in the pictures and mesh files; print the
    summary."""
    from openhmr.export.glb import write_glb
    from openhmr.export.obj import write_obj
    from openhmr.io.images import write_png
    from openhmr.render.overlay import canvas_for, overlay_picture, pose2d_picture

    canvas = canvas_for(shown, image)
    skeleton, overlay = pose2d_picture(shown, canvas), overlay_picture(shown, canvas)
    writers: tuple[Callable[[Path], None], ...] = (
        lambda p: write_obj(p, shown),
        lambda p: write_glb(p, shown),
        result.save_npz,
        lambda p: write_png(p, skeleton),
        lambda p: write_png(p, overlay),
    )
    made = next((p for p in reversed((options.out, *options.out.parents)) if not p.exists()), None)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        # All of them, then one rename each: a full disk must not leave new files among old ones.
        with tempfile.TemporaryDirectory(prefix=".openhmr-", dir=options.out) as unfinished:
            for name, write in zip(RESULT_FILES, writers, strict=True):
                write(Path(unfinished) / name)
            for name in RESULT_FILES:
                os.replace(Path(unfinished) / name, options.out / name)
    except OSError as error:
        if made is not None and made.is_dir():
            for folder in (options.out, *options.out.parents):
                if folder.is_relative_to(made):
                    folder.rmdir()
        raise InputError(
            f"{options.out} cannot be written ({error.strerror}); free some space or choose another --out "
            f"folder"
        ) from None
    summary = {
        "people": len(shown.vertices),
        "vertices": shown.vertices.shape[1],
        "image_size": list(shown.image_size),
        "focal_px": round(float(shown.K[0, 0]), 2),
        "translation_m": shown.translation.round(4).tolist(),
        "reprojection_px": shown.reprojection_px().round(2).tolist(),
        **more,
        "seconds": round(time.perf_counter() - started, 3),
        "files": [str(options.out / name) for name in RESULT_FILES],
    }
    print(json.dumps(summary) if options.json else _in_words(summary, options.out))


def _in_words(summary: dict[str, Any], out: Path) -> str:
    lines = [
        f"person {i}: {t[2]:.2f} m away, joints off by {e:.1f} px (median)"
        for i, (t, e) in enumerate(zip(summary["translation_m"], summary["reprojection_px"], strict=True))
    ]
    lines.append(
        f"{summary['people']} x {summary['vertices']} vertices, focal {summary['focal_px']} px, "
        f"{summary['seconds']} s"
    )
    return "\n".join(
        [
            *lines,
            f"look at {out / 'overlay.png'}; all files: {', '.join(Path(f).name for f in summary['files'])}",
        ]
    )


def _check_folder(out: Path, names: tuple[str, ...]) -> None:
    blocking = next((p for p in (out, *out.parents) if p.exists()), None)
    if blocking is not None and not blocking.is_dir():
        raise InputError(f"--out {out} cannot be made: {blocking} is a file; choose a folder")
    folder = next((out / name for name in names if (out / name).is_dir()), None)
    if folder is not None:
        raise InputError(f"{folder} is a folder where a result would go; move it or choose another --out")


def _convert(options: argparse.Namespace) -> None:
    from openhmr.bodies.readers import convert

    try:
        body = convert(options.source, options.target)
    except OSError as error:
        raise InputError(
            f"{options.target} cannot be written ({error.strerror}); choose another file"
        ) from None
    print(f"{options.target}: {body.num_vertices} vertices, {body.num_joints} joints, {body.num_betas} betas")


def _lab(arguments: list[str]) -> int:
    try:
        lab = importlib.import_module("openhmr.lab.cli")
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("openhmr."):
            raise
        raise InputError(
            f"`openhmr lab` needs {error.name}, which is not installed; run: pip install 'openhmr[train]'"
        ) from None
    return int(lab.main(arguments) or 0)


if __name__ == "__main__":
    sys.exit(main())
