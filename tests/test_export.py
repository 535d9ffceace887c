"""Mesh files parsed back."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from openhmr.bodies.body import Body
from openhmr.export.glb import write_glb
from openhmr.export.obj import write_obj
from openhmr.geometry.camera_fit import intrinsics
from openhmr.joints import COCO
from openhmr.predict.result import Result

Y_UP = np.array([1, -1, -1])


@pytest.fixture
def result(tiny_body: Body) -> Result:
    translation = np.array([[0.5, -0.25, 4], [-1, 0, 6]])
    vertices = (tiny_body.v_template * [1, -1, -1] + translation[:, None]).astype(np.float32)
    joints = {"coco": vertices[:, :19], "smpl": vertices[:, :24]}
    K = intrinsics((480, 640), 500)
    pixels = joints["coco"] @ K.T
    pose = np.concatenate([pixels[..., :2] / pixels[..., 2:], np.ones((2, 19, 1))], -1).astype(np.float32)
    return Result(vertices, tiny_body.faces, joints, K, translation, (480, 640), pose, COCO)


def test_obj(tmp_path: Path, result: Result) -> None:
    write_obj(tmp_path / "m.obj", result)
    lines = [line.split() for line in (tmp_path / "m.obj").read_text().splitlines()]
    assert [words[1] for words in lines if words[0] == "o"] == ["person_0", "person_1"]
    vertices = np.array([words[1:] for words in lines if words[0] == "v"], float)
    assert_allclose(vertices, result.vertices.reshape(-1, 3) * Y_UP, atol=1e-5)
    faces = np.array([words[1:] for words in lines if words[0] == "f"], int) - 1
    assert_array_equal(faces, np.concatenate([result.faces, result.faces + 42]))


def test_glb(tmp_path: Path, result: Result) -> None:
    write_glb(tmp_path / "m.glb", result)
    data = (tmp_path / "m.glb").read_bytes()
    magic, version, length, json_length, json_kind = struct.unpack("<4sIII4s", data[:20])
    assert (magic, version, length, json_kind) == (b"glTF", 2, len(data), b"JSON")
    document = json.loads(data[20 : 20 + json_length])
    bin_length, bin_kind = struct.unpack("<I4s", data[20 + json_length : 28 + json_length])
    binary = data[28 + json_length :]
    assert bin_kind == b"BIN\0" and bin_length == len(binary) == document["buffers"][0]["byteLength"]

    def read(index: int) -> np.ndarray:
        accessor = document["accessors"][index]
        view = document["bufferViews"][accessor["bufferView"]]
        width, dtype = (
            {"VEC3": 3, "SCALAR": 1}[accessor["type"]],
            {5126: "<f4", 5125: "<u4"}[accessor["componentType"]],
        )
        assert view["byteOffset"] % 4 == 0 and view["byteLength"] == accessor["count"] * width * 4
        out = np.frombuffer(binary, dtype, accessor["count"] * width, view["byteOffset"]).reshape(-1, width)
        if "min" in accessor:
            assert_array_equal([accessor["min"], accessor["max"]], [out.min(0), out.max(0)])
        return out

    assert document["scenes"][0]["nodes"] == [0, 1]
    for i, node in enumerate(document["nodes"]):
        primitive = document["meshes"][node["mesh"]]["primitives"][0]
        positions, normals = (read(primitive["attributes"][name]) for name in ("POSITION", "NORMAL"))
        assert_allclose(positions + node["translation"], result.vertices[i] * Y_UP, atol=1e-5)
        assert_array_equal(read(primitive["indices"]).reshape(-1, 3), result.faces)
        assert_allclose(np.linalg.norm(normals, axis=-1), 1, atol=1e-5)
        # The ellipsoid's normals point outward.
        assert ((positions * normals).sum(-1) > 0).all()


def test_npz_and_reprojection(tmp_path: Path, result: Result) -> None:
    assert_allclose(result.reprojection_px(), 0, atol=1e-3)
    result.save_npz(tmp_path / "r.npz")
    with np.load(tmp_path / "r.npz", allow_pickle=False) as saved:
        assert set(saved) == {
            "vertices",
            "faces",
            "joints_coco",
            "joints_smpl",
            "camera_K",
            "camera_translation",
            "image_size",
            "pose2d",
            "joint_set",
        }
        assert_array_equal(saved["vertices"], result.vertices)
        assert_array_equal(saved["camera_K"], result.K)
        assert_array_equal(saved["image_size"], [480, 640])
        assert saved["joint_set"] == "coco"


def test_nothing_is_left_behind_when_writing_fails(
    tmp_path: Path, result: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "openhmr.io.atomic.os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full"))
    )
    for write in (write_obj, write_glb):
        with pytest.raises(OSError, match="disk full"):
            write(tmp_path / "m", result)
    assert list(tmp_path.iterdir()) == []
