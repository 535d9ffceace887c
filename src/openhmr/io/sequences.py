"""What a command takes for a sequence: a video, a webcam, pictures, or files of 2D poses."""

import glob
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from openhmr.errors import InputError, NothingFound
from openhmr.io.images import read_image
from openhmr.io.photos import SUFFIXES, photos_in
from openhmr.io.poses import PosedFrame, read_poses, read_sequence
from openhmr.io.poses.pictures import frame_numbers
from openhmr.io.video import WHOLE, Shot, Span, Video, Webcam
from openhmr.joints import JointSet

log = logging.getLogger(__name__)

FPS = 30.0
"""Frames a second of pictures and pose files, which do not tell."""
_POSES = (".json", ".csv", ".npy", ".npz", ".trc")


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
        """How many frames the span will give."""
        return len(_chosen(len(self.paths), self.span, self.fps, self.paths[0].parent))

    def __iter__(self) -> Iterator[Shot]:
        for number in _chosen(len(self.paths), self.span, self.fps, self.paths[0].parent)[self.skip :]:
            path = self.paths[number]
            try:
                yield self._shot(number, path)
            except InputError as error:
                log.warning("%s is skipped: %s", path.name, error)
                yield Shot(number, number / self.fps, name=path.stem)

    def _shot(self, number: int, path: Path) -> Shot:
        at = number / self.fps
        if path.suffix.lower() in SUFFIXES:
            return Shot(number, at, read_image(path), name=path.stem)
        try:
            poses = read_poses(path, self.joint_set, image_size=self.image_size)
        except NothingFound:
            return Shot(number, at, name=path.stem)
        return Shot(number, at, keypoints=poses, name=path.stem)


@dataclass(frozen=True, eq=False)
class PoseFile:
    """The frames of one file of 2D poses that holds several, in the order of their numbers."""

    path: Path
    span: Span = WHOLE
    fps: float = FPS
    skip: int = 0
    joint_set: JointSet | None = None
    image_size: tuple[int, int] | None = None

    @cached_property
    def frames(self) -> Mapping[int, PosedFrame]:
        """The people of each frame, by its number; frames that the numbers leave out are missing."""
        found = read_sequence(self.path, self.joint_set, image_size=self.image_size, over_time=True)
        if len(found) == 1:
            return {0: found[0]}
        numbers = frame_numbers([frame.name for frame in found])
        return {numbers[frame.name]: frame for frame in found}

    @property
    def expected(self) -> int:
        """How many frames the span will give."""
        return len(_chosen(max(self.frames) + 1, self.span, self.fps, self.path))

    def __iter__(self) -> Iterator[Shot]:
        for number in _chosen(max(self.frames) + 1, self.span, self.fps, self.path)[self.skip :]:
            frame = self.frames.get(number)
            yield Shot(
                number,
                number / self.fps,
                keypoints=None if frame is None or not len(frame.keypoints) else frame.keypoints,
            )


Source = Video | Webcam | Files | PoseFile


def _chosen(count: int, span: Span, fps: float, path: Path) -> list[int]:
    """The numbers of ``count`` frames that lie in the ``span``. Raises :class:`InputError` if none does."""
    inside = [i for i in range(count) if span.start_s <= i / fps < span.end_s]
    if not inside:
        raise InputError(f"{path} has {count} frames, none of them from {span.start_s:g} s on; start earlier")
    return inside[:: span.every]


def open_sequence(
    source: str,
    span: Span = WHOLE,
    *,
    fps: float = FPS,
    joint_set: JointSet | None = None,
    image_size: tuple[int, int] | None = None,
) -> Source:
    """The frames of ``source``: a video file, the number of a webcam, a folder of pictures or of files of 2D
    poses, a pattern of their names such as ``walk/*.jpg``, or a file of 2D poses of several frames.

    ``fps`` tells the times of files; ``joint_set`` and ``image_size`` serve 2D poses that do not tell
    them. Raises :class:`InputError`.
    """
    if not 0.01 <= fps <= 10_000:
        raise InputError(f"{fps:g} frames a second are given; 0.01 to 10,000 are possible")
    if source.isdecimal() and not Path(source).exists():
        return Webcam(int(source), span)
    if "\0" in source:
        raise InputError(f"{source!r} has a NUL character in its name; give a video")
    path = Path(source)
    if path.is_dir():
        return Files(_in_folder(path), span, fps, 0, joint_set, image_size)
    if not path.exists() and re.search(r"[*?\[]", source):
        found = [Path(p) for p in glob.glob(source)]
        known = [p for p in found if p.is_file() and p.suffix.lower() in (*SUFFIXES, *_POSES)]
        if not known:
            raise InputError(f"{source!r} fits no picture and no file of 2D poses; give another pattern")
        paths = _one_kind(sorted(known, key=_counted), source)
        return Files(paths, span, fps, 0, joint_set, image_size)
    if path.suffix.lower() in _POSES and path.is_file():
        return PoseFile(path, span, fps, 0, joint_set, image_size)
    if path.suffix.lower() in SUFFIXES and path.is_file():
        return Files([path], span, fps)
    return Video(path, span)


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
