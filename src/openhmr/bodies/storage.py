"""A body as one ``.npz`` file: which arrays it holds, and what of them is believed."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.level import Array, Level
from openhmr.errors import InputError
from openhmr.io.arrays import read_npz

FORMAT = "openhmr-body-1"
MAX_NUMBERS = 32_000_000
"""All arrays of a body together hold at most as many; SMPL-X with all its coefficients has 29 million."""
MAX_MATRIX = 8_000_000
"""Entries of a sparse matrix, which a few bytes can claim any number of; SMPL-X's largest has 0.6 million."""
FREE_BYTES, EXPANSION, MAX_UNPACKED = 128 << 20, 50, 320 << 20
"""A file may unpack to the first, or to that many times its own size (numbers rarely halve when packed), but
never to more than the last."""

PLAIN = ("v_template", "shapedirs", "posedirs", "parents", "faces", "hands_mean", "uv", "face_uv")


def to_arrays(
    plain: Mapping[str, NDArray | None], matrices: Mapping[str, NDArray], levels: Mapping[str, Level]
) -> dict[str, NDArray]:
    """What a file holds, by name: the arrays of :data:`PLAIN` that are there, mostly-zero ``matrices`` as
    (rows, cols, values), and the levels."""
    out: dict[str, NDArray] = {"format": np.array(FORMAT)}
    out |= {name: value for name, value in plain.items() if value is not None}
    for name, dense in matrices.items():
        rows, cols = np.nonzero(dense)
        out |= {f"{name}.shape": np.array(dense.shape), f"{name}.rows": rows.astype(np.int32)}
        out |= {f"{name}.cols": cols.astype(np.int32), f"{name}.values": dense[rows, cols]}
    for name, level in levels.items():
        out |= {f"levels/{name}.vertex_ids": level.vertex_ids, f"levels/{name}.faces": level.faces}
        if level.upsample is not None:
            parts = zip(("rows", "cols", "values"), level.upsample, strict=True)
            out |= {f"levels/{name}.{k}": v for k, v in parts}
    return out


def check_unpacked(path: Path, names: tuple[str, ...] | None = None) -> None:
    """Raises :class:`InputError` if the arrays (``names``, or all) of an ``.npz`` unpack to more than its own
    size can justify."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    size = sum(m.file_size for m in members if names is None or m.filename.removesuffix(".npy") in names)
    allowed = min(max(FREE_BYTES, EXPANSION * path.stat().st_size), MAX_UNPACKED)
    if size > allowed:
        raise InputError(
            f"{path} unpacks to {size:,} bytes; a body file of its size may unpack to {allowed:,}: download "
            f"it again, or save its arrays with numpy.savez"
        )


def read_parts(path: str | Path) -> dict[str, Any]:
    """The arguments of :class:`Body` from a file. Raises :class:`InputError` if it holds no body."""
    path = Path(path)
    if zipfile.is_zipfile(path):
        check_unpacked(path)
    arrays = read_npz(path, MAX_NUMBERS)
    if str(arrays.get("format")) != FORMAT:
        raise InputError(
            f"{path} is no body file of this package; read SMPL and MANO files with read_body, or convert "
            f"them"
        )
    try:
        return _parts(arrays)
    except KeyError as error:
        raise InputError(f"{path} lacks the array {error}; it is damaged: convert the model again") from None
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        raise InputError(f"{path} is a damaged body file ({error}); convert the model again") from None


def _parts(arrays: dict[str, NDArray]) -> dict[str, Any]:
    for array in arrays.values():
        array.flags.writeable = False  # so that nothing is copied

    def named(prefix: str) -> list[str]:
        return sorted({k[len(prefix) :].split(".")[0] for k in arrays if k.startswith(prefix)})

    levels = {}
    for name in named("levels/"):
        at = f"levels/{name}"
        upsample = None
        if f"{at}.rows" in arrays:
            upsample = arrays[f"{at}.rows"], arrays[f"{at}.cols"], arrays[f"{at}.values"]
        levels[name] = Level(arrays[f"{at}.vertex_ids"], arrays[f"{at}.faces"], upsample)
    return {
        **{k: arrays[k] for k in PLAIN if k in arrays},
        "J_regressor": _dense(arrays, "J_regressor"),
        "weights": _dense(arrays, "weights"),
        "joint_regressors": {n: _dense(arrays, f"joint_regressors/{n}") for n in named("joint_regressors/")},
        "levels": levels,
    }


def _dense(arrays: dict[str, NDArray], name: str) -> Array:
    shape = tuple(int(n) for n in arrays[f"{name}.shape"])
    if len(shape) != 2 or min(shape) < 0 or shape[0] * shape[1] > MAX_MATRIX:
        raise ValueError(f"{name} claims the shape {shape}")
    rows, cols = arrays[f"{name}.rows"], arrays[f"{name}.cols"]
    if rows.size and min(rows.min(), cols.min()) < 0:
        raise ValueError(f"{name} has negative indices")
    out = np.zeros(shape, np.float32)
    out[rows, cols] = arrays[f"{name}.values"]
    out.flags.writeable = False
    return out
