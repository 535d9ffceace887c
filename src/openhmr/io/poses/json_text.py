"""JSON from strangers in little memory: lists of numbers become arrays while it is read."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openhmr.errors import InputError

MAX_BYTES = 24 << 20
MAX_LISTS = 1_000_000
"""Lists and objects in a file: parsed, an empty one takes twenty-five times its bytes."""
_LONG = 8
"""Lists of fewer numbers stay lists."""

Record = dict[str, Any]


def read_json(path: Path) -> Any:
    """What a JSON file holds. Long lists of numbers in objects, nested ones too, are float64 arrays, with NaN
    for null.

    Raises :class:`InputError`.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise InputError(
            f"{path} has {size:,} bytes; JSON of at most {MAX_BYTES:,} bytes is read: pass fewer images"
        )
    data = path.read_bytes()
    if data.count(b"[") + data.count(b"{") > MAX_LISTS:
        raise InputError(f"{path} has more than {MAX_LISTS:,} lists and objects; pass fewer images")
    try:
        return json.loads(data, object_hook=_compact)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise InputError(f"{path} is not readable JSON ({str(error)[:80]}); save it again") from None


def _compact(record: Record) -> Record:
    record.pop("segmentation", None)  # the outlines of data sets are most of their bytes
    for key, value in record.items():
        if isinstance(value, list) and len(value) >= _LONG and not isinstance(value[0], dict | str):
            try:
                record[key] = np.array(value, np.float64)
            except (ValueError, TypeError, OverflowError):
                continue
    return record


def numbers(values: object, where: str) -> NDArray[np.float64]:
    """``values`` as an array. Raises :class:`InputError`, whose sentence starts with ``where``."""
    try:
        return np.asarray(values, np.float64)
    except (ValueError, TypeError, OverflowError):
        raise InputError(f"{where} that is no list of numbers; write x, y, v for each joint") from None


def records(values: object, where: str) -> list[Record]:
    """``values`` as a list of objects. Raises :class:`InputError`."""
    if not isinstance(values, list) or not all(isinstance(v, dict) for v in values):
        raise InputError(f"{where} is no list of objects; save the detector's output again")
    return values
