"""``openhmr recover``: people in photos to 3D meshes."""

import argparse
import logging
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openhmr.arguments import add_camera, add_height, add_model, add_output, box
from openhmr.errors import InputError, NothingFound

if TYPE_CHECKING:
    from openhmr.export.folder import Folder
    from openhmr.pipeline import Picture, Pipeline

log = logging.getLogger(__name__)

_EXAMPLES = """examples:
  openhmr recover photo.jpg --out out/photo
  openhmr recover group.jpg --lift --out out/group
  openhmr recover photo.jpg --box 280,45,219,347 --box 30,60,110,300 --focal 1150 --out out/two
  openhmr recover photo.jpg --camera Calib.toml --camera-name cam01 --out out/calibrated
  openhmr recover holiday/ --no-pictures --out out/holiday

Without --box everybody is found. The focal length comes from --camera, --focal, the photo's EXIF data, or a
field of view of 52 degrees. OUT receives the same files as from `openhmr lift`; result.npz also holds the
uncertainty of every vertex and joint, the pose and shape parameters, and the mesh that they were fitted to
(shown in its place with --lixel). Of a folder of photos each gets a folder of its own below OUT."""


def add_command(commands: Any) -> None:
    about = "Everybody in a photo, or in a folder of photos, to 3D meshes."
    recover = commands.add_parser("recover", help="photos to 3D meshes", description=about, epilog=_EXAMPLES)
    recover.add_argument(
        "photo", type=Path, metavar="PHOTO", help="JPEG, PNG, WebP, BMP or TIFF, or a folder of them"
    )
    recover.add_argument(
        "--box",
        type=box,
        action="append",
        metavar="X,Y,W,H",
        help="a person's box in pixels; may be given again (default: everybody)",
    )
    mesh = recover.add_mutually_exclusive_group()
    mesh.add_argument(
        "--lift", action="store_true", help="average with Pose2Mesh on the 2D joints, by uncertainty"
    )
    mesh.add_argument(
        "--lixel",
        action="store_true",
        help="the mesh as the network draws it, vertex by vertex, which may break where it is unsure",
    )
    recover.add_argument(
        "--lift-model", type=Path, metavar="FILE", help="Pose2Mesh for --lift (default: the shipped one)"
    )
    recover.add_argument(
        "--param", action="store_true", help="with --lift: show the photo's own meshes, not the average"
    )
    recover.add_argument(
        "--fast", action="store_true", help="look at each person once, not at the mirror image too"
    )
    recover.add_argument(
        "--force", action="store_true", help="write what was seen even where nobody seems to be"
    )
    add_camera(recover, "EXIF, or 52 degrees")
    add_height(recover)
    add_model(recover)
    add_output(recover)
    recover.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    from openhmr.cli.running import folder_for, write_frame

    started = time.perf_counter()
    several = options.photo.is_dir()
    folder = folder_for(options, several=several, parametric=options.param)
    if several and options.box:
        raise InputError(
            f"--box belongs to one photo, but {options.photo} is a folder; name the photo, or "
            f"leave the box out"
        )
    if options.lift_model and not options.lift:
        raise InputError("--lift-model is used by --lift alone; add --lift, or leave it out")
    if options.param and not options.lift:
        raise InputError("--param chooses between the meshes of --lift; add --lift, or leave it out")
    pipeline = _pipeline(options)
    if several:
        _run_folder(pipeline, options, folder)
    else:
        frame = pipeline.frame(_picture(options.photo, options))
        if not len(frame.people):
            found = "in the boxes given for" if options.box else "in"
            raise NothingFound(
                f"nobody was found {found} {options.photo}; give --box X,Y,W,H around a person, or --force "
                f"to see what was taken for one"
            )
        write_frame(frame, folder, options, started)


def _run_folder(pipeline: "Pipeline", options: argparse.Namespace, folder: "Folder") -> None:
    """Every photo of a folder in turn; photos with nobody in them, or that cannot be read, are named and
    skipped."""
    from tqdm import tqdm

    from openhmr.cli.printing import printable
    from openhmr.cli.running import write_frames
    from openhmr.io.photos import photos_in

    paths = photos_in(options.photo)
    with tqdm(paths, desc=printable(options.photo.name), unit="photo", delay=1) as bar:
        try:
            write_frames(pipeline(_pictures(bar, options)), folder, options)
        except NothingFound:
            raise NothingFound(
                f"nobody was found in any of the {len(paths)} photos in {options.photo}; give others, or "
                f"--force"
            ) from None


def _pictures(paths: Iterable[Path], options: argparse.Namespace) -> "Iterator[Picture]":
    for path in paths:
        try:
            yield _picture(path, options)
        except InputError as error:
            log.warning("%s is skipped: %s", path.name, error)


def _pipeline(options: argparse.Namespace) -> "Pipeline":
    from openhmr.cli.running import networks_of
    from openhmr.pipeline import Pipeline

    return Pipeline(
        *networks_of(options),
        combine="average" if options.lift else "lixel" if options.lixel else "param",
        keep_all=options.force,
    )


def _picture(path: Path, options: argparse.Namespace) -> "Picture":
    import numpy as np

    from openhmr.cli.running import camera_for
    from openhmr.io.images import read_photo
    from openhmr.pipeline import Picture
    from openhmr.predict.person_crop import check_boxes

    photo = read_photo(path, people=True)
    size = photo.image.shape[:2]
    boxes = None if options.box is None else check_boxes(np.array(options.box), size)
    return Picture(
        photo.image,
        boxes=boxes,
        camera=camera_for(options, size, photo),
        name=path.name if options.photo.is_dir() else None,
        heights_m=options.height,
    )
