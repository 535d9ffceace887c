"""Both systems together: the mesh recovered from pixels and the mesh lifted from its 2D joints, averaged by
their uncertainties."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from openhmr.errors import InputError
from openhmr.people import People, Sigma
from openhmr.predict.person_crop import squares, virtual_cameras

LIFT_SIGMA_M, LIFT_GAIN = np.array([0.025, 0.026, 0.067]), np.array([1.0, 1.05, 1.9])
"""Root mean square error of a lifted vertex (right, down and away from the camera, relative to the pelvis)
given true 2D joints, and how much each metre of the 2D joints' deviation adds to it, in quadrature: Pose2Mesh
(coco) on held-out people whose joints were moved by normal noise of 1 to 16 cm."""


def average(recovered: People, lifted: People) -> People:
    """``recovered`` with its vertices replaced by the average with ``lifted``, the same people, aligned at
    the root.

    Each vertex and axis of the virtual camera weighs by the inverse of its variance; the lift's follows from
    the deviations of the 2D joints, which Pose2Mesh does not see. The root stays where the picture put it;
    ``sigma`` becomes that of an average of independent errors, which these are not quite. The rig is kept.
    """
    boxes = recovered.keypoints.boxes
    if recovered.sigma is None or boxes is None or len(lifted) != len(recovered):
        raise InputError(
            "an average needs people recovered from boxes in a photo, and the lift of their keypoints"
        )
    rotation, _ = virtual_cameras(squares(boxes), recovered.camera)
    other_sigma = lift_sigma(recovered.sigma)
    root = recovered.roots[:, None]
    ours, other = recovered.vertices - root, lifted.vertices - lifted.roots[:, None]
    # Row vectors: into the virtual camera's axes and, weighted there, back.
    difference = ((other - ours) @ rotation.swapaxes(-1, -2)) * _share(recovered.sigma.vertices, other_sigma)
    vertices = ours + difference @ rotation
    # The average's own root may have moved by the uneven weights.
    moved = np.matmul(recovered.body.root_regressor, vertices)[:, None]
    sigma = Sigma(
        *(
            (own * np.sqrt(1 - _share(own, other_sigma))).astype(np.float32)
            for own in (recovered.sigma.vertices, recovered.sigma.joints)
        )
    )
    return replace(recovered, vertices=(vertices - moved + root).astype(np.float32), sigma=sigma)


def lift_sigma(sigma: Sigma) -> NDArray[np.float64]:
    """Standard deviations ``(N,1,3)`` in metres of vertices lifted from 2D joints that deviate by
    ``sigma``."""
    spread = np.sqrt((sigma.joints[..., :2].astype(np.float64) ** 2).mean((1, 2)))
    return np.sqrt(LIFT_SIGMA_M**2 + (LIFT_GAIN * spread[:, None]) ** 2)[:, None]


def _share(sigma: NDArray[np.float32], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weight of the other in [0, 1]."""
    variance = sigma.astype(np.float64) ** 2
    return variance / (variance + other**2)
