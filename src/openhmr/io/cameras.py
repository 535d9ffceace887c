"""Calibrated cameras from files: our own JSON and npz, OpenCV's, and Pose2Sim's."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openhmr.camera import Camera
from openhmr.errors import InputError
from openhmr.io.arrays import read_npz

MAX_BYTES = 4 << 20
MAX_CAMERAS = 1000
_MAX_ELEMENTS = 100_000

_MATRIX = ("K", "camera_matrix", "cameraMatrix", "matrix", "mtx", "intrinsics")
_SIZE_HW = ("image_size",)
_SIZE_WH = ("size", "resolution")
_WIDTH, _HEIGHT = ("image_width", "width", "imageWidth"), ("image_height", "height", "imageHeight")
_DIST = ("dist", "distortion_coefficients", "distCoeffs", "distortions", "distortion", "dist_coeffs")
"""Under which names the files of this package, OpenCV's samples, and Pose2Sim keep what a camera is."""

_ALLOWED = (
    "a camera file is JSON, npz, OpenCV's YAML or XML, or Pose2Sim's TOML, and holds K (3 x 3), image_size "
    "(height, "
    "width) and perhaps dist, or several such cameras by name"
)


def read_camera(path: str | Path, name: str | None = None) -> Camera:
    """The only camera of the file ``path``, or the one called ``name``. Raises :class:`InputError`."""
    cameras = read_cameras(path)
    if name is None and len(cameras) == 1:
        return next(iter(cameras.values()))
    known = ", ".join(list(cameras)[:20])
    if name is None:
        raise InputError(f"{path} holds several cameras ({known}); name the one that took this picture")
    if name not in cameras:
        raise InputError(f"{path} has no camera {name!r}; it has {known}")
    return cameras[name]


def read_cameras(path: str | Path) -> dict[str, Camera]:
    """Name -> camera of every camera in the file ``path``; a single unnamed one is called by the file's stem.

    The content decides on the format: JSON and npz with ``K``, ``image_size`` and perhaps ``dist`` (or
    several such by name; in an npz, ``K (n,3,3)`` with ``names``), OpenCV's FileStorage (YAML, XML or JSON),
    Pose2Sim's TOML. Raises :class:`InputError`.
    """
    path = Path(path)
    entries = _entries(path)
    found: dict[str, Camera] = {}
    if any(key in entries for key in _MATRIX):
        entries = {path.stem: entries}
    for name, entry in entries.items():
        if isinstance(entry, Mapping) and any(key in entry for key in _MATRIX):
            try:
                found[str(entry.get("name", name)) if _is_toml(entry) else str(name)] = _camera(entry)
            except InputError as error:
                raise InputError(f"camera {name!r} of {path}: {error}") from None
    if not found:
        raise InputError(f"{path} holds no camera; {_ALLOWED}")
    if len(found) > MAX_CAMERAS:
        raise InputError(f"{path} holds {len(found)} cameras; at most {MAX_CAMERAS} are read")
    return found


def _is_toml(entry: Mapping[str, Any]) -> bool:
    return "matrix" in entry and isinstance(entry.get("name"), str)


def _entries(path: Path) -> Mapping[str, Any]:
    """What the file holds, as nested mappings of lists and numbers."""
    if "\0" in str(path) or not path.is_file():
        raise InputError(f"{str(path)!r} is not an existing file; give the path of a camera file")
    if path.stat().st_size > MAX_BYTES:
        raise InputError(
            f"{path} has {path.stat().st_size:,} bytes; camera files of at most {MAX_BYTES:,} are read"
        )
    content = path.read_bytes()
    if content[:2] == b"PK":
        return _from_npz(read_npz(path, _MAX_ELEMENTS), path)
    text = content.decode("utf-8-sig", "replace").lstrip()
    if text.startswith(("%YAML", "<?xml", "---")) or '"opencv_storage"' in text[:200]:
        return _from_opencv(path)
    if text.startswith("{"):
        return _from_text(path, lambda: json.loads(text))
    if sys.version_info >= (3, 11):
        import tomllib

        return _from_text(path, lambda: tomllib.loads(text))
    raise InputError(
        f"{path} is no JSON; TOML is read from Python 3.11 on: write the camera as JSON, or update Python"
    )


def _from_text(path: Path, parse: Any) -> Mapping[str, Any]:
    try:
        data = parse()
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not a readable camera file ({str(error)[:80]}); {_ALLOWED}") from None
    if not isinstance(data, dict):
        raise InputError(f"{path} holds {type(data).__name__}; {_ALLOWED}")
    return data


def _from_npz(arrays: Mapping[str, NDArray], path: Path) -> Mapping[str, Any]:
    matrices = arrays.get("K")
    if matrices is None or matrices.ndim != 3:
        return arrays
    names = [str(n) for n in arrays.get("names", np.arange(len(matrices)))]
    sizes = arrays.get("image_size", np.zeros((0, 2)))
    shared = sizes if sizes.ndim == 2 else np.broadcast_to(sizes, (len(matrices), 2))
    dist = arrays.get("dist")
    if not len(names) == len(shared) == len(matrices) or (dist is not None and len(dist) != len(matrices)):
        raise InputError(f"{path} has {len(matrices)} matrices K; names, image_size and dist must be as many")
    return {
        name: {"K": matrices[i], "image_size": shared[i], "dist": None if dist is None else dist[i]}
        for i, name in enumerate(names)
    }


def _from_opencv(path: Path) -> Mapping[str, Any]:
    import cv2

    try:
        storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_READ)
        root = storage.root()
        out = {key: _node(root.getNode(key)) for key in root.keys()[:MAX_CAMERAS]}
        storage.release()
    except (cv2.error, SystemError, UnicodeDecodeError, ValueError) as error:
        raise InputError(f"{path} is not a readable OpenCV file ({str(error)[:80]}); {_ALLOWED}") from None
    return out


def _node(node: Any, depth: int = 0) -> Any:
    if node.isMap() and depth < 3:
        keys = node.keys()
        if "data" in keys and "rows" in keys:
            return node.mat()
        return {key: _node(node.getNode(key), depth + 1) for key in keys[:MAX_CAMERAS]}
    if node.isSeq():
        return [node.at(i).real() for i in range(min(node.size(), 16))]
    return node.real() if node.isReal() or node.isInt() else node.string()


def _camera(entry: Mapping[str, Any]) -> Camera:
    K = next(entry[key] for key in _MATRIX if key in entry)
    dist = _first(entry, _DIST)
    return Camera(K, _size(entry), "given", None if dist is None or not np.any(_numbers(dist)) else dist)


def _numbers(values: Any) -> NDArray:
    try:
        return np.asarray(values, np.float64)
    except (TypeError, ValueError, OverflowError):
        return np.ones(1)  # not zero, so that the camera's own check names it


def _size(entry: Mapping[str, Any]) -> Any:
    """(height, width), whichever way the file writes it."""
    if (given := _first(entry, _SIZE_HW)) is not None:
        size = given
    elif (swapped := _first(entry, _SIZE_WH)) is not None:
        size = swapped[::-1] if isinstance(swapped, list | np.ndarray) else swapped
    else:
        size = [_first(entry, _HEIGHT), _first(entry, _WIDTH)]
        if size == [None, None]:
            raise InputError("it has no image_size (height, width), without which pixels mean nothing")
    return size.tolist() if isinstance(size, np.ndarray) else size


def _first(entry: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    return next((entry[key] for key in keys if entry.get(key) is not None), None)
