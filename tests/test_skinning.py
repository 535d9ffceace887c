from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openhmr.bodies.body import Body
from openhmr.bodies.mano import mano_joint_regressor, mano_joints21
from openhmr.bodies.skinning import forward_kinematics, skin
from openhmr.errors import InputError
from openhmr.geometry.pinhole import world2cam
from openhmr.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from openhmr.joints.mano import MANO_PARENTS
from openhmr.joints.smpl import SMPL_PARENTS
from tests.synthetic_models import model

NO_FACES = np.zeros((0, 3), np.int32)


def recorded_body(arrays: dict[str, np.ndarray], kind: str) -> Body:
    parents = np.array(MANO_PARENTS if kind == "mano" else SMPL_PARENTS, np.int32)
    names = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights")
    v_template, *rest = (arrays[f"{kind}_th_{name}"] for name in names)
    return Body(
        v_template[0],
        *rest,
        parents,
        NO_FACES,
        hands_mean=arrays["mano_hands_mean"][0] if kind == "mano" else None,
    )


def synthetic_body(hand: bool) -> Body:
    arrays = model(104 if hand else 101, hand)
    parents = np.where(
        arrays["kintree_table"][0] == 2**32 - 1, -1, arrays["kintree_table"][0].astype(np.int64)
    )
    names = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights")
    return Body(
        *(arrays[n] for n in names), parents=parents, faces=arrays["f"], hands_mean=arrays.get("hands_mean")
    )


@pytest.fixture(scope="module")
def reference(data: Path) -> dict[str, np.ndarray]:
    with np.load(data / "pose2mesh" / "bodymodels.npz") as file:
        return dict(file)


def test_smpl_layer(reference: dict) -> None:
    body = recorded_body(reference, "smpl")
    pose = reference["smpl_pose"].reshape(2, 24, 3)
    vertices, joints = skin(body, pose, reference["smpl_betas"], reference["smpl_trans"])
    assert vertices.dtype == joints.dtype == np.float32
    np.testing.assert_allclose(vertices, reference["smpl_verts"], atol=5e-7)
    np.testing.assert_allclose(joints, reference["smpl_joints"], atol=5e-7)
    vertices, joints = skin(body, np.zeros((24, 3), np.float32), np.zeros(10, np.float32))
    np.testing.assert_allclose(vertices, reference["smpl_zero_verts"][0], atol=1e-7)
    np.testing.assert_allclose(joints, reference["smpl_zero_joints"][0], atol=1e-7)


def test_mano_layer(reference: dict) -> None:
    body = recorded_body(reference, "mano")
    vertices, joints = skin(
        body, reference["mano_pose"].reshape(2, 16, 3), reference["mano_betas"], reference["mano_trans"]
    )
    np.testing.assert_allclose(vertices * 1000, reference["mano_verts_mm"], atol=1e-3)
    np.testing.assert_allclose(mano_joints21(vertices, joints) * 1000, reference["mano_joints_mm"], atol=1e-3)


def test_body_in_the_camera_of_human36m(reference: dict) -> None:
    body, pose = recorded_body(reference, "smpl"), reference["smpl_pose"][0].reshape(24, 3)
    R, t = reference["h36m_R"], reference["h36m_t"] / 1000
    vertices, joints = skin(body, pose, reference["smpl_betas"][0], reference["smpl_trans"][0])
    np.testing.assert_allclose(world2cam(vertices, R, t) * 1000, reference["h36m_mesh_mm"], atol=2e-3)
    np.testing.assert_allclose(world2cam(joints, R, t) * 1000, reference["h36m_joint_mm"], atol=2e-3)
    vertices, _ = skin(body, pose, np.zeros(10, np.float32), reference["smpl_trans"][0])
    np.testing.assert_allclose(world2cam(vertices, R, t) * 1000, reference["h36m_bigbeta_mesh_mm"], atol=2e-3)


@pytest.mark.parametrize("hand", [False, True], ids=["smpl", "mano"])
def test_layers_of_full_size(data: Path, hand: bool) -> None:
    body = synthetic_body(hand)
    with np.load(data / "i2l" / f"layer_{'hand' if hand else 'body'}.npz") as file:
        arrays = dict(file)
    unit, atol = (1000, 2e-3) if hand else (1, 2e-6)
    pose, shape, trans = arrays["pose"].reshape(4, -1, 3), arrays["shape"], arrays["trans"]
    for case, betas, shift in (
        ("pst", shape, trans),
        ("ps", shape, None),
        ("p0", np.zeros_like(shape), None),
    ):
        vertices, joints = skin(body, pose, betas, shift)
        joints = mano_joints21(vertices, joints) if hand else joints
        np.testing.assert_allclose(vertices[:, ::5] * unit, arrays[f"verts_{case}_s5"], atol=atol)
        np.testing.assert_allclose(joints * unit, arrays[f"joints_{case}"], atol=atol)
    if hand:
        regressor = mano_joint_regressor(body)
        assert np.array_equal(regressor.argmax(1), arrays["joint_regressor_argmax"])
        np.testing.assert_allclose(regressor.sum(1), arrays["joint_regressor_rowsum"], rtol=1e-6)


def slow_skin(body: Body, pose: np.ndarray, betas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One pose, 4x4 matrices, loops, float64."""
    rotations = [rodrigues(p) for p in pose]
    shaped = np.array([v + d @ betas for v, d in zip(body.v_template, body.shapedirs, strict=True)])
    rest = body.J_regressor.astype(np.float64) @ shaped
    features = np.concatenate([(R - np.eye(3)).ravel() for R in rotations[1:]])
    world: list[np.ndarray] = []
    for j, parent in enumerate(body.parents):
        local = np.eye(4)
        local[:3, :3], local[:3, 3] = rotations[j], rest[j] - (rest[parent] if parent >= 0 else 0)
        world.append(world[parent] @ local if parent >= 0 else local)
    vertices = []
    for i, v in enumerate(shaped):
        v = v + body.posedirs[i] @ features if body.posedirs.size else v
        blend = sum(w * world[j] @ np.append(v - rest[j], 1) for j, w in enumerate(body.weights[i]))
        vertices.append(blend[:3])
    return np.array(vertices), np.array([m[:3, 3] for m in world])


def rodrigues(v: np.ndarray) -> np.ndarray:
    angle = np.linalg.norm(v)
    K = np.cross(np.eye(3), v / angle) if angle else np.zeros((3, 3))
    return np.eye(3) + np.sin(angle) * K + (1 - np.cos(angle)) * K @ K


def test_skin_equals_a_slow_twin(tiny_body: Body) -> None:
    rng = np.random.default_rng(0)
    pose, betas = rng.normal(size=(2, 3, 24, 3)), rng.normal(size=(3, 10))
    vertices, joints = skin(tiny_body, pose, betas)
    assert vertices.dtype == np.float64 and vertices.shape == (2, 3, 42, 3) and joints.shape == (2, 3, 24, 3)
    for i in range(2):
        for j in range(3):
            v, k = slow_skin(tiny_body, pose[i, j], betas[j])
            # The weights are float32 numbers that sum to 1 within 1e-7: the two forms use that sum
            # differently.
            np.testing.assert_allclose(vertices[i, j], v, atol=1e-6)
            np.testing.assert_allclose(joints[i, j], k, atol=1e-6)


def test_a_body_without_pose_blendshapes(tiny_body: Body) -> None:
    fields = {
        k: getattr(tiny_body, k)
        for k in ("v_template", "shapedirs", "J_regressor", "weights", "parents", "faces")
    }
    plain = Body(posedirs=np.zeros((42, 3, 0), np.float32), **fields)
    zeroed = Body(posedirs=np.zeros((42, 3, 207), np.float32), **fields)
    pose = np.random.default_rng(1).normal(size=(24, 3))
    assert np.array_equal(skin(plain, pose, np.zeros(0))[0], skin(zeroed, pose, np.zeros(10))[0])


def test_turning_the_root_turns_the_body_about_its_root_joint(tiny_body: Body) -> None:
    rng = np.random.default_rng(2)
    pose, betas = rng.normal(size=(24, 3)), rng.normal(size=10)
    turn = axis_angle_to_matrix(rng.normal(size=3))
    turned = pose.copy()
    turned[0] = matrix_to_axis_angle(turn @ axis_angle_to_matrix(pose[0]))
    for before, after in zip(
        skin(tiny_body, pose, betas), skin(tiny_body, turned, betas, np.ones(3)), strict=True
    ):
        root = skin(tiny_body, pose, betas)[1][0]
        np.testing.assert_allclose(after - 1, (before - root) @ turn.T + root, atol=1e-6)


def test_bones_keep_their_length(tiny_body: Body) -> None:
    rng = np.random.default_rng(3)
    rest = rng.normal(size=(24, 3))
    world, joints = forward_kinematics(
        axis_angle_to_matrix(rng.normal(size=(5, 24, 3))), rest, tiny_body.parents
    )

    def length(x):
        return np.linalg.norm(x[..., 1:, :] - x[..., tiny_body.parents[1:], :], axis=-1)

    np.testing.assert_allclose(length(joints), np.broadcast_to(length(rest), (5, 23)), rtol=1e-12)
    np.testing.assert_allclose(np.linalg.det(world), 1)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(-1.8, 1.8), min_size=3, max_size=3))
def test_rotations_round_trip(numbers: list[float]) -> None:
    v = np.array(numbers)
    R = axis_angle_to_matrix(v)
    np.testing.assert_allclose(R, rodrigues(v), atol=4e-8)
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-14)
    np.testing.assert_allclose(axis_angle_to_matrix(matrix_to_axis_angle(R)), R, atol=4e-8)
    if np.linalg.norm(v) < np.pi:
        np.testing.assert_allclose(
            matrix_to_axis_angle(R), v, atol=4e-8 * (1 + 1 / (np.pi - np.linalg.norm(v)))
        )


@pytest.mark.parametrize("axis", [*np.eye(3).tolist(), [0.6, 0.0, -0.8]])
def test_half_turns(axis: list[float]) -> None:
    R = 2 * np.outer(axis, axis) - np.eye(3)
    v = matrix_to_axis_angle(R)
    assert np.linalg.norm(v) == pytest.approx(np.pi)
    np.testing.assert_allclose(np.abs(v), np.pi * np.abs(axis), atol=1e-12)
    assert not matrix_to_axis_angle(np.eye(3)).any()


def test_wrong_shapes(tiny_body: Body) -> None:
    with pytest.raises(InputError, match="24"):
        skin(tiny_body, np.zeros((23, 3)), np.zeros(10))
    with pytest.raises(InputError, match="up to 10"):
        skin(tiny_body, np.zeros((24, 3)), np.zeros(11))
    with pytest.raises(InputError, match="778"):
        mano_joints21(np.zeros((42, 3)), np.zeros((16, 3)))
    with pytest.raises(InputError, match="778"):
        mano_joint_regressor(tiny_body)


@pytest.mark.parametrize(
    ("pose", "betas", "trans"),
    [((3, 24, 3), (2, 10), None), ((24, 3), (2, 10), (3, 3)), ((4, 1, 24, 3), (3, 10), (2, 1, 3))],
)
def test_batches_of_other_sizes_are_refused(
    tiny_body: Body, pose: tuple[int, ...], betas: tuple[int, ...], trans: tuple[int, ...] | None
) -> None:
    with pytest.raises(InputError, match="differ in their batch axes, .* give as many of each, or one"):
        skin(tiny_body, np.zeros(pose), np.zeros(betas), None if trans is None else np.zeros(trans))


def test_translation_needs_three_numbers(tiny_body: Body) -> None:
    with pytest.raises(InputError, match=r"trans has shape \(2,\)"):
        skin(tiny_body, np.zeros((24, 3)), np.zeros(10), np.zeros(2))
