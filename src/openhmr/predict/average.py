"""Both systems together: the mesh recovered from pixels and the mesh lifted from its 2D joints, averaged by
their uncertainties."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.body import Body
from openhmr.predict.coarse_mesh import joint_regressors
from openhmr.predict.person_crop import squares, virtual_cameras
from openhmr.predict.result import Recovered, Result

LIFT_SIGMA_M, LIFT_GAIN = np.array([0.025, 0.026, 0.067]), np.array([1.0, 1.05, 1.9])
"""Root mean square error of a lifted vertex (right, down and away from the camera, relative to the pelvis)
given true 2D joints, and how much each metre of the 2D joints' deviation adds to it, in quadrature: Pose2Mesh
(coco) on held-out people whose joints were moved by normal noise of 1 to 16 cm."""


def average(recovered: Recovered, lifted: Result, body: Body) -> Recovered:
    """``recovered`` with vertices and joints replaced by the average with ``lifted``, the same people,
    aligned at the pelvis.

    Each vertex and axis of the virtual camera weighs by the inverse of its variance; the lift's follows from
    the deviations of the 2D joints, since Pose2Mesh tells none. The pelvis stays where the picture put it;
    ``vertices_sigma`` and ``joints_sigma`` become those of an average of independent errors, which these are
    not quite. The parametric mesh is kept.
    """
    turn, _ = virtual_cameras(squares(recovered.boxes), recovered.K)
    other_sigma = lift_sigma(recovered)
    pelvis = recovered.translation[:, None]
    ours, other = recovered.vertices - pelvis, lifted.vertices - lifted.translation[:, None]
    # Row vectors: into the virtual camera's axes and, weighted there, back.
    difference = ((other - ours) @ turn.swapaxes(-1, -2)) * _share(recovered.vertices_sigma, other_sigma)
    vertices = ours + difference @ turn
    # The average's own pelvis may have moved by the uneven weights.
    placed = (vertices - body.joint_regressors["human36"][:1] @ vertices + pelvis).astype(np.float32)
    joints = {name: np.matmul(regressor, placed) for name, regressor in joint_regressors(body).items()}
    combined = {
        name: (sigma * np.sqrt(1 - _share(sigma, other_sigma))).astype(np.float32)
        for name, sigma in (
            ("vertices_sigma", recovered.vertices_sigma),
            ("joints_sigma", recovered.joints_sigma),
        )
    }
    return dataclasses.replace(recovered, vertices=placed, joints=joints, **combined)  # type: ignore[arg-type]


def lift_sigma(recovered: Recovered) -> NDArray[np.float64]:
    """Standard deviations ``(N,1,3)`` in metres of the vertices lifted from the 2D joints of
    ``recovered``."""
    spread = np.sqrt((recovered.joints_sigma[..., :2].astype(np.float64) ** 2).mean((1, 2)))
    return np.sqrt(LIFT_SIGMA_M**2 + (LIFT_GAIN * spread[:, None]) ** 2)[:, None]


def _share(sigma: NDArray[np.float32], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weight of the other in [0, 1]."""
    variance = sigma.astype(np.float64) ** 2
    return variance / (variance + other**2)
