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
given true 2D joints, where the lifter does not tell its own, and how much each metre of the 2D joints'
deviation adds to it, in quadrature: Pose2Mesh (coco) on held-out people whose joints were moved by normal
noise of 1 to 16 cm."""


def average(recovered: People, lifted: People) -> People:
    """``recovered`` with its vertices replaced by the average with ``lifted``, the same people, aligned at
    the root.

    Each vertex and axis of the virtual camera weighs by the inverse of its variance; the lift's is its own
    and what follows from the deviations of the 2D joints, which Pose2Mesh does not see. The root stays where
    the picture put it; ``sigma`` becomes that of an average of independent errors, which these are not quite.
    The rig is kept.
    """
    boxes = recovered.keypoints.boxes
    if recovered.sigma is None or boxes is None or len(lifted) != len(recovered):
        raise InputError(
            "an average needs people recovered from boxes in a photo, and the lift of their keypoints"
        )
    rotation, _ = virtual_cameras(squares(boxes), recovered.camera)
    theirs = (None, None) if lifted.sigma is None else (lifted.sigma.vertices, lifted.sigma.joints)
    shares = [
        _share(own, lift_sigma(recovered.sigma, other))
        for own, other in zip((recovered.sigma.vertices, recovered.sigma.joints), theirs, strict=True)
    ]
    root = recovered.roots[:, None]
    ours, drawn = recovered.vertices - root, lifted.vertices - lifted.roots[:, None]
    # Row vectors: into the virtual camera's axes and, weighted there, back.
    difference = ((drawn - ours) @ rotation.swapaxes(-1, -2)) * shares[0]
    vertices = ours + difference @ rotation
    # The average's own root may have moved by the uneven weights.
    moved = np.matmul(recovered.body.root_regressor, vertices)[:, None]
    sigma = Sigma(
        (recovered.sigma.vertices * np.sqrt(1 - shares[0])).astype(np.float32),
        (recovered.sigma.joints * np.sqrt(1 - shares[1])).astype(np.float32),
    )
    return replace(recovered, vertices=(vertices - moved + root).astype(np.float32), sigma=sigma)


def lift_sigma(sigma: Sigma, own: NDArray[np.float32] | None = None) -> NDArray[np.float64]:
    """Standard deviations ``(N,1,3)``, or ``(N,P,3)`` where the lifter tells its ``own (N,P,3)``, in metres
    of what is lifted from 2D joints that deviate by ``sigma``."""
    spread = np.sqrt((sigma.joints[..., :2].astype(np.float64) ** 2).mean((1, 2)))
    alone = LIFT_SIGMA_M if own is None else own.astype(np.float64)
    return np.asarray(np.sqrt(alone**2 + (LIFT_GAIN * spread[:, None])[:, None] ** 2))


def _share(sigma: NDArray[np.float32], other: NDArray) -> NDArray[np.float64]:
    """Weight of the other in [0, 1]."""
    variance = sigma.astype(np.float64) ** 2
    return variance / (variance + other.astype(np.float64) ** 2)
