"""Tables, JSON lines, PLY and sequences of files, read back."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from openhmr.bodies.body import Body
from openhmr.camera import Camera
from openhmr.errors import InputError
from openhmr.export.files import SequenceSink
from openhmr.export.obj import write_obj
from openhmr.export.ply import write_ply
from openhmr.export.tables import angles_csv, joints_csv, json_lines
from openhmr.geometry.joint_angles import ANGLES, joint_angles
from openhmr.joints import SMPL
from tests.clips import moving_people
from tests.test_people import make_people

Y_UP = np.array([1, -1, -1])


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_joints_csv(tmp_path: Path, tiny_body: Body) -> None:
    frames = moving_people(tiny_body, [[0, 3], [], [3]])
    with joints_csv(tmp_path / "j.csv") as sink:
        for frame in frames:
            sink.append(frame)
    rows = rows_of(tmp_path / "j.csv")
    assert [row["joint"] for row in rows] == [*SMPL.names] * 3
    assert [(row["frame"], row["person"]) for row in rows[::24]] == [("0", "0"), ("0", "3"), ("2", "3")]
    assert float(rows[-1]["time_s"]) == pytest.approx(0.08)
    people = frames[2].people
    found = np.array([[float(row[k]) for k in ("x_m", "y_m", "z_m", "u_px", "v_px")] for row in rows[48:]])
    assert_allclose(found[:, :3], people.joints(SMPL)[0] * Y_UP, atol=1e-5)
    assert_allclose(found[:, 3:], people.camera.project(people.joints(SMPL))[0], atol=0.006)


def test_angles_csv(tmp_path: Path, tiny_body: Body) -> None:
    frames = [replace(frame, time_s=None) for frame in moving_people(tiny_body, [[0, 3], [3], []])]
    with angles_csv(tmp_path / "a.csv", 10.0) as sink:
        for frame in frames:
            sink.append(frame)
    rows = rows_of(tmp_path / "a.csv")
    assert [(row["time_s"], row["person"]) for row in rows] == [
        ("0.000000", "0"),
        ("0.000000", "3"),
        ("0.100000", "3"),
    ]
    found = [[float(row[f"{angle.name}_deg"]) for angle in ANGLES] for row in rows]
    rig = frames[1].people.rig
    assert rig is not None
    assert_allclose(found[2], np.degrees(joint_angles(rig.pose[0])), atol=1e-3)
    bare = replace(frames[0], groups={"body": make_people(tiny_body, rig=False)})
    with pytest.raises(InputError, match="no body parameters"), angles_csv(tmp_path / "b.csv") as sink:
        sink.append(bare)
    assert not (tmp_path / "b.csv").exists()


def test_json_lines(tmp_path: Path, tiny_body: Body) -> None:
    camera = Camera(Camera.from_focal(900, (720, 1280)).K, (720, 1280), down=np.array([0, 1.0, 0]))
    frames = moving_people(tiny_body, [[0, 3], []], camera=camera)
    frames.append(
        replace(frames[0], index=2, name="x.jpg", groups={"body": make_people(tiny_body, rig=False)})
    )
    with json_lines(tmp_path / "p.jsonl") as sink:
        for frame in frames:
            sink.append(frame)
    first, second, third = map(json.loads, (tmp_path / "p.jsonl").read_text().splitlines())
    people, person = frames[0].people, first["people"][1]
    assert (first["frame"], first["time_s"], person["id"], second["people"]) == (0, 0, 3, [])
    assert first["camera"]["down"] == [0, 1, 0] and first["camera"]["image_size"] == [720, 1280]
    assert_allclose(list(person["joints_m"].values()), people.joints(SMPL)[1], atol=1e-5)
    assert people.rig is not None
    assert_allclose(person["pose_rad"], people.rig.pose[1], atol=1e-6)
    assert_allclose(person["translation_m"], people.rig.translation[1], atol=1e-5)
    expected = np.degrees(joint_angles(people.rig.pose[1]))
    assert_allclose([person["angles_deg"][angle.name] for angle in ANGLES], expected, atol=0.006)
    assert third["name"] == "x.jpg" and "pose_rad" not in third["people"][0]


def test_ply_by_another_reader(tmp_path: Path, tiny_body: Body) -> None:
    trimesh = pytest.importorskip("trimesh")
    people = moving_people(tiny_body, [[0, 3]])[0].people
    write_ply(tmp_path / "m.ply", people)
    mesh = trimesh.load(tmp_path / "m.ply", process=False)
    assert_allclose(mesh.vertices, people.vertices.reshape(-1, 3) * Y_UP, atol=1e-6)
    assert_array_equal(mesh.faces, np.concatenate([people.faces, people.faces + 42]))
    assert mesh.visual.vertex_colors.shape == (84, 4)


def test_ply_by_its_header(tmp_path: Path, tiny_body: Body) -> None:
    people = moving_people(tiny_body, [[0, 3]])[0].people
    write_ply(tmp_path / "m.ply", people)
    head, _, body = (tmp_path / "m.ply").read_bytes().partition(b"end_header\n")
    assert b"element vertex 84\n" in head and b"element face 160\n" in head
    vertices = np.frombuffer(body, [("f", "<f4", 6), ("c", "u1", 3), ("person", "<i4")], 84)
    faces = np.frombuffer(body, [("n", "u1"), ("ids", "<i4", 3)], 160, 84 * vertices.itemsize)
    assert len(body) == vertices.nbytes + faces.nbytes and (faces["n"] == 3).all()
    assert_array_equal(vertices["person"], np.repeat([0, 3], 42))
    assert_allclose(np.linalg.norm(vertices["f"][:, 3:], axis=1), 1, atol=1e-5)


def test_a_single_frame_is_a_file_and_several_a_folder(tmp_path: Path, tiny_body: Body) -> None:
    frames = moving_people(tiny_body, [[0]] * 3)
    for out, count in (("one", 1), ("many", 3)):
        (tmp_path / out).mkdir()
        path = tmp_path / out / "mesh.obj"
        with SequenceSink(path, lambda at, frame: write_obj(at, frame.people)) as sink:
            for frame in frames[:count]:
                sink.append(frame)
    assert [p.name for p in (tmp_path / "one").iterdir()] == ["mesh.obj"]
    assert [p.name for p in (tmp_path / "many").iterdir()] == ["mesh"]
    assert {p.name for p in (tmp_path / "many" / "mesh").iterdir()} == {f"00000{i}.obj" for i in range(3)}
    third = (tmp_path / "many" / "mesh" / "000002.obj").read_text().splitlines()[2].split()[1:]
    assert_allclose(np.array(third, float), frames[2].people.vertices[0, 0] * Y_UP, atol=1e-5)
    with (
        pytest.raises(InputError, match="two frames have the number 1"),
        SequenceSink(tmp_path / "x.obj", lambda at, frame: write_obj(at, frame.people)) as sink,
    ):
        for k in (0, 1, 1):
            sink.append(frames[k])
