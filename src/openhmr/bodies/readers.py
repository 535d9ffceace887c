"""SMPL and MANO model files, which users bring themselves, as :class:`Body`. No file can run code."""

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.body import Body
from openhmr.bodies.regressors import add_regressors
from openhmr.bodies.storage import FORMAT, MAX_NUMBERS, check_unpacked
from openhmr.bodies.unpickle import NotAPickle, record_pickle, to_array
from openhmr.errors import InputError
from openhmr.io.arrays import read_npz
from openhmr.io.atomic import check_file

MAX_BYTES = 1 << 30
"""Largest file that is read; SMPL with 300 shape coefficients has a quarter of it."""

_LARGEST_M = 20.0
"""Bodies and hands that span more are in centimetres or millimetres."""

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
        if "\0" in str(path) or (path.exists() and not path.is_file()):
            raise InputError(
                f"{str(path)!r} cannot be read: it is no plain file; give the path of a SMPL or MANO file"
            )
        size = path.stat().st_size
        if not size:
            raise InputError(f"{path} is empty; give the SMPL or MANO file as downloaded")
        if size > MAX_BYTES:
            raise InputError(
                f"{path} has {size:,} bytes; body models of at most {MAX_BYTES:,} bytes are read"
            )
        if zipfile.is_zipfile(path):
            return _read_zip(path)
        content = path.read_bytes()
        try:
            records = record_pickle(content)
        except NotAPickle:
            _refuse_other_kinds(content)
            raise
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


def _read_zip(path: Path) -> Body:
    with zipfile.ZipFile(path) as archive:
        members = archive.namelist()
    names = {name.removesuffix(".npy") for name in members if name.endswith(".npy")}
    if not names:
        raise InputError(
            f"it is a zip archive of {', '.join(members[:3]) or 'nothing'} and holds no arrays; unpack it "
            f"and give the model file inside"
        )
    wanted = ("format", "hands_mean", *_NAMES)
    if "format" in names and str(read_npz(path, 1000, names=("format",)).get("format")) == FORMAT:
        return Body.load(path)
    check_unpacked(path, wanted)
    # One at a time: single precision is kept of what may be double.
    return _to_body(lambda name: read_npz(path, MAX_NUMBERS, names=(name,))[name], names)


def _refuse_other_kinds(content: bytes) -> None:
    """Say what a file is that is not a pickle, where that is plain to see."""
    start = content[:512].lstrip(b"\xef\xbb\xbf\r\n\t ")
    kinds = ((b"\x1f\x8b", "a gzip"), (b"7z\xbc\xaf", "a 7z"), (b"Rar!", "a rar"))
    for magic, kind in kinds:
        if start.startswith(magic):
            raise InputError(f"it is {kind} archive; unpack it and give the model file inside")
    if start.startswith(b"\x93NUMPY"):
        raise InputError("it is a single .npy array; a body model is a .npz or .pkl of several")
    if start[:15].lower().startswith((b"<!doctype", b"<html")):
        raise InputError(
            "it is a web page, not a model; log in at the publisher's site and download it again"
        )
    try:
        text = content[:512].decode()
    except UnicodeDecodeError:
        return
    if start and all(c.isprintable() or c.isspace() for c in text) and not start.startswith((b"(dp", b"(lp")):
        raise InputError(
            f"it is a text file that begins with {text.split(chr(10))[0][:40]!r}; give a SMPL or MANO file "
            f"(.pkl or .npz) as downloaded"
        )


def convert(
    source: str | Path, target: str | Path, regressors: Mapping[str, str | Path] | None = None
) -> Body:
    """Read any body with :func:`read_body`, write it to ``target`` in this package's format with the further
    joint ``regressors`` (see :func:`~openhmr.bodies.regressors.add_regressors`), and return it."""
    if Path(target).suffix != ".npz":
        raise InputError(f"{target} must end in .npz, the format of converted bodies; choose such a name")
    check_file(Path(target))
    body = add_regressors(read_body(source), regressors or {})
    body.save(target)
    return body


def _to_body(get: Callable[[str], NDArray], names: set[str]) -> Body:
    missing = [name for name in _NAMES if name not in names]
    if missing:
        raise InputError(
            f"the file lacks {', '.join(missing)} (it holds {', '.join(sorted(names)[:8]) or 'nothing'}); a "
            f"body model has the arrays {', '.join(_NAMES)}"
        )
    read = _Reader(get)
    parents = read.integers("kintree_table", 2)[0]
    # The root's parent is written as the largest unsigned integer.
    parents[parents >= 2**31 - 1] = -1
    v_template = read.floats("v_template", 2)
    extent = float(np.ptp(v_template, axis=0).max())
    if extent > _LARGEST_M:
        raise InputError(
            f"v_template spans {extent:.4g}; models of at most {_LARGEST_M:g} metres are read: scale all "
            f"lengths to metres"
        )
    return Body(
        v_template=v_template,
        shapedirs=read.floats("shapedirs", 3),
        posedirs=_posedirs(read.floats("posedirs", 2, 3), len(v_template), len(parents)),
        J_regressor=read.floats("J_regressor", 2),
        weights=read.floats("weights", 2),
        parents=parents.astype(np.int32),
        faces=read.integers("f", 2).astype(np.int32),
        hands_mean=read.floats("hands_mean", 1) if "hands_mean" in names else None,
    )


def _posedirs(array: NDArray[np.float32], vertices: int, joints: int) -> NDArray[np.float32]:
    """``(V,3,P)`` from that, or from the flat forms ``(P,3V)`` and ``(3V,P)`` of other programs."""
    flat, features = 3 * vertices, 9 * (joints - 1)
    if array.ndim == 3:
        return array
    if flat == features or array.shape not in ((features, flat), (flat, features)):
        raise InputError(
            f"posedirs has shape {array.shape}; {vertices} vertices and {joints} joints need "
            f"{(vertices, 3, features)}, or unambiguously {(features, flat)} or {(flat, features)}: reshape "
            f"it to the first"
        )
    array = array.T if array.shape == (features, flat) else array
    return array.reshape(vertices, 3, features)


class _Reader:
    """Arrays by name, each of the right kind, and together no more than a body can have."""

    def __init__(self, get: Callable[[str], NDArray]) -> None:
        self._get, self._left = get, MAX_NUMBERS

    def _array(self, name: str, axes: tuple[int, ...]) -> NDArray:
        array = self._get(name)
        if (
            array.dtype.kind not in "fiu"
            or array.ndim not in axes
            or (array.size == 0 and name != "posedirs")
        ):
            allowed = " or ".join(map(str, axes))
            raise InputError(
                f"{name} is an array of {array.dtype} with shape {array.shape}; {allowed} axes of numbers "
                f"are needed"
            )
        self._left -= array.size
        if self._left < 0:
            raise InputError(f"its arrays hold more than {MAX_NUMBERS:,} numbers; no body model has as many")
        return array

    def floats(self, name: str, *axes: int) -> NDArray[np.float32]:
        with np.errstate(over="ignore", invalid="ignore"):
            out = self._array(name, axes).astype(np.float32)
        if not np.isfinite(out).all():
            raise InputError(
                f"{name} holds numbers that are not finite; the file is damaged: download it again"
            )
        out.flags.writeable = False  # so that the body need not copy it
        return out

    def integers(self, name: str, *axes: int) -> NDArray[np.int64]:
        array = self._array(name, axes)
        if array.dtype.kind == "f" or array.min() < -1 or array.max() >= 2**32:
            raise InputError(
                f"{name} must hold vertex or joint numbers, but it holds {array.dtype} from {array.min()} to "
                f"{array.max()}"
            )
        return array.astype(np.int64)
