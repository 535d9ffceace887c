"""People: selection, saving and loading, empty results, old files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from openhmr.bodies.body import Body
from openhmr.bodies.shipped import open_body
from openhmr.bodies.skinning import skin
from openhmr.camera import Camera
from openhmr.errors import InputError
from openhmr.joints import COCO, HALPE26
from openhmr.keypoints import Keypoints
from openhmr.people import People, Rig, Sigma


def make_people(body: Body, count: int = 3, rig: bool = True) -> People:
    """People whose 2D joints are exact projections, each with pose, betas and deviations of its own."""
    rng = np.random.default_rng(4)
    camera = Camera.from_focal(500, (480, 640), "exif")
    pose = rng.normal(0, 0.2, (count, body.num_joints, 3)).astype(np.float32)
    betas = rng.normal(size=(count, body.num_betas)).astype(np.float32)
    shift = np.stack([np.linspace(-1, 1, count), np.full(count, 0.1), np.linspace(4, 6, count)], -1)
    vertices = skin(body, pose, betas)[0] + shift[:, None].astype(np.float32)
    joints = body.joint_regressor(COCO) @ vertices
    points = np.concatenate([camera.project(joints), np.ones((count, 19, 1))], -1).astype(np.float32)
    boxes, scores = rng.uniform(10, 90, (count, 4)), rng.uniform(0, 1, count)
    return People(
        body,
        camera,
        Keypoints(COCO, points, camera.image_size, boxes, scores),
        vertices,
        Rig(pose, betas, shift) if rig else None,
        Sigma(np.full_like(vertices, 0.02), np.full((count, 19, 3), 0.03, np.float32)) if rig else None,
        np.arange(count) * 10,
        vertices if rig else None,
    )


def test_selection(tiny_body: Body) -> None:
    people = make_people(tiny_body)
    last = people[2]
    assert len(last) == 1
    assert_array_equal(last.vertices[0], people.vertices[2])
    assert last.rig is not None and people.rig is not None and last.track_ids is not None
    assert_array_equal(last.rig.pose[0], people.rig.pose[2])
    assert_array_equal(last.track_ids, [20])
    assert_array_equal(people[-1].vertices, last.vertices)
    assert_array_equal(people[[2, 0]].keypoints.boxes, people.keypoints.boxes[[2, 0]])  # type: ignore[index]
    assert_array_equal(people[np.array([False, True, False])].sigma.joints, people.sigma.joints[1:2])  # type: ignore[union-attr]
    assert len(people[0:0]) == 0 and people[0:0].joints("smpl").shape == (0, 24, 3)
    with pytest.raises(IndexError, match="3 people have no 3"):
        people[3]
    assert len([p for p in people]) == 3


def test_joints_and_reprojection(tiny_body: Body) -> None:
    people = make_people(tiny_body)
    assert_allclose(people.reprojection_px(), 0, atol=1e-3)
    assert_allclose(people.joints("smpl"), tiny_body.J_regressor @ people.vertices, atol=1e-6)
    assert_allclose(people.roots, people.joints("human36")[:, 0], atol=1e-6)
    with pytest.raises(InputError, match="mano"):
        people.joints("mano")
    with pytest.raises(InputError, match="'cocoo'.*did you mean 'coco'"):
        people.joints("cocoo")


def test_lixel_mesh_is_what_was_drawn(tiny_body: Body) -> None:
    people = make_people(tiny_body)
    drawn = replace(people, lixel_vertices=people.vertices + np.float32(0.1))
    assert_array_equal(drawn[[2, 0]].lixel().vertices, drawn.lixel_vertices[[2, 0]])  # type: ignore[index]
    assert drawn.lixel().rig is people.rig and drawn.lixel().sigma is people.sigma
    with pytest.raises(InputError, match="no image network drew"):
        make_people(tiny_body, rig=False).lixel()


def test_parametric_mesh_is_the_skinned_body(tiny_body: Body) -> None:
    people = make_people(tiny_body)
    assert_allclose(people.parametric().vertices, people.vertices, atol=1e-6)
    assert people.parametric().sigma is None
    with pytest.raises(InputError, match="no body parameters"):
        make_people(tiny_body, rig=False).parametric()


@pytest.mark.parametrize("rig", [True, False])
@pytest.mark.parametrize("count", [0, 3])
def test_saved_people_are_loaded_whole(tmp_path: Path, tiny_body: Body, rig: bool, count: int) -> None:
    people = make_people(tiny_body, count, rig)
    people.save(tmp_path / "people.npz")
    loaded = People.load(tmp_path / "people.npz", tiny_body)
    assert_array_equal(loaded.vertices, people.vertices)
    assert_array_equal(loaded.camera.K, people.camera.K)
    assert loaded.camera.source == "exif" and loaded.camera.image_size == (480, 640)
    assert loaded.keypoints.joint_set is COCO
    for name in ("points", "boxes", "scores"):
        assert_array_equal(getattr(loaded.keypoints, name), getattr(people.keypoints, name))
    assert_array_equal(loaded.track_ids, people.track_ids)
    assert (loaded.rig is not None) == rig and (loaded.sigma is not None) == rig
    if rig:
        assert_array_equal(loaded.rig.translation, people.rig.translation)  # type: ignore[union-attr]
        assert_array_equal(loaded.sigma.vertices, people.sigma.vertices)  # type: ignore[union-attr]
        assert_array_equal(loaded.lixel_vertices, people.lixel_vertices)
    with np.load(tmp_path / "people.npz", allow_pickle=False) as saved:
        assert str(saved["format"]) == "openhmr-people-1"
        written = {k for k in saved if k.startswith("joints_") and k != "joints_sigma"}
        assert written == {"joints_smpl", "joints_human36", "joints_coco"}, "no rows are there twice"
        assert_allclose(saved["joints_human36"], people.joints("human36"))
        assert_allclose(saved["camera_translation"], people.roots)


def test_joints_of_the_skeleton_that_was_seen_are_saved(tmp_path: Path) -> None:
    """Of the many that the open body has, besides three that most tools take."""
    body = open_body()
    keypoints = Keypoints(HALPE26, np.ones((1, 26, 3), np.float32))
    people = People(body, Camera.from_focal(500, (480, 640)), keypoints, body.v_template[None] + (0, 0, 4))
    people.save(tmp_path / "people.npz")
    with np.load(tmp_path / "people.npz") as saved:
        names = {k.removeprefix("joints_") for k in saved if k.startswith("joints_")}
        assert names == {"smpl", "human36", "coco", "halpe26"}
        assert_allclose(saved["joints_halpe26"], people.joints(HALPE26))
    assert People.load(tmp_path / "people.npz").keypoints.joint_set is HALPE26


def test_results_of_version_0_1_are_read(tmp_path: Path, tiny_body: Body) -> None:
    """Without format, source, scores and identities."""
    people = make_people(tiny_body)
    old = {
        k: v
        for k, v in people.arrays().items()
        if k not in ("format", "camera_source", "scores", "track_ids", "vertices_lixel")
    }
    np.savez(tmp_path / "result.npz", **old)  # type: ignore[arg-type]
    loaded = People.load(tmp_path / "result.npz", tiny_body)
    assert_array_equal(loaded.vertices, people.vertices)
    assert loaded.keypoints.scores is None and loaded.track_ids is None and loaded.camera.source == "given"


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"camera_K": None}, "lacks camera_K"),
        ({"format": np.array("openhmr-people-9")}, "'openhmr-people-9'"),
        ({"faces": np.zeros((3, 3), np.int32)}, "not those of the body"),
        ({"vertices": np.zeros((3, 7, 3), np.float32)}, "not those of the body"),
        ({"pose2d": np.zeros((2, 19, 3))}, "pose2d of shape"),
        ({"pose": np.zeros((3, 24))}, "pose of shape"),
        ({"vertices_lixel": np.zeros((2, 7, 3))}, "vertices_lixel of shape"),
        ({"joint_set": np.array("dogs")}, "joint set 'dogs'"),
        ({"camera_source": np.array("guessed")}, "'guessed'"),
        ({"camera_K": np.zeros((3, 3))}, "last row of K"),
        ({"image_size": np.array([0, 0])}, "image_size"),
    ],
)
def test_damaged_files(
    tmp_path: Path, tiny_body: Body, change: dict[str, np.ndarray | None], cause: str
) -> None:
    arrays = make_people(tiny_body).arrays() | change
    np.savez(tmp_path / "x.npz", **{k: v for k, v in arrays.items() if v is not None})  # type: ignore[arg-type]
    with pytest.raises(InputError, match=cause):
        People.load(tmp_path / "x.npz", tiny_body)


def test_only_npz_is_written(tmp_path: Path, tiny_body: Body) -> None:
    with pytest.raises(InputError, match=r"does not end in \.npz"):
        make_people(tiny_body).save(tmp_path / "people.pkl")


def test_mesh_and_overlay(tiny_body: Body) -> None:
    people = make_people(tiny_body)
    vertices, faces = people.mesh(1)
    assert_array_equal(vertices, people.vertices[1])
    assert_array_equal(faces, tiny_body.faces)
    picture = people.overlay(np.zeros((480, 640, 3), np.uint8))
    assert picture.dtype == np.uint8 and picture.shape[0] == 480 and picture.shape[1] > 640
    for image, cause in (
        (
            np.zeros((640, 480, 3), np.uint8),
            r"\(640, 480\), but these people were seen in one of \(480, 640\)",
        ),
        (np.zeros((480, 640), np.uint8), r"RGB uint8 of shape \(height, width, 3\) is needed"),
        ("no.jpg", "no.jpg does not exist"),
    ):
        with pytest.raises(InputError, match=cause):
            people.overlay(image)


def test_keypoints_must_fit_their_joint_set() -> None:
    with pytest.raises(
        InputError, match=r"shape \(1, 17, 3\); keypoints of the coco joints have \(N, 19, 3\)"
    ):
        Keypoints(COCO, np.zeros((1, 17, 3), np.float32))
    with pytest.raises(InputError, match="a JointSet is needed, such as openhmr.joints.COCO"):
        Keypoints("coco", np.zeros((1, 17, 3), np.float32))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="points are no array of floats"):
        Keypoints(COCO, np.zeros((1, COCO.size, 3)).tolist())
    for worst in (-0.5, 87):
        with pytest.raises(InputError, match=f"confidences from .*{worst}.*needed are 0 to 1"):
            Keypoints(COCO, np.full((1, COCO.size, 3), worst, np.float32))
    with pytest.raises(InputError, match="not finite; missing joints are 0, 0, 0"):
        Keypoints(COCO, np.full((1, 19, 3), np.nan, np.float32))
