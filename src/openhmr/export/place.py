"""Where results go: files of a run appear together, and replace nobody else's."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from openhmr.errors import InputError

SIGNATURES = {
    ".obj": (b"# openhmr",),
    ".glb": (b'"openhmr"',),
    ".png": (b"openhmr",),
    ".npz": (b"camera_K.npy", b"openhmr_body.npy"),
    ".ply": (b"comment openhmr",),
    ".bvh": (b"\n{\n\tOFFSET 0 0 0\n\tCHANNELS 6",),  # there are no comments; others write 0.000000
    ".trc": (b"\topenhmr/",),
    ".mot": (b"\nopenhmr:",),
    ".csv": (b"frame,time_s,person,joint,x_m", b"frame,time_s,person,Trunk_flexion_deg"),
    ".jsonl": (b'{"format":"openhmr-',),
}
"""What the files that this package writes hold; anything else in a folder is the user's own."""


def is_ours(path: Path) -> bool:
    """Whether this package wrote a file, or it is empty."""
    with path.open("rb") as file:
        head = file.read(4096)
        if path.suffix == ".npz":  # a zip file lists its members at its end
            file.seek(max(0, path.stat().st_size - 4096))
            head = file.read()
    return not head or any(mark in head for mark in SIGNATURES[path.suffix])


def check_place(folder: Path, names: Iterable[str], *, overwrite: bool) -> None:
    """Raises :class:`InputError` where ``folder`` cannot be, or files ``names`` in it are not ours to
    replace."""
    if "\0" in str(folder):
        raise InputError(f"the folder {str(folder)!r} has a NUL character in its name; choose another")
    blocking = next((p for p in (folder, *folder.parents) if p.exists()), None)
    if blocking is not None and not blocking.is_dir():
        raise InputError(f"the folder {folder} cannot be made: {blocking} is a file; choose another")
    for name in names:
        path = folder / name
        if path.is_dir():
            raise InputError(f"{path} is a folder where a result would go; move it or choose another folder")
        if path.exists() and not overwrite and not is_ours(path):
            raise InputError(
                f"{path} exists and was not written by openhmr; choose another folder, or ask to overwrite it"
            )


@contextmanager
def placing(folder: Path, *, overwrite: bool) -> Iterator[tuple[Path, list[Path]]]:
    """Yield an empty folder inside of ``folder``, made if missing, and a list, empty as yet.

    On success all files in it are moved to ``folder``, one rename each, and listed; on failure nothing
    changes, and folders that were made go.
    """
    made = [p for p in (folder, *folder.parents) if not p.exists()]
    moved: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".openhmr-", dir=folder) as unfinished:
            yield Path(unfinished), moved
            names = sorted(p.relative_to(unfinished) for p in Path(unfinished).rglob("*") if not p.is_dir())
            check_place(folder, map(str, names), overwrite=overwrite)
            for name in names:
                (folder / name).parent.mkdir(exist_ok=True)
                os.replace(Path(unfinished) / name, folder / name)
            moved += [folder / name for name in names]
    except BaseException as error:
        for path in made:
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
        if isinstance(error, OSError):
            raise InputError(
                f"{folder} cannot be written ({error.strerror}); free some space or choose another folder"
            ) from None
        raise
