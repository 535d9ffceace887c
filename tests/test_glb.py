"""GLB files, read by a reader that was written from the specification: the skinned vertices are ours."""

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from openhmr.bodies.body import Body
from openhmr.bodies.shipped import open_body
from openhmr.camera import Camera
from openhmr.errors import InputError
from openhmr.export.glb import GlbSink, strongest, write_glb
from openhmr.export.world import world_from_camera
from openhmr.joints import SMPL
from openhmr.joints.mano import MANO_PARENTS
from openhmr.people import Frame, People
from openhmr.render.suit import suit_colours
from tests.clips import moving_people
from tests.conftest import make_tiny_body
from tests.gltf_reader import Glb
from tests.test_people import make_people

Y_UP = np.array([1, -1, -1])
BOTH = [[0, 3]] * 6


@pytest.fixture(scope="module")
def plain_body() -> Body:
    return make_tiny_body(posedirs=False)


def written(path: Path, frames: list[Frame]) -> Glb:
    with GlbSink(path) as sink:
        for frame in frames:
            sink.append(frame)
    return Glb.read(path)


@pytest.mark.parametrize("full", [False, True], ids=["tiny", "open"])
def test_a_clip_is_exact_on_its_frames(tmp_path: Path, plain_body: Body, full: bool) -> None:
    frames = moving_people(open_body() if full else plain_body, BOTH)
    glb = written(tmp_path / "clip.glb", frames)
    for frame in frames:
        for row, person in enumerate((0, 3)):
            shown = glb.vertices(f"person_{person}_mesh", frame.time_s)
            assert_allclose(shown, frame.people.vertices[row] * Y_UP, atol=1e-4)
    assert len(glb.document["animations"]) == 1
    node = glb.node("person_3_mesh")
    skin = glb.document["skins"][node["skin"]]
    assert tuple(glb.document["nodes"][j]["name"] for j in skin["joints"]) == SMPL.names
    assert_array_equal(glb.attributes(node)["faces"], frames[0].people.faces)


def test_a_picture_is_posed_by_its_nodes(tmp_path: Path) -> None:
    people = moving_people(open_body(), [[0, 1]])[0].people
    write_glb(tmp_path / "m.glb", people)
    glb = Glb.read(tmp_path / "m.glb")
    assert "animations" not in glb.document
    for i in range(2):
        assert_allclose(glb.vertices(f"person_{i}_mesh"), people.vertices[i] * Y_UP, atol=1e-4)
    assert (tmp_path / "m.glb").stat().st_size < 800_000


def test_between_frames_the_shorter_way_is_taken(tmp_path: Path, plain_body: Body) -> None:
    """A turn through half a turn, where axis-angle vectors leap: the reader asserts one hemisphere."""
    first = moving_people(plain_body, [[0]])[0]
    frames = []
    for k, angle in enumerate(np.linspace(2.5, 3.8, 5)):
        assert first.people.rig is not None
        pose = first.people.rig.pose.copy()
        pose[:, 5] = (0, min(angle, angle - 2 * np.pi, key=abs), 0)
        people = replace(first.people, rig=replace(first.people.rig, pose=pose))
        frames.append(Frame(k, {"body": people}, k / 10))
    glb = written(tmp_path / "m.glb", frames)
    middle = glb.vertices("person_0_mesh", 0.15)
    ends = [glb.vertices("person_0_mesh", t) for t in (0.1, 0.2)]
    assert np.abs(middle - (ends[0] + ends[1]) / 2).max() < 0.05


def test_who_is_not_seen_is_not_shown(tmp_path: Path, plain_body: Body) -> None:
    frames = moving_people(plain_body, [[], [0, 1], [0], [0, 1], []])
    glb = written(tmp_path / "m.glb", frames)
    sizes = [np.ptp(glb.vertices("person_1_mesh", frame.time_s), axis=0).max() for frame in frames]
    assert [size > 0 for size in sizes] == [False, True, False, True, False]
    for k in (1, 3):
        shown = glb.vertices("person_1_mesh", frames[k].time_s)
        assert_allclose(shown, frames[k].people.vertices[1] * Y_UP, atol=1e-4)


def test_the_floor_is_level_where_the_camera_knows_it(tmp_path: Path, plain_body: Body) -> None:
    down = np.array([0.1, 0.9, 0.4])
    camera = Camera.from_focal(900, (720, 1280))
    camera = Camera(camera.K, camera.image_size, down=down)
    people = moving_people(plain_body, [[0]], camera=camera)[0].people
    world = world_from_camera(camera)
    assert_allclose(world @ camera.down, [0, -1, 0], atol=1e-8)
    assert_allclose(world @ world.T, np.eye(3), atol=1e-8)
    write_glb(tmp_path / "m.glb", people)
    glb = Glb.read(tmp_path / "m.glb")
    assert_allclose(glb.vertices("person_0_mesh"), people.vertices[0] @ world.T, atol=1e-4)
    # What glTF's camera sees, along its -z with y up, is what ours does.
    seen = glb.worlds()[glb.document["nodes"].index(glb.node("camera"))][:3, :3].T @ world
    assert_allclose(seen, np.diag([1, -1, -1]), atol=1e-6)
    upside_down = Camera(camera.K, camera.image_size, down=np.array([0, -1.0, 0]))
    assert_allclose(world_from_camera(upside_down) @ upside_down.down, [0, -1, 0], atol=1e-8)


def test_without_parameters_meshes_are_plain(tmp_path: Path, tiny_body: Body) -> None:
    people = make_people(tiny_body, 2, rig=False)
    write_glb(tmp_path / "m.glb", people)
    glb = Glb.read(tmp_path / "m.glb")
    for i in range(2):
        assert_allclose(glb.vertices(f"person_{10 * i}"), people.vertices[i] * Y_UP, atol=1e-5)
    assert_allclose(glb.node("person_10")["translation"], people.roots[1] * Y_UP, atol=1e-6)
    with pytest.raises(InputError, match="no body parameters"), GlbSink(tmp_path / "two.glb") as sink:
        sink.append(Frame(0, {"body": people}))
        sink.append(Frame(1, {"body": people}))
    assert [p.name for p in tmp_path.iterdir()] == ["m.glb"]


def test_hands_are_skinned_beside_bodies(tmp_path: Path, plain_body: Body) -> None:
    """A hand of MANO's tree in another group of the frame, with the names of its joints."""
    rng = np.random.default_rng(3)
    rest = rng.normal(size=(40, 3)) * 0.05
    hand = Body(
        rest,
        rng.normal(size=(40, 3, 10)) * 1e-3,
        np.zeros((40, 3, 0)),
        rng.dirichlet(np.ones(40), 16),
        rng.dirichlet(np.ones(16) / 50, 40),
        np.array(MANO_PARENTS),
        rng.integers(0, 40, (60, 3)),
        hands_mean=rng.normal(size=45) * 0.2,
    )
    body, other = (moving_people(b, [[0]] * 2, seed=5) for b in (plain_body, hand))
    groups = [{"body": a.people, "left_hand": b.people} for a, b in zip(body, other, strict=True)]
    glb = written(tmp_path / "m.glb", [Frame(k, g, k / 25) for k, g in enumerate(groups)])  # type: ignore[arg-type]
    shown, mine = glb.vertices("left_hand_0_mesh", 1 / 25), groups[1]["left_hand"].vertices[0]
    largest = np.sort(hand.weights, 1)[:, :-4].sum(1)  # what four influences leave out
    assert_allclose(shown, mine * Y_UP, atol=1e-4 + 0.5 * largest.max())
    assert {"Wrist", "Thumb_3", "Pelvis"} <= {node["name"] for node in glb.document["nodes"]}


def test_normals_colours_and_camera(tmp_path: Path, plain_body: Body) -> None:
    people = moving_people(plain_body, [[0, 1]])[0].people
    write_glb(tmp_path / "m.glb", people)
    glb = Glb.read(tmp_path / "m.glb")
    for i in range(2):
        attributes = glb.attributes(glb.node(f"person_{i}_mesh"))
        assert_allclose(np.linalg.norm(attributes["NORMAL"], axis=-1), 1, atol=1e-5)
        # The ellipsoid's normals point outward.
        assert ((attributes["POSITION"] * attributes["NORMAL"]).sum(-1) > 0).all()
        linear = suit_colours(people.body, i) ** 2.2
        assert_allclose(attributes["COLOR_0"][:, :3], linear, atol=0.5 / 255 + 1e-6)
    (lens,) = glb.document["cameras"]
    assert np.tan(lens["perspective"]["yfov"] / 2) == pytest.approx(720 / 2 / 900)
    assert lens["perspective"]["aspectRatio"] == pytest.approx(1280 / 720)


def test_the_largest_weights_are_kept() -> None:
    weights = np.array([[0.1, 0.3, 0.05, 0.35, 0.2], [0, 0, 1, 0, 0], [0.5, 0.5, 0, 0, 0]])
    joints, whole = strongest(weights)
    assert joints.dtype == np.uint8 and (whole.astype(int).sum(1) == 65535).all()
    assert_array_equal(joints[0], [3, 1, 4, 0])
    assert_allclose(whole[0] / 65535, np.array([0.35, 0.3, 0.2, 0.1]) / 0.95, atol=1e-4)
    assert_array_equal(joints[1], [2, 0, 0, 0])
    assert_array_equal(strongest(np.ones((3, 1)))[0], np.zeros((3, 4)))


def test_a_clip_needs_to_know_who_is_who(tmp_path: Path, plain_body: Body) -> None:
    frames = moving_people(plain_body, BOTH, tracked=False)
    with pytest.raises(InputError, match="nobody knows who is who"):
        written(tmp_path / "m.glb", frames)
    with pytest.raises(InputError, match="no frames"):
        written(tmp_path / "m.glb", [])
    with pytest.raises(InputError, match="in the order of their times"):
        written(tmp_path / "m.glb", moving_people(plain_body, [[0]]) * 2)
    assert not list(tmp_path.iterdir())
    alone = moving_people(plain_body, [[0]] * 2, tracked=False)
    assert written(tmp_path / "m.glb", alone).node("person_0_mesh")


def test_shapes_of_single_frames_become_one(tmp_path: Path, plain_body: Body) -> None:
    """The mean shape, its root joint where that of the frame's own is."""
    frames = moving_people(plain_body, [[0]] * 3)
    changed = []
    for k, frame in enumerate(frames):
        assert frame.people.rig is not None
        rig = replace(frame.people.rig, betas=frame.people.rig.betas + np.float32(0.5 * (k - 1)))
        people: People = replace(frame.people, rig=rig).parametric()
        changed.append(replace(frame, groups={"body": people}))
    glb = written(tmp_path / "m.glb", changed)
    for frame in changed:
        skin = glb.document["skins"][0]
        root = glb.worlds(frame.time_s)[skin["joints"][0]][:3, 3]
        rest = plain_body.v_template + plain_body.shapedirs @ frame.people.rig.betas[0]  # type: ignore[union-attr]
        own = plain_body.J_regressor[0] @ rest + frame.people.rig.translation[0]  # type: ignore[union-attr]
        assert_allclose(root, own * Y_UP, atol=1e-5)
    shown = glb.vertices("person_0_mesh", frames[1].time_s)
    assert_allclose(shown, frames[1].people.vertices[0] * Y_UP, atol=1e-4)


VALIDATE = """
const validator = require("gltf-validator"), fs = require("fs");
validator.validateBytes(new Uint8Array(fs.readFileSync(process.argv[1])))
  .then((report) => console.log(JSON.stringify(report.issues.messages)));
"""


def test_khronos_validator_has_no_remark(tmp_path: Path) -> None:
    """Where node and its package ``gltf-validator`` are at hand."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        pytest.skip("there is no node here")
    root = subprocess.run([npm, "root", "--global"], capture_output=True, text=True).stdout.strip()
    found = os.environ | {"NODE_PATH": os.pathsep.join([root, os.environ.get("NODE_PATH", "")])}
    if subprocess.run([node, "-e", "require('gltf-validator')"], env=found, capture_output=True).returncode:
        pytest.skip("gltf-validator is not installed")
    clip = moving_people(open_body(), [[0], [0, 1], [0], [1]])
    written(tmp_path / "clip.glb", clip)
    write_glb(tmp_path / "one.glb", clip[1].people)
    write_glb(tmp_path / "bare.glb", replace(clip[1].people, rig=None))
    for path in tmp_path.iterdir():
        done = subprocess.run([node, "-e", VALIDATE, path], env=found, capture_output=True, text=True)
        assert done.stdout.strip() == "[]", (path.name, done.stdout, done.stderr)
