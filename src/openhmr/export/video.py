"""Meshes over the frames of a clip, as a video."""

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from openhmr.errors import InputError
from openhmr.export.sink import Sink
from openhmr.io.atomic import atomic_path
from openhmr.io.video import quietly
from openhmr.people import Frame, People
from openhmr.render.compose import blank, over, scaling
from openhmr.render.figure import Figure
from openhmr.render.scene import draw
from openhmr.render.suit import suit_of

LONGEST_PX = 960
"""Longer side of the video; larger frames are scaled down, which is quicker to draw."""
CODECS = ("vp09", "mp4v")
"""The first that OpenCV can write is used: VP9, which it brings along and browsers play, else MPEG-4."""
_INK, _PAPER = (255, 255, 255), (30, 30, 30)


class OverlaySink(Sink):
    """Writes ``path`` (.mp4): each frame's picture with its meshes, one colour a person and their number.

    ``fps`` is that of the file; frames with other times are shown until the next one's time, so that the
    video lasts as long as the clip. The file appears whole or not at all. Raises :class:`InputError` where no
    video can be written.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self._path, self._fps = path, fps
        self._stack = ExitStack()
        self._temporary: Path | None = None
        self._writer: Any = None
        self._picture: NDArray[np.uint8] | None = None
        self._start, self._written = 0.0, 0

    def __enter__(self) -> "OverlaySink":
        self._temporary = self._stack.enter_context(atomic_path(self._path))
        return self

    def append(self, frame: Frame) -> None:
        time_s = frame.index / self._fps if frame.time_s is None else frame.time_s
        if self._picture is None:
            self._start = time_s
        else:
            self._write(round((time_s - self._start) * self._fps))
        self._picture = overlay(frame.people, frame.image)

    def _write(self, until: int) -> None:
        """Write the waiting picture until the file has so many."""
        assert self._picture is not None and self._temporary is not None
        if self._writer is None:
            self._writer = _writer(self._temporary, self._fps, self._picture.shape[1::-1])
        while self._written < until:
            self._writer.write(cv2.cvtColor(self._picture, cv2.COLOR_RGB2BGR))
            self._written += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._picture is None:
                raise InputError("the clip has no frames, so there is no video to write; give one at least")
            if kind is None:
                self._write(self._written + 1)
        except BaseException as wrong:
            self._release()
            self._stack.__exit__(type(wrong), wrong, wrong.__traceback__)
            raise
        self._release()
        self._stack.__exit__(kind, error, trace)

    def _release(self) -> None:
        if self._writer is not None:
            self._writer.release()


def overlay(people: People, image: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """The meshes over ``image (height, width, 3)``, else over a blank canvas, within :data:`LONGEST_PX`; the
    sides are even, as video codecs need them."""
    height, width = people.camera.image_size
    scale = min(1.0, LONGEST_PX / max(height, width))
    size = (max(2, round(height * scale / 2) * 2), max(2, round(width * scale / 2) * 2))
    if image is None:
        canvas = blank(*size)
    else:
        canvas = np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA), np.uint8)
    if not len(people):
        return canvas
    to_canvas = scaling(size[1] / width, size[0] / height)
    suit = suit_of(people.body)
    ids = np.arange(len(people)) if people.track_ids is None else people.track_ids
    figures = [Figure(*suit.shape(mesh), suit, int(i)) for mesh, i in zip(people.vertices, ids, strict=True)]
    out = over(canvas, draw(figures, to_canvas @ people.camera.K, size))
    for mesh, i in zip(people.vertices, ids, strict=True):
        top = mesh[mesh[:, 1].argmin()]
        at = to_canvas @ np.append(people.camera.project(top), 1)
        _label(out, str(int(i)), (float(at[0]), float(at[1])))
    return out


def _label(canvas: NDArray[np.uint8], text: str, at: tuple[float, float]) -> None:
    """``text`` above a point of the canvas, in place."""
    size = max(canvas.shape[:2]) / 960
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 2)
    x = int(np.clip(at[0] - width / 2, 2, max(canvas.shape[1] - width - 2, 2)))
    y = int(np.clip(at[1] - 8 * size, height + 2, canvas.shape[0] - 2))
    for colour, thick in ((_PAPER, 5), (_INK, 2)):
        cv2.putText(canvas, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, colour, thick, cv2.LINE_AA)


def _writer(path: Path, fps: float, size: tuple[int, int]) -> Any:
    for codec in CODECS:
        with quietly():
            writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), fps, size)
        if writer.isOpened():
            return writer
        writer.release()
    raise InputError(f"{path.suffix} cannot be written by the OpenCV of this system; leave the video out")
