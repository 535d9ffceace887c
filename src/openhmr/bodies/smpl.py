"""What is particular to SMPL: its relatives, and the five points of the face that I2L-MeshNet adds to its
joints."""

import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.body import Body
from openhmr.errors import InputError

FACE_VERTICES = (331, 2802, 6262, 3489, 3990)
"""Nose, left and right eye, left and right ear on SMPL's mesh."""

_VERTICES = 6890
_JOINTS = 24
_RELATIVES = {(6890, 52): "SMPL+H", (10475, 55): "SMPL-X", (5023, 5): "FLAME", (778, 16): "MANO"}
"""Vertices and joints of models that come in SMPL's arrays, too."""


def check_smpl(body: Body) -> None:
    """Raises :class:`InputError` for a body with other joints than SMPL's 24, whose parameters mean another
    mesh."""
    if body.num_joints == _JOINTS:
        return
    kind = _RELATIVES.get((body.num_vertices, body.num_joints), "another model")
    raise InputError(
        f"the body has {body.num_vertices:,} vertices and {body.num_joints} joints, so it is {kind}; SMPL "
        f"with its {_JOINTS} joints is needed: give SMPL_NEUTRAL, as .pkl or .npz"
    )


def face_regressor(body: Body) -> NDArray[np.float32]:
    """Matrix ``(5, V)`` from vertices to nose, eyes and ears (left, right): single vertices of SMPL's mesh.

    Any other mesh must carry a joint regressor ``coco``, which begins with these points; :class:`InputError`
    if it does not.
    """
    if body.num_vertices == _VERTICES:
        rows = np.zeros((len(FACE_VERTICES), _VERTICES), np.float32)
        rows[np.arange(len(FACE_VERTICES)), FACE_VERTICES] = 1
        return rows
    if not body.has_joint_regressor("coco"):
        raise InputError(
            f"body has {body.num_vertices} vertices and no joint regressor 'coco' to find its face with; "
            f"use a body with SMPL's {_VERTICES} vertices or add that regressor"
        )
    return body.joint_regressor("coco")[: len(FACE_VERTICES)]


def smpl_face_regressor(body: Body) -> NDArray[np.float32]:
    """Matrix ``(J+5, V)``: the body's own joints, then the face, as I2L-MeshNet regresses them."""
    return np.concatenate([body.J_regressor, face_regressor(body)])
