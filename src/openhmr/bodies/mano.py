"""What is particular to MANO: 16 joints of its own, 21 of the data sets, and fingertips that are vertices."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from openhmr.errors import InputError


class Hand(Protocol):
    """What is asked of :class:`openhmr.bodies.Body` here."""

    @property
    def J_regressor(self) -> NDArray[np.float32]: ...


TIP_VERTICES = (745, 317, 444, 556, 673)
"""Tips of thumb, index, middle, ring and pinky of the right hand, as the MANO layer of FreiHAND's data
defines them."""

REGRESSOR_TIP_VERTICES = (745, 317, 445, 556, 673)
"""The same for the joint regressor of Pose2Mesh and I2L-MeshNet: its middle tip is the neighbouring
vertex."""

_ORDER = (0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20)
_VERTICES = 778


def mano_joints21(vertices: NDArray, joints: NDArray) -> NDArray:
    """The 21 joints of ``openhmr.joints.MANO`` from skinned ``vertices (..., 778, 3)`` and ``joints (..., 16,
    3)``.

    Raises :class:`InputError` for a body that is not MANO.
    """
    if vertices.shape[-2:] != (_VERTICES, 3) or joints.shape[-2:] != (16, 3):
        raise InputError(
            f"hand has vertices {vertices.shape} and joints {joints.shape}; MANO has 778 vertices and 16 "
            f"joints: pass a MANO body"
        )
    return np.concatenate([joints, vertices[..., TIP_VERTICES, :]], axis=-2)[..., _ORDER, :]


def is_mano(body: Hand) -> bool:
    """Whether ``body`` has the mesh and the joints of MANO."""
    return body.J_regressor.shape == (16, _VERTICES)


def mano_joint_regressor(body: Hand) -> NDArray[np.float32]:
    """Matrix ``(21, 778)`` from MANO's vertices to the 21 joints, as the two networks regress them."""
    if not is_mano(body):
        raise InputError(
            f"body has a joint regressor of shape {body.J_regressor.shape}; MANO's (16, 778) is needed"
        )
    tips = np.zeros((5, _VERTICES), np.float32)
    tips[np.arange(5), REGRESSOR_TIP_VERTICES] = 1
    return np.concatenate([body.J_regressor, tips])[list(_ORDER)]
