"""SMPL and MANO model files, which users bring themselves, as :class:`Body`. No file can run code."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.body import FORMAT, MAX_ELEMENTS, Body
from openhmr.bodies.unpickle import record_pickle, to_array
from openhmr.errors import InputError
from openhmr.io.arrays import read_npz

MAX_BYTES = 1 << 30
"""Largest file that is read; SMPL with 300 shape coefficients has a quarter of it."""

_NAMES = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table", "f")


def read_body(path: str | Path) -> Body:
    """Read SMPL (``.pkl`` or ``.npz``), MANO (``.pkl``) or an openhmr body (``.npz``); the content decides,
    not the suffix.

    Lengths stay as they are (metres in SMPL and MANO). ``hands_mean`` is kept for MANO, so
    :func:`~openhmr.bodies.skinning.skin` treats its pose as relative to the mean hand. Raises
    :class:`InputError` for any file that is not such a model.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise InputError(
                f"{path} cannot be read: it is no plain file; give the path of a SMPL or MANO file"
            )
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(
                f"{path} has {size:,} bytes; body models of at most {MAX_BYTES:,} bytes are read"
            )
        if zipfile.is_zipfile(path):
            arrays = read_npz(path, MAX_ELEMENTS, names=("format", "hands_mean", *_NAMES))
            if str(arrays.get("format")) == FORMAT:
                return Body.load(path)
            return _to_body(arrays.__getitem__, set(arrays))
        records = record_pickle(path.read_bytes())
        return _to_body(lambda name: to_array(records[name]), set(records))
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}); give the path of a SMPL or MANO file"
        ) from None
    except InputError as error:
        raise InputError(f"{path}: {error}" if str(path) not in str(error) else str(error)) from None
    except Exception as error:  # a malformed record can fail anywhere, and always means the same
        raise InputError(
            f"{path} is no valid body model ({type(error).__name__}: {str(error)[:100]}); download it again"
        ) from None


def convert(source: str | Path, target: str | Path) -> Body:
    """Read any body with :func:`read_body`, write it to ``target`` in this package's format, and return
    it."""
    if Path(target).suffix != ".npz":
        raise InputError(f"{target} must end in .npz, the format of converted bodies; choose such a name")
    body = read_body(source)
    body.save(target)
    return body


def _to_body(get: Callable[[str], NDArray], names: set[str]) -> Body:
    missing = [name for name in _NAMES if name not in names]
    if missing:
        raise InputError(
            f"the file lacks {', '.join(missing)}; it must hold SMPL's arrays: {', '.join(_NAMES)}"
        )
    parents = _integers(get("kintree_table"), "kintree_table", 2)[0]
    # The root's parent is written as the largest unsigned integer.
    parents[parents >= 2**31 - 1] = -1
    hands_mean = _floats(get("hands_mean"), "hands_mean", 1) if "hands_mean" in names else None
    body = Body(
        v_template=_floats(get("v_template"), "v_template", 2),
        shapedirs=_floats(get("shapedirs"), "shapedirs", 3),
        posedirs=_floats(get("posedirs"), "posedirs", 3),
        J_regressor=_floats(get("J_regressor"), "J_regressor", 2),
        weights=_floats(get("weights"), "weights", 2),
        parents=parents.astype(np.int32),
        faces=_integers(get("f"), "f", 2).astype(np.int32),
        hands_mean=hands_mean,
    )
    if hands_mean is not None and hands_mean.shape != (3 * (body.num_joints - 1),):
        raise InputError(
            f"hands_mean has shape {hands_mean.shape}; {body.num_joints} joints need "
            f"{(3 * (body.num_joints - 1),)}"
        )
    return body


def _check(array: NDArray, name: str, axes: int) -> None:
    if array.dtype.kind not in "fiu" or array.ndim != axes or (array.size == 0 and name != "posedirs"):
        raise InputError(
            f"{name} is an array of {array.dtype} with shape {array.shape}; {axes} axes of numbers are needed"
        )


def _floats(array: NDArray, name: str, axes: int) -> NDArray[np.float32]:
    _check(array, name, axes)
    with np.errstate(over="ignore", invalid="ignore"):
        out = array.astype(np.float32)
    if not np.isfinite(out).all():
        raise InputError(f"{name} holds numbers that are not finite; the file is damaged: download it again")
    return out


def _integers(array: NDArray, name: str, axes: int) -> NDArray[np.int64]:
    _check(array, name, axes)
    if array.dtype.kind == "f" or array.min() < -1 or array.max() >= 2**32:
        raise InputError(
            f"{name} must hold vertex or joint numbers, but it holds {array.dtype} from {array.min()} to "
            f"{array.max()}"
        )
    return array.astype(np.int64)
