"""Rotations from a mesh: truth is kept, wrong priors are mended, twists come from the prior."""

import numpy as np
from openhmr.predict.pose_fit import PoseFit

from openhmr.bodies.shipped import open_body
from openhmr.bodies.skinning import skin
from openhmr.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle


def degrees(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.rad2deg(np.linalg.norm(matrix_to_axis_angle(a.swapaxes(-1, -2) @ b), axis=-1))


def test_a_wrong_prior_is_turned_back_onto_the_mesh() -> None:
    body, rng = open_body(), np.random.default_rng(0)
    pose, betas = rng.normal(0, 0.25, (20, 24, 3)), rng.normal(size=(20, 10))
    ids = body.level("coarse").vertex_ids
    whole = skin(body, pose, betas)[0]
    mesh, sigma = whole[:, ids] + 5, np.full((20, len(ids), 3), 0.03)
    truth, fit = axis_angle_to_matrix(pose), PoseFit(body)
    kept = fit(mesh, sigma, whole, truth)
    np.testing.assert_allclose(kept, truth, atol=1e-6)
    wrong = axis_angle_to_matrix(rng.normal(0, 0.2, (20, 24, 3))) @ truth
    mended = fit(mesh, sigma, skin(body, matrix_to_axis_angle(wrong), betas)[0], wrong)
    np.testing.assert_allclose(
        mended @ mended.swapaxes(-1, -2), np.broadcast_to(np.eye(3), mended.shape), atol=1e-9
    )
    assert (np.linalg.det(mended) > 0).all()
    # World positions are what counts: a part's turn is undone by the next one's.
    errors = [
        np.linalg.norm(
            skin(body, matrix_to_axis_angle(r), betas)[1] - skin(body, pose, betas)[1], axis=-1
        ).mean()
        for r in (wrong, mended)
    ]
    assert errors[1] < errors[0] / 4, errors


def test_turning_the_mesh_turns_the_root_alone() -> None:
    body, rng = open_body(), np.random.default_rng(1)
    pose, betas = rng.normal(0, 0.25, (1, 24, 3)), np.zeros((1, 10))
    skinned = skin(body, pose, betas)[0]
    mesh = skinned[:, body.level("coarse").vertex_ids] + rng.normal(0, 0.03, (1249, 3))
    turn = axis_angle_to_matrix(np.array([0.3, -1.2, 2.0]))
    local = axis_angle_to_matrix(pose)
    turned = local.copy()
    turned[:, 0] = turn @ local[:, 0]
    sigma, fit = rng.uniform(0.01, 0.1, mesh.shape), PoseFit(body)
    plain, rotated = (
        fit(mesh, sigma, skinned, local),
        fit(mesh @ turn.T + 3.0, sigma, skinned @ turn.T, turned),
    )
    assert (
        degrees(rotated[:, 1:], plain[:, 1:]).max() < 1e-3
        and degrees(rotated[:, 0], turn @ plain[:, 0]).max() < 1e-3
    )
