"""What a command takes for a sequence: a video, a webcam, pictures, or files of 2D poses."""

import glob
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from openhmr.errors import InputError, NothingFound
from openhmr.io.images import read_image
from openhmr.io.photos import SUFFIXES, photos_in
from openhmr.io.poses import read_poses
from openhmr.io.video import WHOLE, Shot, Span, Video, Webcam
from openhmr.joints import JointSet

log = logging.getLogger(__name__)

FPS = 30.0
"""Frames a second of pictures and pose files, which do not tell."""
_POSES = (".json", ".csv", ".npy", ".npz")


@dataclass(frozen=True)
class Files:
    """A frame a file, in the order of their names with numbers counted: pictures, or 2D poses of
    ``joint_set`` (None: the files tell). What cannot be read is named and left out."""

    paths: Sequence[Path]
    span: Span = WHOLE
    fps: float = FPS
    skip: int = 0
    joint_set: JointSet | None = None
    image_size: tuple[int, int] | None = None

    @property
    def expected(self) -> int:
        """How many frames the span will give at most."""
        return len(self._chosen())

    def __iter__(self) -> Iterator[Shot]:
        chosen = self._chosen()
        if not chosen:
            raise InputError(
                f"there are {len(self.paths)} files, none of them from {self.span.start_s:g} s on; start "
                f"earlier"
            )
        for number in chosen[self.skip :]:
            path = self.paths[number]
            try:
                yield self._shot(number, path)
            except InputError as error:
                log.warning("%s is skipped: %s", path.name, error)
                yield Shot(number, number / self.fps, name=path.stem)

    def _chosen(self) -> list[int]:
        inside = [i for i in range(len(self.paths)) if self.span.start_s <= i / self.fps < self.span.end_s]
        return inside[:: self.span.every]

    def _shot(self, number: int, path: Path) -> Shot:
        at = number / self.fps
        if path.suffix.lower() in SUFFIXES:
            return Shot(number, at, read_image(path), name=path.stem)
        try:
            poses = read_poses(path, self.joint_set, image_size=self.image_size)
        except NothingFound:
            return Shot(number, at, name=path.stem)
        return Shot(number, at, keypoints=poses, name=path.stem)


Source = Video | Webcam | Files


def open_sequence(source: str, span: Span = WHOLE, *, fps: float = FPS, skip: int = 0) -> Source:
    """The frames of ``source``: a video file, the number of a webcam, a folder of pictures or of files of 2D
    poses, or a pattern of their names such as ``walk/*.jpg``.

    ``fps`` tells the times of files; ``skip`` leaves out as many frames of the ``span`` as were used before.
    Raises :class:`InputError`.
    """
    if not 0.01 <= fps <= 10_000:
        raise InputError(f"{fps:g} frames a second are given; 0.01 to 10,000 are possible")
    if source.isdecimal() and not Path(source).exists():
        return Webcam(int(source), span)
    if "\0" in source:
        raise InputError(f"{source!r} has a NUL character in its name; give a video")
    path = Path(source)
    if path.is_dir():
        return Files(_in_folder(path), span, fps, skip)
    if not path.exists() and re.search(r"[*?\[]", source):
        found = [Path(p) for p in glob.glob(source)]
        known = [p for p in found if p.is_file() and p.suffix.lower() in (*SUFFIXES, *_POSES)]
        if not known:
            raise InputError(f"{source!r} fits no picture and no file of 2D poses; give another pattern")
        return Files(_one_kind(sorted(known, key=_counted), source), span, fps, skip)
    if path.suffix.lower() in (*SUFFIXES, *_POSES) and path.is_file():
        return Files([path], span, fps, skip)
    return Video(path, span, skip)


def _in_folder(folder: Path) -> list[Path]:
    poses = sorted((p for p in folder.iterdir() if p.suffix.lower() in _POSES and p.is_file()), key=_counted)
    if poses and not any(p.suffix.lower() in SUFFIXES for p in folder.iterdir()):
        return poses
    return photos_in(folder)


def _one_kind(paths: list[Path], source: str) -> list[Path]:
    """Raises :class:`InputError` where pictures and poses are mixed."""
    pictures = [p.suffix.lower() in SUFFIXES for p in paths]
    if any(pictures) and not all(pictures):
        raise InputError(f"{source!r} fits pictures and files of 2D poses; give a pattern of one of them")
    return paths


def _counted(path: Path) -> list[tuple[int, str]]:
    """The key of an order in which numbers within names are counted."""
    return [(int(s), "") if s.isdecimal() else (0, s) for s in re.split(r"(\d+)", path.name)]
