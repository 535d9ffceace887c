"""Reading ``.npy`` and ``.npz`` files from strangers: no pickles, and no allocation that the file's own size
cannot justify."""

import zipfile
from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from openhmr.errors import InputError

MAX_BYTES = 1 << 32
"""Largest file that is read, whatever its headers say."""


def _check_file(path: Path) -> None:
    """Devices and pipes never end, so only plain files are opened."""
    if path.exists() and not path.is_file():
        raise InputError(
            f"{path} is no plain file; give the path of an existing {path.suffix or 'array'} file"
        )
    if path.stat().st_size > MAX_BYTES:
        raise InputError(
            f"{path} has {path.stat().st_size:,} bytes; at most {MAX_BYTES:,} are read: pass fewer"
        )


def _read_header(file, name: str, max_elements: int) -> None:  # type: ignore[no-untyped-def]
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise InputError(
            f"{name} has .npy format version {version}; write it with numpy.save of any current NumPy"
        )
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(file, max_header_size=10_000)
    if dtype.hasobject:
        raise InputError(
            f"{name} holds Python objects, which may run code when read; save a plain numeric array instead"
        )
    count = 1
    for n in shape:
        count *= int(n)
    if count > max_elements:
        raise InputError(
            f"{name} claims {count:,} numbers (shape {shape}); at most {max_elements:,} are read: pass fewer"
        )


def read_npy(path: str | Path, max_elements: int) -> np.ndarray:
    """Read one array. Raises :class:`InputError` if the file is missing, not ``.npy``, too large or holds
    objects."""
    path = Path(path)
    try:
        _check_file(path)
        with path.open("rb") as file:
            _read_header(file, str(path), max_elements)
            file.seek(0)
            return np.asarray(npy.read_array(file, allow_pickle=False))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; give the path of an existing .npy file") from None
    except InputError:
        raise
    except (
        Exception
    ) as error:  # a damaged header fails inside ast, tokenize, struct, ... in every way there is
        raise InputError(f"{path} is not a readable .npy array ({error}); write it with numpy.save") from None


def read_npz(
    path: str | Path, max_elements: int, names: Collection[str] | None = None
) -> dict[str, np.ndarray]:
    """Read the arrays of an ``.npz``, or only those in ``names`` that it has.

    Raises :class:`InputError` like :func:`read_npy`, checking every header first.
    """
    path = Path(path)
    out = {}
    try:
        _check_file(path)
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                name = info.filename.removesuffix(".npy")
                if names is not None and name not in names:
                    continue
                with archive.open(info) as file:
                    _read_header(file, f"{path}[{name}]", max_elements)
                with archive.open(info) as file:
                    out[name] = np.asarray(npy.read_array(file, allow_pickle=False))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; give the path of an existing .npz file") from None
    except InputError:
        raise
    except (
        Exception
    ) as error:  # damaged files fail inside zipfile, zlib, struct, tokenize, ... in every way there is
        raise InputError(
            f"{path} is not a readable .npz file ({error}); write it with numpy.savez_compressed"
        ) from None
    return out
