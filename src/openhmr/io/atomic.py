"""Writing files so that nobody ever sees half of one."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from openhmr.errors import InputError


def check_file(path: Path) -> None:
    """Raises :class:`InputError` where no file can be written to ``path``; the system would say so later, and
    name the temporary file."""
    if "\0" in str(path):
        raise InputError(
            f"{str(path)!r} cannot be written: it has a NUL character in its name; choose another"
        )
    if path.is_dir():
        raise InputError(f"{path} cannot be written: it is a folder; name a file in it")
    if not path.parent.is_dir():
        raise InputError(f"{path} cannot be written: there is no folder {path.parent}; make it first")


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary sibling of ``path`` (same suffix); rename it to ``path`` on success, delete it on
    failure. Raises :class:`InputError` where no such file can be."""
    path = Path(path)
    check_file(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp creates files that only the owner may read; results should follow the user's umask.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
