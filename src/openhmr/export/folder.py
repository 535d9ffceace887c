"""The folder of results: for every frame a set of files, all of them or none."""

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from openhmr.errors import InputError
from openhmr.export.glb import write_glb
from openhmr.export.obj import write_obj
from openhmr.export.pictures import Shown, write_overlay, write_pose2d
from openhmr.export.sink import Sink
from openhmr.people import Frame

Writer = Callable[[Path, Frame, Shown], None]
"""Writes a file from a frame, and from those people (the frame's own, or their parametric meshes) that meshes
and pictures show."""

DATA: Mapping[str, Writer] = {
    "mesh.obj": lambda path, frame, shown: write_obj(path, shown.people),
    "mesh.glb": lambda path, frame, shown: write_glb(path, shown.people),
    "result.npz": lambda path, frame, shown: frame.people.save(path),
}
PICTURES: Mapping[str, Writer] = {
    "pose2d.png": lambda path, frame, shown: write_pose2d(path, shown),
    "overlay.png": lambda path, frame, shown: write_overlay(path, shown),
}
_SIGNATURES = {".obj": b"# openhmr", ".glb": b'"openhmr"', ".png": b"openhmr", ".npz": b"camera_K.npy"}
"""What the files that this package writes hold; anything else in the folder is the user's own."""


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
            self._check(out)

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
        self._check(folder)
        parametric = self._parametric and frame.people.rig is not None
        shown = Shown(frame.people.parametric() if parametric else frame.people, frame.image)
        made = [p for p in (folder, *folder.parents) if not p.exists()]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".openhmr-", dir=folder) as unfinished:
                for name, write in self.writers.items():
                    write(Path(unfinished) / name, frame, shown)
                for name in self.writers:
                    os.replace(Path(unfinished) / name, folder / name)
            for name in PICTURES.keys() - self.writers.keys():  # those of an earlier run show other meshes
                if (folder / name).is_file() and _is_ours(folder / name):
                    (folder / name).unlink()
        except BaseException as error:
            for path in made:
                if path.is_dir() and not any(path.iterdir()):
                    path.rmdir()
            if isinstance(error, OSError):
                raise InputError(
                    f"{folder} cannot be written ({error.strerror}); free some space or choose another folder"
                ) from None
            raise
        self.files += [folder / name for name in self.writers]

    def _folder(self, frame: Frame) -> Path:
        name = frame.name or f"{frame.index:06d}"
        if name in (".", "..") or set("/\\") & set(name):
            raise InputError(f"a frame is called {name!r}; a name without folders is needed")
        folder = self.out / name
        if folder in self._taken:
            raise InputError(f"two frames are called {name!r}; give each a name of its own")
        self._taken.add(folder)
        return folder

    def _check(self, folder: Path) -> None:
        if "\0" in str(folder):
            raise InputError(f"the folder {str(folder)!r} has a NUL character in its name; choose another")
        blocking = next((p for p in (folder, *folder.parents) if p.exists()), None)
        if blocking is not None and not blocking.is_dir():
            raise InputError(f"the folder {folder} cannot be made: {blocking} is a file; choose another")
        for name in self.writers:
            path = folder / name
            if path.is_dir():
                raise InputError(
                    f"{path} is a folder where a result would go; move it or choose another folder"
                )
            if path.exists() and not self._overwrite and not _is_ours(path):
                raise InputError(
                    f"{path} exists and was not written by openhmr; choose another folder, or ask to "
                    f"overwrite it"
                )


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(4096)
        if path.suffix == ".npz":  # a zip file lists its members at its end
            file.seek(max(0, path.stat().st_size - 4096))
            head = file.read()
    return not head or _SIGNATURES[path.suffix] in head
