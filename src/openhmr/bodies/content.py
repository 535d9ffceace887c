"""What a body consists of, as a short text that model files carry."""

from collections.abc import Mapping
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray


def digest(arrays: Mapping[str, NDArray], digits: int = 16) -> str:
    """Hexadecimal digits of the SHA-256 of named arrays of numbers, whatever the machine's byte order."""
    out = sha256()
    for name in sorted(arrays):
        array = arrays[name]
        # Adding nothing turns -0 to 0, which the sparse form in files does as well.
        little = np.ascontiguousarray(array + array.dtype.type(0), array.dtype.newbyteorder("<"))
        out.update(f"{name} {little.dtype.str} {little.shape};".encode())
        out.update(little.data if little.size else b"")
    return out.hexdigest()[:digits]


def first_version(v_template: NDArray, faces: NDArray) -> str:
    """The hash of files that older versions of this package wrote: template and faces alone."""
    content = v_template.astype("<f4", copy=False).tobytes() + faces.astype("<i4", copy=False).tobytes()
    return sha256(content).hexdigest()[:16]


def second_version(
    v_template: NDArray, faces: NDArray, others: Mapping[str, NDArray], regressors: Mapping[str, NDArray]
) -> str:
    """``2:<template and faces>:<all other arrays>:<name>=<regressor>,...``, so that two texts can be compared
    without the bodies (:func:`same_body`)."""
    named = ",".join(f"{name}={digest({'': regressors[name]}, 8)}" for name in sorted(regressors))
    return f"2:{first_version(v_template, faces)}:{digest(others)}:{named}"


def same_body(first: str, second: str) -> bool:
    """Whether two content hashes, of either version, can be those of one body.

    A joint regressor that only one of the bodies has makes no difference: whoever needs it will ask for it.
    A text of the first version knows template and faces alone.
    """
    if first == second:
        return True
    a, b = first.split(":"), second.split(":")
    if min(len(a), len(b)) == 1 and max(len(a), len(b)) == 4:
        return (a[0] if len(a) == 1 else a[1]) == (b[0] if len(b) == 1 else b[1])
    if len(a) != 4 or len(b) != 4 or a[:3] != b[:3]:
        return False
    mine, other = (
        dict(entry.split("=", 1) for entry in text.split(",") if "=" in entry) for text in (a[3], b[3])
    )
    return all(other.get(name, value) == value for name, value in mine.items())
