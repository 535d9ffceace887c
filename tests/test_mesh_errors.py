"""The benchmark's errors against the field's formulas, mesh by mesh, in float64."""

import dataclasses

import numpy as np
import torch
from numpy.testing import assert_allclose

from openhmr.bodies.body import Body
from openhmr.bodies.skinning import skin
from openhmr.geometry.rotations import matrix_to_axis_angle
from openhmr.joints import HUMAN36, POINTS
from openhmr.lab.evaluation.mesh_errors import ExactMesh, MeshErrors
from openhmr.lab.metrics.errors import mpjpe, mpvpe, pa_mpjpe, pa_mpvpe
from openhmr.lab.synth.pairs import Skeleton
from openhmr.lab.synth.poses import exp_map
from tests.test_lift import dense_upsampling


def test_errors_are_those_of_the_field(tiny_body: Body) -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(5, tiny_body.num_vertices, 3))
    coarse = truth[:, tiny_body.level("coarse").vertex_ids] + rng.normal(size=3) * 0.3
    # The last one is a mirror image: the best alignment may not reflect it.
    coarse[-1] *= [-1, 1, 1]
    regressor = tiny_body.joint_regressor(HUMAN36).astype(np.float64)
    mesh, joints = dense_upsampling(tiny_body) @ coarse, regressor @ truth
    found = MeshErrors(tiny_body)(
        coarse.astype(np.float32),
        torch.tensor(truth.transpose(0, 2, 1), dtype=torch.float32),
        joints.astype(np.float32),
    )
    expected = [
        mpjpe(regressor @ mesh, joints, HUMAN36),
        pa_mpjpe(regressor @ mesh, joints, HUMAN36),
        mpvpe(mesh, truth, tiny_body.J_regressor[0]),
        pa_mpvpe(mesh, truth),
    ]
    assert_allclose(found, 1000 * np.stack(expected), rtol=1e-4)


def test_exact_meshes_are_skinned(tiny_body: Body) -> None:
    generator = torch.Generator().manual_seed(0)
    local = exp_map(torch.randn(3, 24, 3, generator=generator) * 0.5)
    betas = torch.randn(3, 10, generator=generator)
    # Training data are skinned without pose correctives, which the open body has none of.
    points = np.random.default_rng(0).dirichlet(np.ones(tiny_body.num_vertices), len(POINTS.base))
    body = dataclasses.replace(
        tiny_body,
        posedirs=np.zeros((tiny_body.num_vertices, 3, 0)),
        joint_regressors={**tiny_body.joint_regressors, "points": points},
    )
    found = ExactMesh(body)(*Skeleton(body).transforms(local, betas), betas)
    pose = matrix_to_axis_angle(local.double().numpy())
    assert_allclose(found.mT, skin(body, pose, betas.double().numpy())[0], atol=1e-5)
