"""What ``lift`` and ``recover`` share: cameras and folders from options, frames into them."""

import argparse
import logging
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from openhmr.camera import Camera
from openhmr.cli.printing import print_summary, summary
from openhmr.errors import InputError, NothingFound
from openhmr.export.folder import PICTURES, Folder, writers_of
from openhmr.people import Frame

if TYPE_CHECKING:
    from openhmr.io.images import Photo
    from openhmr.predict.lift import Lifter
    from openhmr.predict.recover import Recoverer

log = logging.getLogger(__name__)


def camera_for(
    options: argparse.Namespace, size: tuple[int, int] | None, photo: "Photo | None"
) -> Camera | None:
    """The camera of ``--camera`` or ``--focal``, else of the photo's EXIF data; None where nothing is known.

    ``size`` (height, width) of the picture; a camera's file may tell it instead.
    """
    from openhmr.io.cameras import read_camera
    from openhmr.io.photos import camera_of

    if options.camera is not None:
        camera = read_camera(options.camera, options.camera_name)
        if size not in (None, camera.image_size):
            raise InputError(
                f"{options.camera} was calibrated for (height, width) {camera.image_size}, but the picture "
                f"has {size}; "
                "give the calibration of this size"
            )
        return camera
    if options.camera_name is not None:
        raise InputError("--camera-name chooses a camera of a file; add --camera FILE")
    if options.focal is not None and size is not None:
        return Camera.from_focal(options.focal, size)
    return None if photo is None else camera_of(photo)


def another_kind(path: Path, model: object) -> InputError:
    """What to say of a ``model`` that the command has no use for."""
    from openhmr.predict.lift import Lifter
    from openhmr.predict.recover import Recoverer

    if isinstance(model, Lifter):
        return InputError(f"{path} takes 2D poses, not photos; use it with `openhmr lift`")
    if isinstance(model, Recoverer):
        return InputError(f"{path} takes photos, not 2D poses; use it with `openhmr recover`")
    return InputError(f"{path} finds people, but makes no meshes; give another model, or leave it out")


def networks_of(options: argparse.Namespace) -> "tuple[Recoverer, Lifter | None]":
    """The photo network of ``--model``, and Pose2Mesh of ``--lift-model``: the one that ships belongs to the
    open body, so with another one there is none unless it is asked for."""
    from openhmr.models import load
    from openhmr.predict.lift import Lifter
    from openhmr.predict.recover import Recoverer

    fast = getattr(options, "fast", False)
    recoverer = load(options.model or "i2l-body", options.body, mirrored=not fast)
    if not isinstance(recoverer, Recoverer):
        raise another_kind(options.model, recoverer)
    if options.body is not None and not options.lift_model and not getattr(options, "lift", False):
        return recoverer, None
    lifter = load(options.lift_model or "pose2mesh", options.body)
    if not isinstance(lifter, Lifter):
        raise another_kind(options.lift_model, lifter)
    return recoverer, lifter


def folder_for(options: argparse.Namespace, *, several: bool = False, parametric: bool = False) -> Folder:
    """The folder of ``--out``, checked before anything is computed."""
    writers = writers_of(options.formats)
    if not options.no_pictures:
        writers = {**writers, **PICTURES}
    return Folder(options.out, writers, several=several, parametric=parametric, overwrite=options.overwrite)


def write_frame(frame: Frame, folder: Folder, options: argparse.Namespace, started: float) -> None:
    """Write a frame and print its summary."""
    before = len(folder.files)
    with folder:
        folder.append(frame)
    shown = frame.people.parametric() if getattr(options, "param", False) else frame.people
    numbers = summary(frame, shown, time.perf_counter() - started, folder.files[before:])
    print_summary(numbers, options)


def write_frames(frames: Iterable[Frame], folder: Folder, options: argparse.Namespace) -> None:
    """Write every frame in which there is somebody, and print its summary. Raises :class:`NothingFound` if
    there is nobody in any."""
    written, started = False, time.perf_counter()
    for frame in frames:
        if not len(frame.people):
            log.warning("%s: nobody was found, so nothing is written", frame.name)
            continue
        write_frame(frame, folder, options, started)
        written, started = True, time.perf_counter()
    if not written:
        raise NothingFound("nobody was found in any picture; give others")
