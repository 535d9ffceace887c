"""Mesh files parsed back."""

import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from openhmr.bodies.body import Body
from openhmr.export.glb import write_glb
from openhmr.export.obj import write_obj
from openhmr.people import People
from openhmr.render.suit import suit_colours
from tests.test_people import make_people

Y_UP = np.array([1, -1, -1])


@pytest.fixture
def people(tiny_body: Body) -> People:
    people = make_people(tiny_body, 2)
    assert people.rig is not None
    rest = replace(
        people.rig,
        pose=0 * people.rig.pose + ([np.pi, 0, 0] * np.eye(24, 1, dtype=np.float32)),
        betas=0 * people.rig.betas,
    )
    return replace(people, rig=rest).parametric()


def test_obj(tmp_path: Path, people: People) -> None:
    write_obj(tmp_path / "m.obj", people)
    lines = [line.split() for line in (tmp_path / "m.obj").read_text().splitlines()]
    assert [words[1] for words in lines if words[0] == "o"] == ["person_0", "person_1"]
    vertices = np.array([words[1:] for words in lines if words[0] == "v"], float)
    assert_allclose(vertices, people.vertices.reshape(-1, 3) * Y_UP, atol=1e-5)
    faces = np.array([words[1:] for words in lines if words[0] == "f"], int) - 1
    assert_array_equal(faces, np.concatenate([people.faces, people.faces + 42]))


def test_glb(tmp_path: Path, people: People) -> None:
    write_glb(tmp_path / "m.glb", people)
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
        assert_allclose(positions + node["translation"], people.vertices[i] * Y_UP, atol=1e-5)
        assert_array_equal(read(primitive["indices"]).reshape(-1, 3), people.faces)
        assert_allclose(np.linalg.norm(normals, axis=-1), 1, atol=1e-5)
        colours = read(primitive["attributes"]["COLOR_0"])
        assert_allclose(colours ** (1 / 2.2), suit_colours(people.body, i), atol=1e-5)
        # The ellipsoid's normals point outward.
        assert ((positions * normals).sum(-1) > 0).all()
