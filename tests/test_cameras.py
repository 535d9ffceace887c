"""Camera files of all kinds, and a sentence for what is none."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from openhmr.errors import InputError
from openhmr.io.cameras import read_camera, read_cameras

K = np.array([[700.0, 0, 330], [0, 705, 200], [0, 0, 1]])
DIST = [-0.1, 0.02, 0.001, -0.002, 0.0]

TOML = """
[cam_1]
name = "left"
size = [ 640.0, 425.0]
matrix = [ [ 700.0, 0.0, 330.0], [ 0.0, 705.0, 200.0], [ 0.0, 0.0, 1.0]]
distortions = [ -0.1, 0.02, 0.001, -0.002, 0.0]
rotation = [ 1.2, -1.1, 0.8]
translation = [ 0.1, 0.2, 3.0]
fisheye = false

[cam_2]
name = "right"
size = [ 640.0, 425.0]
matrix = [ [ 700.0, 0.0, 330.0], [ 0.0, 705.0, 200.0], [ 0.0, 0.0, 1.0]]
distortions = [ 0.0, 0.0, 0.0, 0.0]

[metadata]
adjusted = false
error = 0.0
"""


def write_opencv(path: Path) -> None:
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    storage.write("image_width", 640)
    storage.write("image_height", 425)
    storage.write("camera_matrix", K)
    storage.write("distortion_coefficients", np.array([DIST]))
    storage.release()


def write(folder: Path, kind: str) -> Path:
    path = folder / f"camera{kind}"
    entry = {"K": K.tolist(), "image_size": [425, 640], "dist": DIST}
    if kind == ".json":
        path.write_text(json.dumps(entry))
    elif kind == ".npz":
        np.savez(path, K=K, image_size=[425, 640], dist=DIST)
    elif kind == ".toml":
        path.write_text(TOML.split("[cam_2]")[0])
    else:
        write_opencv(path)
    return path


@pytest.mark.parametrize("kind", [".json", ".npz", ".toml", ".yml", ".xml"])
def test_every_format_holds_the_same_camera(tmp_path: Path, kind: str) -> None:
    camera = read_camera(write(tmp_path, kind))
    assert_array_equal(camera.K, K)
    assert camera.image_size == (425, 640) and camera.source == "given"
    assert camera.dist is not None
    assert_array_equal(camera.dist, DIST)


def test_several_cameras_by_name(tmp_path: Path) -> None:
    (tmp_path / "Calib.toml").write_text(TOML)
    entry = {"K": K.tolist(), "image_size": [425, 640]}
    (tmp_path / "cameras.json").write_text(json.dumps({"left": entry | {"dist": DIST}, "right": entry}))
    names, sizes = ["left", "right"], [[425, 640]] * 2
    np.savez(tmp_path / "cameras.npz", K=[K, K], image_size=sizes, names=names, dist=[DIST, np.zeros(5)])
    for name in ("Calib.toml", "cameras.json", "cameras.npz"):
        cameras = read_cameras(tmp_path / name)
        assert list(cameras) == ["left", "right"]
        assert cameras["left"].dist is not None and cameras["right"].dist is None
        assert_array_equal(read_camera(tmp_path / name, "right").K, K)
        with pytest.raises(InputError, match=r"several cameras \(left, right\)"):
            read_camera(tmp_path / name)
        with pytest.raises(InputError, match="no camera 'middle'; it has left, right"):
            read_camera(tmp_path / name, "middle")


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ({"K": K.tolist()}, "no image_size"),
        ({"K": K.tolist(), "image_size": [425]}, "image_size is"),
        ({"K": K[:2].tolist(), "image_size": [425, 640]}, "3 x 3 camera matrix"),
        ({"K": "wide", "image_size": [425, 640]}, "3 x 3 camera matrix"),
        ({"K": [[10**400, 0, 0], [0, 1, 0], [0, 0, 1]], "image_size": [425, 640]}, "3 x 3 camera matrix"),
        ({"K": K.tolist(), "image_size": [425, 640], "dist": [0.1]}, "dist is"),
        ({"left": {"K": (K * 1e300).tolist(), "image_size": [425, 640]}}, "camera 'left'"),
        ({"focal": 700}, "holds no camera"),
        ([1, 2], "not a readable camera file|holds list"),
    ],
)
def test_bad_cameras(tmp_path: Path, content: object, cause: str) -> None:
    (tmp_path / "camera.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=cause):
        read_cameras(tmp_path / "camera.json")


def test_what_is_no_file(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.json", tmp_path / "a\0b"):
        with pytest.raises(InputError, match="not an existing file"):
            read_cameras(path)
    (tmp_path / "large.json").write_bytes(b"{" + b" " * (5 << 20))
    with pytest.raises(InputError, match="bytes"):
        read_cameras(tmp_path / "large.json")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from([".json", ".toml", ".yml", ".xml", ".npz"]),
    at=st.floats(0, 1),
    noise=st.binary(min_size=0, max_size=6),
    cut=st.booleans(),
)
def test_damaged_files_end_in_our_own_errors(
    tmp_path: Path, kind: str, at: float, noise: bytes, cut: bool
) -> None:
    path = write(tmp_path, kind)
    whole = path.read_bytes()
    place = int(at * len(whole))
    path.write_bytes(whole[:place] + noise + (b"" if cut else whole[place + len(noise) :]))
    try:
        cameras = read_cameras(path)
    except InputError:
        return
    assert all(np.isfinite(c.K).all() for c in cameras.values())
