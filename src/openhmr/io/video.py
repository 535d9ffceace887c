"""Videos and webcams as streams of pictures with their true times, through OpenCV's own FFmpeg."""

import logging
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openhmr.errors import InputError
from openhmr.keypoints import Keypoints

log = logging.getLogger(__name__)

MAX_PIXELS = 40_000_000
"""Of a frame; 8K has 33 million."""
_CONTAINERS = (
    (4, (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip")),  # MP4, MOV, 3GP
    (0, (b"\x1a\x45\xdf\xa3", b"FLV\x01", b"OggS", b"\x30\x26\xb2\x75", b"\x00\x00\x01\xba")),
    (8, (b"AVI ",)),
    (188, (b"\x47",)),  # MPEG-TS: its sync byte, twice
    (196, (b"\x47",)),  # M2TS
)
"""Position and marks of the formats that are opened. Playlists, which FFmpeg would follow to other files and
to the network, are none of them."""
_HEAD = 256
_MISSING = 0.01
"""Frames may be missing from what a file announces by this share, and by two: announcements are estimates."""


@dataclass(frozen=True, eq=False)
class Shot:
    """One item of a sequence: its ``number`` in the source, from 0, its ``time_s``, and an ``image (height,
    width, 3)`` RGB uint8 or the ``keypoints`` of its people; ``name`` for files."""

    number: int
    time_s: float
    image: NDArray[np.uint8] | None = None
    keypoints: Keypoints | None = None
    name: str | None = None


@dataclass(frozen=True)
class Span:
    """The part of a sequence that is used: from ``start_s`` until before ``end_s``, and of that the first and
    then every ``every``-th frame. Raises :class:`InputError` where that is nothing."""

    start_s: float = 0.0
    end_s: float = math.inf
    every: int = 1

    def __post_init__(self) -> None:
        if not (0 <= self.start_s < self.end_s) or math.isinf(self.start_s):
            raise InputError(
                f"the part from {self.start_s:g} to {self.end_s:g} s is asked for; give seconds from 0 on, "
                f"the end after the start"
            )
        if self.every < 1:
            raise InputError(f"every is {self.every}; a whole number above 0 is needed")

    def takes(self, number: int, first: int) -> bool:
        """Whether frame ``number`` is used, where ``first`` is the first one within the times."""
        return (number - first) % self.every == 0


WHOLE = Span()


@dataclass
class Video:
    """The frames of a video file, upright, each with its own time, one after the other: memory holds one.

    ``size`` (height, width), ``fps`` (the mean rate) and ``announced``, how many frames the file says it has
    (0: it does not say). A damaged file gives the frames before the damage and a warning. ``skip`` leaves out
    frames that were used before. Raises :class:`InputError` for what is no video, has too many pixels or no
    frame at all.
    """

    path: Path
    span: Span = WHOLE
    skip: int = 0
    size: tuple[int, int] = field(init=False)
    fps: float = field(init=False)
    announced: int = field(init=False)

    def __post_init__(self) -> None:
        capture = _open(self.path)
        try:
            self.size, self.fps, self.announced = _described(capture, self.path)
        finally:
            capture.release()

    @property
    def expected(self) -> int | None:
        """About how many frames the span will give; None where the file does not say."""
        if not self.announced:
            return None
        last = min(self.announced, math.ceil(min(self.span.end_s, 1e9) * self.fps))
        first = math.floor(self.span.start_s * self.fps)
        return max(-(-(last - first) // self.span.every), 0)

    def __iter__(self) -> Iterator[Shot]:
        capture = _open(self.path)
        try:
            yield from self._shots(capture)
        finally:
            capture.release()

    def _shots(self, capture: Any) -> Iterator[Shot]:
        read, given, first, at = 0, 0, None, -math.inf
        while capture.grab():
            at, number = _time(capture, at, self.fps), read
            read += 1
            if at >= self.span.end_s:
                break
            if at < self.span.start_s - 1e-6:
                continue
            first = number if first is None else first
            if not self.span.takes(number, first):
                continue
            given += 1
            if given > self.skip:
                yield Shot(number, at, _picture(capture))
        else:
            self._ended(read, given)

    def _ended(self, read: int, given: int) -> None:
        """What to say once the file has no more frames."""
        if not read:
            raise InputError(f"{self.path} holds no frame that can be decoded; give another video")
        if read < self.announced - max(2, _MISSING * self.announced):
            log.warning(
                "%s ends after %d of its %d frames: it is damaged or cut short; those are used",
                self.path,
                read,
                self.announced,
            )
        if not given:
            raise InputError(
                f"{self.path} has {read} frames, none of them from {self.span.start_s:g} s on; it lasts "
                f"{read / self.fps:.2f} s: start earlier"
            )


@dataclass
class Webcam:
    """The frames of a camera of this computer, number ``index``, with the seconds since the first. Raises
    :class:`InputError` if there is no such camera."""

    index: int
    span: Span = WHOLE
    fps: float = 30.0
    expected: int | None = None

    def __iter__(self) -> Iterator[Shot]:
        import cv2

        with quietly():
            capture = cv2.VideoCapture(self.index)
        try:
            if not capture.isOpened():
                raise InputError(f"there is no camera {self.index} that can be opened; give another number")
            started, number, first = time.monotonic(), -1, None
            while capture.grab():
                at, number = time.monotonic() - started, number + 1
                if at >= self.span.end_s:
                    return
                if at < self.span.start_s:
                    continue
                first = number if first is None else first
                if self.span.takes(number, first):
                    yield Shot(number, at, _picture(capture))
        finally:
            capture.release()


@contextmanager
def quietly() -> Iterator[None]:
    """OpenCV and its FFmpeg do not write to the terminal what they think of files and cameras: what users
    need to know, they are told in a sentence. FFmpeg takes that from its first use on."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    import cv2

    before = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(before)


def _open(path: Path) -> Any:
    if "\0" in str(path) or not path.is_file():
        raise InputError(f"{str(path)!r} is not an existing file; give the path of a video")
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not any(head[at:].startswith(marks) for at, marks in _CONTAINERS):
        raise InputError(
            f"{path} is no video that is read; give an MP4, MOV, MKV, WebM, AVI, FLV, OGG, WMV or MPEG file"
        )
    import cv2

    with quietly():
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise InputError(
            f"{path} cannot be opened as a video: it is damaged, cut short before its index was written, or "
            f"has no pictures; give a complete file"
        )
    return capture


def _described(capture: Any, path: Path) -> tuple[tuple[int, int], float, int]:
    """(height, width) upright, mean frames a second, and announced frames."""
    import cv2

    names = (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FPS, cv2.CAP_PROP_FRAME_COUNT)
    height, width, fps, count = (float(capture.get(name)) for name in names)
    if not 1 <= height * width <= MAX_PIXELS:
        raise InputError(
            f"{path} has frames of {width:g} x {height:g} pixels; at most {MAX_PIXELS:,} pixels are read: "
            f"scale it down"
        )
    sound = math.isfinite(fps) and 0.01 < fps < 10_000
    return (int(height), int(width)), fps if sound else 25.0, max(int(min(count, 1e9)), 0)


def _time(capture: Any, before: float, fps: float) -> float:
    """Time of the frame that was just read. Where a file's times do not run forwards, the frame comes as long
    after the one before as frames do on average."""
    import cv2

    at = float(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000
    if math.isfinite(at) and at > before:
        return at
    return 0.0 if math.isinf(before) else before + 1 / fps


def _picture(capture: Any) -> NDArray[np.uint8]:
    import cv2

    sound, image = capture.retrieve()
    if not sound or image is None:
        raise InputError("a frame of the video cannot be decoded; convert the video to another format")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
