"""The hand that ships: format, topology, mirror image, posing, proportions."""

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from openhmr.bodies.body import Body
from openhmr.bodies.mirror import mirrored
from openhmr.bodies.shipped import open_hand
from openhmr.bodies.skinning import skin
from openhmr.errors import InputError
from openhmr.joints import COCO, MANO
from openhmr.joints.mano import FINGERS, MANO_PARENTS
from openhmr.predict.coarse_mesh import CoarseMesh
from tests.hand_proportions import BONES, BREADTH_MM, LENGTH_ARMY_MM, LENGTH_MM, TOLERANCE, Bone

LEVELS = {"render": (1600, 1700), "full": (700, 1000), "coarse": (200, 300)}
OWN_JOINTS = (0, 13, 14, 15, None, 1, 2, 3, None, 4, 5, 6, None, 10, 11, 12, None, 7, 8, 9, None)
"""MANO's own joint of each of the 21; None for fingertips."""


def bent(n: int, seed: int = 0) -> np.ndarray:
    """Axis-angle poses ``(n,16,3)``: fingers bend to the palm, +Z, and everything turns a little."""
    rng = np.random.default_rng(seed)
    pose = 0.12 * rng.normal(size=(n, 16, 3))
    pose[:, 1:13, 2] += rng.uniform(0, 1.2, (n, 12))
    pose[:, 0] = rng.normal(size=(n, 3))
    return pose


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("level", LEVELS)
def test_levels_are_one_manifold_with_one_boundary(side: str, level: str) -> None:
    hand = open_hand(side, level)  # type: ignore[arg-type]
    low, high = LEVELS[level]
    assert low <= hand.num_vertices <= high
    faces = hand.faces.astype(np.int64)
    directed = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    codes, back = directed @ [hand.num_vertices, 1], directed @ [1, hand.num_vertices]
    assert len(np.unique(codes)) == len(codes), "an edge is used twice in one direction"
    rim = directed[~np.isin(codes, back)]
    edges = (len(codes) + len(rim)) // 2
    assert hand.num_vertices - edges + len(faces) == 1  # a disc
    assert_array_equal(np.unique(faces), np.arange(hand.num_vertices))
    follow = dict(rim.tolist())
    at, loop = next(iter(follow)), []
    while at not in loop:
        loop.append(at)
        at = follow[at]
    assert len(loop) == len(rim) == len(follow)
    # The boundary lies behind the wrist, and normals look outwards.
    assert (hand.v_template[loop, 0] * (1 if side == "right" else -1)).min() > 0.01
    a, b, c = (hand.v_template[faces[:, i]].astype(np.float64) for i in range(3))
    assert 250e-6 < np.sum(a * np.cross(b, c)) / 6 < 450e-6  # cubic metres


def test_mano_format() -> None:
    hand = open_hand()
    assert (hand.num_joints, hand.num_betas) == (16, 10)
    assert_array_equal(hand.parents, MANO_PARENTS)
    assert np.abs(hand.weights.sum(1) - 1).max() < 1e-6 and hand.weights.min() >= 0
    assert (hand.weights > 0).sum(1).max() <= 4
    assert hand.hands_mean is None and open_hand(flat=False).hands_mean is not None
    assert hand.joint_regressor(MANO).shape == (21, hand.num_vertices)
    assert not hand.has_joint_regressor(COCO)
    for regressor in (hand.J_regressor, hand.joint_regressor(MANO)):
        assert_allclose(regressor.sum(1), 1, atol=1e-4)
    assert np.abs(hand.J_regressor[0] @ hand.v_template).max() < 1e-4


def test_rests_as_the_right_hand_of_a_t_pose() -> None:
    hand = open_hand()
    joints = hand.joint_regressor(MANO) @ hand.v_template
    tips = joints[[MANO.names.index(f"{f}_4") for f in FINGERS]]
    assert (tips[1:, 0] < -0.14).all() and np.ptp(joints[5:, 1]) < 0.012  # along -X, flat
    assert_array_equal(np.argsort(-tips[1:, 2]), range(4))  # from the index finger, at +Z, to the little one
    assert tips[0, 2] > tips[1, 2] and tips[0, 1] < -0.03  # the thumb beside them, below the palm
    for finger in FINGERS:
        chain = joints[[MANO.names.index(f"{finger}_{i}") for i in (1, 2, 3, 4)]].astype(np.float64)
        ways = np.diff(chain, axis=0)
        ways /= np.linalg.norm(ways, axis=1, keepdims=True)
        assert (ways[:-1] * ways[1:]).sum(1).min() > 0.97, finger  # straight


def test_tips_are_vertices_at_the_ends() -> None:
    hand = open_hand()
    for finger in FINGERS:
        row = hand.joint_regressor(MANO)[MANO.names.index(f"{finger}_4")]
        (tip,) = np.flatnonzero(row)
        last, before = (
            hand.joint_regressor(MANO)[MANO.names.index(f"{finger}_{i}")] @ hand.v_template for i in (3, 2)
        )
        along = (hand.v_template - last) @ (last - before)
        joint = OWN_JOINTS[MANO.names.index(f"{finger}_3")]
        assert along[tip] > 0.97 * along[hand.weights[:, joint] > 0.5].max()


def test_the_left_hand_is_the_mirror_image() -> None:
    right, left = open_hand(flat=False), open_hand("left", flat=False)
    pose, betas = bent(8), np.random.default_rng(1).normal(size=(8, 10))
    vertices, joints = skin(right, pose, betas)
    other, other_joints = skin(left, pose * [1, -1, -1], betas)
    assert_allclose(other, vertices * [-1, 1, 1], atol=1e-7)
    assert_allclose(other_joints, joints * [-1, 1, 1], atol=1e-7)
    assert right.content_hash() != left.content_hash()
    again = mirrored(left)
    assert again.content_hash() == right.content_hash()


def test_mirroring_covers_pose_correctives(tiny_body: Body) -> None:
    """Of a body with everything, in every turn: only then are all signs right."""
    rng = np.random.default_rng(3)
    v, j = tiny_body.num_vertices, tiny_body.num_joints
    full = dataclasses.replace(
        tiny_body,
        posedirs=0.01 * rng.normal(size=(v, 3, 9 * (j - 1))),
        hands_mean=0.2 * rng.normal(size=3 * (j - 1)),
    )
    pose, betas = 0.7 * rng.normal(size=(4, j, 3)), rng.normal(size=(4, full.num_betas))
    assert_allclose(
        skin(mirrored(full), pose * [1, -1, -1], betas)[0],
        skin(full, pose, betas)[0] * [-1, 1, 1],
        atol=1e-6,
    )


def test_joints_follow_poses() -> None:
    """The 21 joints from the mesh lie where skinning has MANO's own: within a millimetre on average."""
    hand = open_hand()
    vertices, joints = skin(hand, bent(60), np.random.default_rng(1).normal(size=(60, 10)))
    found = hand.joint_regressor(MANO) @ vertices
    rows = [i for i, own in enumerate(OWN_JOINTS) if own is not None]
    errors = np.linalg.norm(found[:, rows] - joints[:, [OWN_JOINTS[i] for i in rows]], axis=-1)
    assert errors.mean() < 0.001 and errors.max() < 0.006


def test_upsampling_follows_poses() -> None:
    hand = open_hand()
    vertices, _ = skin(hand, bent(40), np.random.default_rng(1).normal(size=(40, 10)))
    coarse = vertices[:, hand.level("coarse").vertex_ids].astype(np.float32)
    errors = np.linalg.norm(CoarseMesh(hand).upsample(coarse) - vertices, axis=-1)
    assert errors.mean() < 0.0005 and np.percentile(errors, 99) < 0.003


def test_relaxed_fingers_bend_to_the_palm() -> None:
    vertices, _ = skin(open_hand(flat=False), np.zeros((16, 3)), np.zeros(10))
    flat = open_hand()
    tips = [int(np.flatnonzero(flat.joint_regressor(MANO)[4 * k + 4])[0]) for k in range(5)]
    lowered = (flat.v_template - vertices)[tips, 1]
    assert (lowered[1:] > 0.01).all()


def hand_length() -> float:
    hand = open_hand()
    joints = hand.joint_regressor(MANO) @ hand.v_template
    return float(np.linalg.norm(joints[MANO.names.index("Middle_4")] - joints[0]))


@pytest.mark.parametrize("bone", BONES, ids=lambda b: "-".join(b.joints))
def test_bones_over_hand_length(bone: Bone) -> None:
    hand = open_hand()
    a, b = (hand.joint_regressor(MANO)[MANO.names.index(n)] @ hand.v_template for n in bone.joints)
    share = np.linalg.norm(a - b) / hand_length()
    assert min(bone.shares) * (1 - bone.tolerance) <= share <= max(bone.shares) * (1 + bone.tolerance)


def test_length_and_breadth() -> None:
    low, high = min(*LENGTH_MM[0], *LENGTH_ARMY_MM[0]), max(*LENGTH_MM[0], *LENGTH_ARMY_MM[0])
    assert low <= 1000 * hand_length() <= high * (1 + TOLERANCE / 2)
    hand = open_hand(level="render")
    knuckles = (hand.J_regressor @ hand.v_template)[[1, 4, 7, 10]]
    low_x, high_x = knuckles[:, 0].min(), knuckles[:, 0].max()
    palm = hand.v_template[
        (hand.v_template[:, 0] > low_x - 0.005)
        & (hand.v_template[:, 0] < high_x + 0.005)
        & (hand.weights[:, 13:].sum(1) < 0.05)
    ]
    low, high = BREADTH_MM[0]
    assert low * (1 - TOLERANCE) <= 1000 * np.ptp(palm[:, 2]) <= high * (1 + TOLERANCE)


def test_betas_are_people_of_different_size() -> None:
    hand = open_hand()
    sizes = np.sqrt((hand.shapedirs.astype(np.float64) ** 2).sum(1)).mean(0)
    assert (np.diff(sizes) < 1e-6).all() and 0.003 < sizes[0] < 0.01


def test_other_sides_and_levels_are_named() -> None:
    with pytest.raises(InputError, match="'both'; it must be one of right, left"):
        open_hand("both")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no level 'fine'"):
        open_hand("right", "fine")
