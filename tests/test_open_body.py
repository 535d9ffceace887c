"""The body that ships: format, topology, symmetry, proportions."""

import time

import numpy as np
import pytest

from openhmr.bodies.body import Body
from openhmr.bodies.shipped import open_body
from openhmr.bodies.skinning import skin
from openhmr.errors import InputError
from openhmr.joints import JOINT_SETS, MANO, POINTS, SMPL, point_indices
from openhmr.joints.smpl import SMPL_PARENTS


def edges_of(faces: np.ndarray) -> np.ndarray:
    return np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])


@pytest.mark.parametrize(("level", "low", "high"), [("full", 6000, 8000), ("coarse", 1000, 2000)])
def test_levels_are_one_closed_manifold(level: str, low: int, high: int) -> None:
    body = open_body(level)
    assert low <= body.num_vertices <= high
    directed = edges_of(body.faces)
    # Closed and consistently oriented: every directed edge occurs once, and so does its opposite.
    codes = directed[:, 0].astype(np.int64) * body.num_vertices + directed[:, 1]
    opposite = directed[:, 1].astype(np.int64) * body.num_vertices + directed[:, 0]
    assert len(np.unique(codes)) == len(codes)
    assert np.array_equal(np.sort(codes), np.sort(opposite))
    # A sphere: V - E + F = 2, and every vertex is used.
    assert body.num_vertices - len(codes) // 2 + len(body.faces) == 2
    assert np.array_equal(np.unique(body.faces), np.arange(body.num_vertices))


def test_levels_are_vertex_subsets() -> None:
    render, full, coarse = (open_body(level) for level in ("render", "full", "coarse"))
    assert np.array_equal(full.v_template, render.v_template[render.level("full").vertex_ids])
    assert np.array_equal(coarse.v_template, full.v_template[full.level("coarse").vertex_ids])
    assert render.uv is not None and render.face_uv is not None
    assert render.face_uv.shape == render.faces.shape and render.face_uv.max() < len(render.uv)


def test_smpl_format() -> None:
    body = open_body()
    assert (body.num_joints, body.num_betas) == (24, 10)
    assert np.array_equal(body.parents, SMPL_PARENTS)
    assert np.abs(body.weights.sum(1) - 1).max() < 1e-6 and body.weights.min() >= 0
    assert (body.weights > 0).sum(1).max() <= 4
    for regressor in (body.J_regressor, *body.joint_regressors.values()):
        assert np.abs(regressor.sum(1) - 1).max() < 1e-4
    assert {k: v.shape[0] for k, v in body.joint_regressors.items()} == {"points": 86, "root": 1}


def test_every_skeleton_is_made_of_points() -> None:
    """Rows of one set are those of the points, derived joints are means, and mirrored joints mirror."""
    body = open_body()
    points = POINTS.complete(body.joint_regressors["points"])
    rest = points @ body.v_template
    for joint_set in JOINT_SETS.values():
        assert body.has_joint_regressor(joint_set) == (joint_set is not MANO)
        if joint_set is MANO:
            continue
        regressor = body.joint_regressor(joint_set)
        assert np.array_equal(regressor, points[point_indices(joint_set)])
        for name, sources in joint_set.derived.items():
            rows = regressor[[joint_set.names.index(n) for n in sources]]
            assert np.abs(regressor[joint_set.names.index(name)] - rows.mean(0)).max() < 1e-7
        joints = rest[point_indices(joint_set)]
        assert np.abs(joints[joint_set.flip_permutation] * [-1, 1, 1] - joints).max() < 1e-4
    assert np.array_equal(body.root_regressor, body.joint_regressors["root"][0])
    # The root is nobody's joint, but lies inside the pelvis, in the middle.
    root = body.root_regressor @ body.v_template
    hips = rest[[POINTS.names.index(f"{s}_Hip_smpl") for s in "LR"]]
    assert abs(root[0]) < 1e-4 and np.linalg.norm(root - hips.mean(0)) < 0.12


def test_the_last_shape_gives_breasts_and_the_mean_has_none() -> None:
    """Only the front of the chest moves with it, forwards; at rest the chest is as flat as the belly."""
    body = open_body()
    moved, rest = body.shapedirs[..., -1], body.v_template
    size = np.linalg.norm(moved, axis=1)
    at = rest[size > 0.3 * size.max()]
    low, high = (body.J_regressor @ rest)[[SMPL.names.index("Torso"), SMPL.names.index("Neck")], 1]
    assert size.max() > 0.01
    assert (at[:, 2] > 0).all() and (low < at[:, 1]).all() and (at[:, 1] < high).all()
    assert (moved[size > 0.5 * size.max(), 2] > 0).all()


def test_rest_is_a_t_pose_facing_z() -> None:
    body = open_body()
    joints = dict(zip(SMPL.names, body.J_regressor @ body.v_template, strict=True))
    for side, sign in (("L", 1), ("R", -1)):
        arm = [joints[f"{side}_{n}"] for n in ("Shoulder", "Elbow", "Wrist")]
        leg = [joints[f"{side}_{n}"] for n in ("Hip", "Knee", "Ankle")]
        for a, b in zip(arm, arm[1:], strict=False):
            assert (b - a)[0] * sign / np.linalg.norm(b - a) > 0.999
        for a, b in zip(leg, leg[1:], strict=False):
            assert (a - b)[1] / np.linalg.norm(b - a) > 0.999
        toe = joints[f"{side}_Toe"] - joints[f"{side}_Ankle"]
        assert toe[2] > 0.08 and toe[2] > abs(toe[0])
    assert (body.joint_regressor("coco") @ body.v_template)[0, 2] > joints["Head"][2] + 0.05
    assert 1.55 < np.ptp(body.v_template[:, 1]) < 1.85


def test_left_right_symmetry() -> None:
    body = open_body()
    mirrored = body.v_template * [-1, 1, 1]
    order = np.lexsort(np.round(body.v_template, 5).T), np.lexsort(np.round(mirrored, 5).T)
    assert np.abs(body.v_template[order[0]] - mirrored[order[1]]).max() < 1e-5
    joints = body.J_regressor @ body.v_template
    assert np.abs(joints[SMPL.flip_permutation] * [-1, 1, 1] - joints).max() < 1e-5


def test_upsampling_follows_poses() -> None:
    body, rng = open_body(), np.random.default_rng(0)
    vertices, _ = skin(body, rng.normal(size=(8, 24, 3)) * 0.35, rng.normal(size=(8, 10)))
    level = body.level("coarse")
    assert level.upsample is not None
    rows, cols, values = level.upsample
    up = np.zeros_like(vertices)
    np.add.at(up, (slice(None), rows), vertices[:, level.vertex_ids][:, cols] * values[:, None])
    error = np.linalg.norm(up - vertices, axis=-1)
    # 1.3 mm on average on widened motion; these random poses are wilder.
    assert error.mean() < 2.5e-3
    assert error[:, level.vertex_ids].max() == 0


def test_loads_quickly_and_round_trips(tmp_path) -> None:
    open_body.cache_clear()
    started = time.process_time()
    body = open_body()
    assert time.process_time() - started < 1.0  # 0.05 s; a loose bound against accidents such as parsing text
    body.save(tmp_path / "copy.npz")
    copy = Body.load(tmp_path / "copy.npz")
    assert copy.content_hash() == body.content_hash()
    for name in ("shapedirs", "J_regressor", "weights", "faces"):
        assert np.array_equal(getattr(copy, name), getattr(body, name))
    assert sorted(copy.levels) == sorted(body.levels)


def test_unknown_level_is_named() -> None:
    with pytest.raises(InputError, match="no level 'fine'"):
        open_body("fine")
