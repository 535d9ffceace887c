"""Folders of results: a set of files for every frame, or for a whole clip; all of them or none."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from openhmr.errors import InputError
from openhmr.export.formats import DEFAULT, Format, formats_of, write_frame
from openhmr.export.motion import RATE_HZ
from openhmr.export.pictures import Shown, write_overlay, write_pose2d
from openhmr.export.place import check_place, is_ours, placing
from openhmr.export.sink import Sink
from openhmr.people import Frame

Writer = Callable[[Path, Frame, Shown], None]
"""Writes a file from a frame, and from those people (the frame's own, or their parametric meshes) that meshes
and pictures show."""

PICTURES: Mapping[str, Writer] = {
    "pose2d.png": lambda path, frame, shown: write_pose2d(path, shown),
    "overlay.png": lambda path, frame, shown: write_overlay(path, shown),
}


def writers_of(names: Iterable[str]) -> Mapping[str, Writer]:
    """Writers of a single frame's files in the formats ``names``, by the files' names."""

    def writer(format_: Format) -> Writer:
        return lambda path, frame, shown: write_frame(format_, path, frame, shown, RATE_HZ)

    return {format_.file: writer(format_) for format_ in formats_of(names).values()}


DATA: Mapping[str, Writer] = writers_of(DEFAULT)


class Folder(Sink):
    """A sink that writes the files ``writers`` of each frame into ``out``, or, with ``several``, into a
    folder of its own below ``out``, named as the frame.

    ``parametric`` shows the meshes of the body parameters. Files that this package did not write are never
    replaced without ``overwrite``; its pictures of an earlier run go where no new ones are written. Raises
    :class:`InputError` if the folder cannot be used, or a frame's name is none of a folder or that of
    another; ``files`` are those written so far.
    """

    def __init__(
        self,
        out: Path,
        writers: Mapping[str, Writer],
        *,
        several: bool = False,
        parametric: bool = False,
        overwrite: bool = False,
    ) -> None:
        self.out, self.writers, self.files = out, writers, list[Path]()
        self._several, self._parametric, self._overwrite = several, parametric, overwrite
        self._taken = set[Path]()
        if not several:
            check_place(out, writers, overwrite=overwrite)

    def __enter__(self) -> "Folder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Every frame's files are complete once :meth:`append` returns."""

    def append(self, frame: Frame) -> None:
        """Write the files of ``frame``: all, then one rename each, so that a full disk leaves no new ones
        among old ones; an interrupted run leaves no folder that it made."""
        folder = self._folder(frame) if self._several else self.out
        check_place(folder, self.writers, overwrite=self._overwrite)
        parametric = self._parametric and frame.people.rig is not None
        shown = Shown(frame.people.parametric() if parametric else frame.people, frame.image)
        with placing(folder, overwrite=self._overwrite) as (unfinished, moved):
            for name, write in self.writers.items():
                write(unfinished / name, frame, shown)
        for name in PICTURES.keys() - self.writers.keys():  # those of an earlier run show other meshes
            if (folder / name).is_file() and is_ours(folder / name):
                (folder / name).unlink()
        self.files += moved

    def _folder(self, frame: Frame) -> Path:
        name = frame.name or f"{frame.index:06d}"
        if name in (".", "..") or set("/\\") & set(name):
            raise InputError(f"a frame is called {name!r}; a name without folders is needed")
        folder = self.out / name
        if folder in self._taken:
            raise InputError(f"two frames are called {name!r}; give each a name of its own")
        self._taken.add(folder)
        return folder


class ClipFolder(Sink):
    """A sink that writes all its frames as one clip into ``out``, in the ``formats`` that are named; the
    files appear together when the clip is complete.

    Frames that tell no time follow each other at ``rate_hz``. Files that this package did not write are never
    replaced without ``overwrite``; its files of an earlier run in these formats go. Raises
    :class:`InputError` if the folder cannot be used, or the formats' sinks do; ``files`` are those written.
    """

    def __init__(
        self, out: str | Path, formats: Iterable[str], *, rate_hz: float = RATE_HZ, overwrite: bool = False
    ) -> None:
        self.out, self.files = Path(out), list[Path]()
        self._formats, self._rate, self._overwrite = formats_of(formats), rate_hz, overwrite
        self._stack, self._sinks = ExitStack(), list[Sink]()
        check_place(self.out, (f.file for f in self._formats.values()), overwrite=overwrite)

    def __enter__(self) -> "ClipFolder":
        unfinished, self.files = self._stack.enter_context(placing(self.out, overwrite=self._overwrite))
        for format_ in self._formats.values():
            sink = format_.sink(unfinished / format_.file, self._rate)
            self._sinks.append(self._stack.enter_context(sink))
        return self

    def append(self, frame: Frame) -> None:
        for sink in self._sinks:
            sink.append(frame)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)
        if kind is None:
            self._discard_older()

    def _discard_older(self) -> None:
        """Remove files of an earlier run in the same formats, which are of other people or frames."""
        new = set(self.files)
        for format_ in self._formats.values():
            file = Path(format_.file)
            patterns = file.name.replace("person", "person_*"), f"{file.stem}/[0-9]*{file.suffix}"
            for path in (path for pattern in patterns for path in self.out.glob(pattern)):
                if path not in new and path.is_file() and is_ours(path):
                    path.unlink()
