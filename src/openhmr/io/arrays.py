"""Reading ``.npy`` and ``.npz`` files from strangers: no pickles, and no allocation that the file's own size
cannot justify."""

import struct
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy

from openhmr.errors import InputError

MAX_HEADER = 10_000
MAX_BYTES = 1 << 32
"""Largest file that is read, whatever its headers say."""


def _brief(error: Exception) -> str:
    """What a library says of a damaged file may quote all of it."""
    text = str(error)
    return text if len(text) <= 200 else f"{text[:197]}..."


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


def _read_header(file: BinaryIO, name: str, max_elements: int) -> int:
    """The number of elements that the header at the start of ``file`` claims, once that is within bounds."""
    start = file.read(12)
    if len(start) == 12 and start[:6] == b"\x93NUMPY":
        size = struct.unpack("<H", start[8:10])[0] if start[6] == 1 else struct.unpack("<I", start[8:12])[0]
        if size > MAX_HEADER:
            raise InputError(
                f"{name} claims a header of {size:,} bytes; at most {MAX_HEADER:,} are read: save it again"
            )
    file.seek(0)
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise InputError(
            f"{name} has .npy format version {version}; write it with numpy.save of any current NumPy"
        )
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(file, max_header_size=MAX_HEADER)
    if dtype.hasobject:
        raise InputError(
            f"{name} holds Python objects, which may run code when read; save a plain numeric array instead"
        )
    count = 1
    for n in shape:
        count *= int(n)
    # A number has at most 16 bytes; names may be longer.
    if count > max_elements or count * dtype.itemsize > 16 * max_elements:
        raise InputError(
            f"{name} claims {count:,} numbers (shape {shape}, {dtype.itemsize} bytes each); at most "
            f"{max_elements:,} are "
            "read: pass fewer"
        )
    return count


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
        raise InputError(
            f"{path} is not a readable .npy array ({_brief(error)}); write it with numpy.save"
        ) from None


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
            total = 0
            for info in archive.infolist():
                name = info.filename.removesuffix(".npy")
                if names is not None and name not in names:
                    continue
                with archive.open(info) as file:
                    total += _read_header(file, f"{path}[{name}]", max_elements)  # type: ignore[arg-type]
                if total > 2 * max_elements:
                    raise InputError(
                        f"{path} claims {total:,} numbers in all; at most {2 * max_elements:,} are read"
                    )
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
            f"{path} is not a readable .npz file ({_brief(error)}); write it with numpy.savez_compressed"
        ) from None
    return out
