"""Sinks of files that need no clip: one a frame, or lines of text."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TextIO

from openhmr.errors import InputError
from openhmr.export.sink import Sink
from openhmr.io.atomic import atomic_path
from openhmr.people import Frame


class SequenceSink(Sink):
    """One file a frame: ``mesh.obj`` of a single one, ``mesh/000000.obj`` ... of several, by ``write(path,
    frame)``. Each appears whole; numbers are those of the frames."""

    def __init__(self, path: Path, write: Callable[[Path, Frame], None]) -> None:
        self._path, self._write = path, write
        self._folder, self._first, self._count = path.with_suffix(""), "", 0

    def __enter__(self) -> "SequenceSink":
        return self

    def append(self, frame: Frame) -> None:
        name = f"{frame.index:06d}{self._path.suffix}"
        if self._count == 0:
            self._first = name
            self._write(self._path, frame)
        else:
            if self._count == 1:
                self._folder.mkdir(exist_ok=True)
                self._path.replace(self._folder / self._first)
            if (self._folder / name).exists():
                raise InputError(f"two frames have the number {frame.index}; give each a number of its own")
            self._write(self._folder / name, frame)
        self._count += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Every frame's file is complete once :meth:`append` returns."""


class TextSink(Sink):
    """Lines of text: a ``head`` and the ``lines`` of each frame; the file appears when all are written."""

    def __init__(self, path: Path, head: Iterable[str], lines: Callable[[Frame], Iterable[str]]) -> None:
        self._path, self._head, self._lines = path, head, lines
        self._stack = ExitStack()
        self._file: TextIO | None = None

    def __enter__(self) -> "TextSink":
        temporary = self._stack.enter_context(atomic_path(self._path))
        self._file = self._stack.enter_context(temporary.open("w", encoding="utf-8", newline="\n"))
        self._file.writelines(f"{line}\n" for line in self._head)
        return self

    def append(self, frame: Frame) -> None:
        assert self._file is not None, "a sink is used inside `with`"
        self._file.writelines(f"{line}\n" for line in self._lines(frame))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)
