"""The body fitted to a mesh: truth is found, broken meshes are mended, twists come from the prior."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from openhmr.bodies.body import Body
from openhmr.bodies.shipped import open_body
from openhmr.bodies.skinning import skin
from openhmr.camera import Camera
from openhmr.geometry.mesh import edges
from openhmr.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from openhmr.joints import COCO
from openhmr.keypoints import Keypoints
from openhmr.people import People, Rig
from openhmr.predict.body_fit import BodyFit, with_rig
from openhmr.predict.coarse_mesh import CoarseMesh

BODY = open_body()
IDS = BODY.level("coarse").vertex_ids
SURE = 0.02


def drawn(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pose, betas and vertices ``(N,V,3)`` of people 5 m away."""
    rng = np.random.default_rng(seed)
    pose, betas = rng.normal(0, 0.25, (count, 24, 3)), rng.normal(size=(count, 10))
    return pose, betas, skin(BODY, pose, betas, np.array([0.3, -0.2, 5]))[0]


def skinned(rig: Rig, body: Body = BODY) -> np.ndarray:
    return skin(body, rig.pose.astype(float), rig.betas.astype(float), rig.translation)[0]


def apart_mm(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Mean distance ``(N,)`` of vertices."""
    return 1000 * np.linalg.norm(a - b, axis=-1).mean(-1)


def wrong_start(pose: np.ndarray, betas: np.ndarray, size: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    """Rotations that are ``size`` radians off about each axis, and betas of the mean shape."""
    rng = np.random.default_rng(9)
    off = axis_angle_to_matrix(rng.normal(0, size, pose.shape))
    return off @ axis_angle_to_matrix(pose), np.zeros(betas.shape, np.float32)


def test_truth_is_kept() -> None:
    pose, betas, truth = drawn(5, 0)
    rig = BodyFit(BODY)(
        truth[:, IDS], np.full((5, len(IDS), 3), SURE), axis_angle_to_matrix(pose), betas.astype(np.float32)
    )
    assert_allclose(skinned(rig), truth, atol=1e-5)


def test_a_wrong_start_is_brought_onto_the_mesh() -> None:
    pose, betas, truth = drawn(20, 1)
    rotations, mean_shape = wrong_start(pose, betas)
    start = skin(BODY, matrix_to_axis_angle(rotations), mean_shape, np.array([0.3, -0.2, 5]))[0]
    rig = BodyFit(BODY)(truth[:, IDS], np.full((20, len(IDS), 3), SURE), rotations, mean_shape)
    before, after = apart_mm(start, truth), apart_mm(skinned(rig), truth)
    assert before.mean() > 200 and (after < before / 4).all() and after.mean() < 30, (before, after)


def test_the_derivative_is_that_of_skinning() -> None:
    """Against central differences of the skinned body itself, joint by joint and beta by beta."""
    pose, betas, _ = drawn(1, 2)
    fit, local = BodyFit(BODY), axis_angle_to_matrix(pose)
    world, vertices, derivative = fit._linearised(local, betas)
    picked = IDS[fit._picked]
    whole = skin(BODY, pose, betas)[0][:, picked]
    assert_allclose(vertices, whole, atol=1e-6)
    step = 1e-4
    for joint, axis in ((0, 0), (3, 1), (9, 2), (12, 0), (17, 1), (19, 2), (4, 0)):
        above = np.eye(3) if joint == 0 else world[0, BODY.parents[joint]]
        moved = []
        for sign in (-1, 1):
            turn = axis_angle_to_matrix(sign * step * np.eye(3)[axis])
            turned = local.copy()
            turned[0, joint] = above.T @ turn @ above @ local[0, joint]
            moved.append(skin(BODY, matrix_to_axis_angle(turned), betas)[0][0, picked])
        numeric = (moved[1] - moved[0]) / (2 * step)
        assert_allclose(derivative[0, :, :, 3 * joint + axis], numeric, atol=2e-5)
    for beta in (0, 7):
        more, less = betas.copy(), betas.copy()
        more[0, beta] += step
        less[0, beta] -= step
        numeric = (skin(BODY, pose, more)[0] - skin(BODY, pose, less)[0])[0, picked] / (2 * step)
        assert_allclose(derivative[0, :, :, 72 + beta], numeric, atol=2e-5)
    assert_allclose(derivative[0, :, :, -3:], np.broadcast_to(np.eye(3), (*whole.shape[1:2], 3, 3)))


def thread(mesh: np.ndarray, joint: int) -> np.ndarray:
    """The part of ``joint`` shrunk to a tenth of its thickness, and its half near the end pulled away by 30
    cm."""
    out, part = mesh.copy(), np.flatnonzero(BODY.weights[IDS, joint] > 0.5)
    middle = out[:, part].mean(1, keepdims=True)
    axis = np.linalg.svd(out[:, part] - middle)[2][:, :1]
    along = ((out[:, part] - middle) * axis).sum(-1, keepdims=True)
    out[:, part] = middle + along * axis + 0.1 * (out[:, part] - middle - along * axis)
    out[:, part] += np.where(along > 0, 0.3, 0.0) * axis
    return out


def spike(mesh: np.ndarray, joint: int) -> np.ndarray:
    """Every ninth vertex of the part of ``joint`` thrown out by half a metre, each in a direction of its
    own."""
    out, part = mesh.copy(), np.flatnonzero(BODY.weights[IDS, joint] > 0.5)[::9]
    way = np.random.default_rng(joint).normal(size=(len(mesh), len(part), 3))
    out[:, part] += 0.5 * way / np.linalg.norm(way, axis=-1, keepdims=True)
    return out


@pytest.mark.parametrize(("damage", "joint"), [(thread, 18), (thread, 4), (spike, 15), (spike, 20)])
def test_broken_meshes_become_whole_bodies(damage, joint: int) -> None:  # type: ignore[no-untyped-def]
    """A forearm or a shin as a thread, spikes in head or hand: the network is unsure there, and the result is
    the whole person nearly as they are."""
    errors = pytest.importorskip("openhmr.lab.metrics.errors")
    pose, betas, truth = drawn(10, 3)
    mesh = damage(truth[:, IDS], joint)
    # As networks are: unsure where they draw wrongly, though not by as much as they are wrong.
    wrong = np.linalg.norm(mesh - truth[:, IDS], axis=-1)
    sigma = np.broadcast_to((SURE + 0.5 * wrong)[..., None], mesh.shape)
    rotations, mean_shape = wrong_start(pose, betas, 0.1)
    rig = BodyFit(BODY)(mesh, sigma, rotations, mean_shape)
    result, pairs = skinned(rig), edges(BODY.faces)
    upsampled = CoarseMesh(BODY).upsample(mesh.astype(np.float32))
    assert (errors.broken_edges(upsampled, truth, pairs) > 0.002).all()
    assert (errors.broken_edges(result, truth, pairs) < 0.001).all()
    assert apart_mm(result, truth).max() < 20
    ours = np.matmul(BODY.J_regressor, result) - np.matmul(BODY.J_regressor, truth)
    assert 1000 * np.linalg.norm(ours, axis=-1).max() < 80


def test_turning_the_mesh_turns_the_root_alone() -> None:
    pose, betas, truth = drawn(1, 4)
    rng = np.random.default_rng(1)
    mesh, sigma = truth[:, IDS] + rng.normal(0, 0.03, (len(IDS), 3)), rng.uniform(0.01, 0.1, (1, len(IDS), 3))
    turn, local = axis_angle_to_matrix(np.array([0.3, -1.2, 2.0])), axis_angle_to_matrix(pose)
    turned = local.copy()
    turned[:, 0] = turn @ local[:, 0]
    fit, betas = BodyFit(BODY), betas.astype(np.float32)
    plain, other = fit(mesh, sigma, local, betas), fit(mesh @ turn.T + 3.0, sigma, turned, betas)
    assert_allclose(skinned(other), skinned(plain) @ turn.T + 3.0, atol=1e-4)
    assert_allclose(other.pose[:, 1:], plain.pose[:, 1:], atol=1e-4)
    assert_allclose(other.betas, plain.betas, atol=1e-3)


def test_a_batch_equals_its_rows() -> None:
    pose, betas, truth = drawn(3, 5)
    sigma, fit = np.full((3, len(IDS), 3), SURE), BodyFit(BODY)
    start = wrong_start(pose, betas)
    together = fit(truth[:, IDS], sigma, *start)
    for i in range(3):
        alone = fit(truth[i : i + 1, IDS], sigma[:1], start[0][i : i + 1], start[1][i : i + 1])
        assert_allclose(alone.pose, together.pose[i : i + 1], atol=1e-4)


def test_pose_correctives_are_known(tiny_body: Body) -> None:
    """SMPL's, which the open body has none of: a fit that starts from the truth stays there."""
    assert tiny_body.posedirs.shape[-1]
    rng = np.random.default_rng(6)
    pose, betas = rng.normal(0, 0.3, (2, 24, 3)), rng.normal(size=(2, 10)).astype(np.float32)
    truth = skin(tiny_body, pose, betas)[0]
    mesh = truth[:, tiny_body.level("coarse").vertex_ids]
    rig = BodyFit(tiny_body)(mesh, np.full(mesh.shape, SURE), axis_angle_to_matrix(pose), betas)
    assert_allclose(skinned(rig, tiny_body), truth, atol=1e-4)


def test_lifted_meshes_get_body_parameters() -> None:
    """From the mesh alone: the body's own meshes come back to millimetres, in any orientation, and neighbours
    in time get neighbouring rotations."""
    pose, betas, truth = drawn(12, 7)
    rng = np.random.default_rng(8)
    pose[:, 0] = rng.normal(size=(12, 3)) * 1.5  # lying, upside down, seen from behind
    truth = skin(BODY, pose, betas, np.array([0, 0, 5.0]))[0]
    keypoints = Keypoints(COCO, np.ones((12, COCO.size, 3), np.float32))
    people = with_rig(People(BODY, Camera.from_focal(900.0, (1000, 1000)), keypoints, truth))
    assert people.rig is not None
    assert apart_mm(people.parametric().vertices, truth).max() < 10
    found, true = (axis_angle_to_matrix(p[:, :20]) for p in (people.rig.pose.astype(float), pose))
    angle = np.degrees(np.linalg.norm(matrix_to_axis_angle(found.swapaxes(-1, -2) @ true), axis=-1))
    assert np.median(angle) < 8 and np.quantile(angle, 0.99) < 60
    # A little later everybody has moved by a degree: no part may turn by much more.
    later = skin(BODY, pose + np.radians(1), betas, np.array([0, 0, 5.0]))[0]
    moved = with_rig(People(BODY, people.camera, keypoints, later)).rig
    assert moved is not None
    step = axis_angle_to_matrix(moved.pose.astype(float)).swapaxes(-1, -2) @ axis_angle_to_matrix(
        people.rig.pose.astype(float)
    )
    assert np.degrees(np.linalg.norm(matrix_to_axis_angle(step), axis=-1)).max() < 10
    nobody = people[[]]
    assert with_rig(nobody) is nobody
