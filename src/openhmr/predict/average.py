"""Both systems together: the mesh recovered from pixels and the mesh lifted from its 2D joints, averaged by their uncertainties."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.body import Body
from openhmr.predict.coarse_mesh import joint_regressors
from openhmr.predict.person_crop import squares, virtual_cameras
from openhmr.predict.result import Recovered, Result

LIFT_SIGMA_M = np.array([0.042, 0.041, 0.086])
"""Root mean square error of a lifted vertex right, down and away from the camera, relative to the pelvis: Pose2Mesh (coco) on
held-out motion whose 2D joints carry 0.3 of its synthetic noise."""


def average(recovered: Recovered, lifted: Result, body: Body) -> Recovered:
    """``recovered`` with vertices and joints replaced by the average with ``lifted``, the same people, aligned at the pelvis.

    Each vertex and axis of the virtual camera weighs by the inverse of its variance; the lift's is a constant, since Pose2Mesh
    tells none. The pelvis stays where the picture put it; ``vertices_sigma`` and ``joints_sigma`` become those of the average.
    The parametric mesh is kept.
    """
    turn, _ = virtual_cameras(squares(recovered.boxes), recovered.K)
    share = _share(recovered.vertices_sigma)
    pelvis = recovered.translation[:, None]
    ours, other = recovered.vertices - pelvis, lifted.vertices - lifted.translation[:, None]
    # Row vectors: into the virtual camera's axes and, weighted there, back.
    difference = ((other - ours) @ turn.swapaxes(-1, -2)) * share
    vertices = ours + difference @ turn
    # The average's own pelvis may have moved by the uneven weights.
    placed = (vertices - body.joint_regressors["human36"][:1] @ vertices + pelvis).astype(np.float32)
    joints = {name: np.matmul(regressor, placed) for name, regressor in joint_regressors(body).items()}
    return dataclasses.replace(
        recovered, vertices=placed, joints=joints, vertices_sigma=_combined(recovered.vertices_sigma),
        joints_sigma=_combined(recovered.joints_sigma),
    )  # fmt: skip


def _share(sigma: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weight of the lift in [0, 1]."""
    variance = sigma.astype(np.float64) ** 2
    return (variance / (variance + LIFT_SIGMA_M**2)).astype(np.float32)


def _combined(sigma: NDArray[np.float32]) -> NDArray[np.float32]:
    return (sigma * np.sqrt(1 - _share(sigma))).astype(np.float32)
