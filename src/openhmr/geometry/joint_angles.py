"""Joint angles as clinicians name them, from the rotations of SMPL's tree.

Sources: Grood and Suntay 1983 (knee); the recommendations of the International Society of Biomechanics, Wu et
al. 2002 (ankle, hip, spine) and Wu et al. 2005 (shoulder, elbow, wrist). Each part of the body has axes x
forward, y up along the bone and z to its right; they lie alike when a person stands with hanging arms, thumbs
forward: the T-pose with arms lowered, where all angles are 0. (ISB's forearm is 0 with the palm forward; ours
is 90 degrees from there.) Left limbs are measured as the right ones of a mirror image, so that an angle means
the same on both sides.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openhmr.errors import InputError
from openhmr.geometry.cardan import cardan_zxy, euler_yxy
from openhmr.geometry.rotations import axis_angle_to_matrix
from openhmr.joints.smpl import SMPL

_ISB = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
"""Rows: x forward, y up, z right in the body's axes (x left, y up, z forward)."""

_HANGING = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
"""Columns: axes of a right arm's parts in the T-pose, in :data:`_ISB`: y back along the arm, so that it hangs
after a turn of 90 degrees about x."""

_PALM = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
"""Columns: axes of a right wrist in those of its arm: x where the palm looks, y up along the bone, z to the
thumb."""

_MIRROR = np.diag([-1.0, 1, 1])


@dataclass(frozen=True)
class Angle:
    """``name``, as ``R_Knee_flexion``, and ``positive``: what a positive angle is."""

    name: str
    positive: str


_LIMBS = (
    ("Hip_flexion", "thigh forward"),
    ("Hip_adduction", "thigh towards the other"),
    ("Hip_internal_rotation", "knee turned inwards"),
    ("Knee_flexion", "heel to the seat"),
    ("Knee_adduction", "shank towards the other leg (varus)"),
    ("Knee_internal_rotation", "toes turned inwards against the thigh"),
    ("Ankle_dorsiflexion", "toes up"),
    ("Ankle_inversion", "sole turned inwards"),
    ("Ankle_internal_rotation", "toes turned inwards against the shank"),
    ("Shoulder_plane", "plane of elevation: 0 to the side, 90 degrees forward"),
    ("Shoulder_elevation", "arm raised from hanging, 90 degrees is level; never negative"),
    ("Shoulder_internal_rotation", "about the upper arm; bent forearm inwards"),
    ("Elbow_flexion", "forearm to the upper arm"),
    ("Elbow_adduction", "forearm towards the body (against the carrying angle)"),
    ("Elbow_pronation", "thumb inwards; 0 is thumb forward"),
    ("Wrist_flexion", "palm to the forearm"),
    ("Wrist_ulnar_deviation", "hand to the little finger's side"),
    ("Wrist_pronation", "about the forearm, against it"),
)
_MIDDLE = (
    ("flexion", "forward"),
    ("right_bend", "to the right"),
    ("left_rotation", "front turned to the left"),
)

ANGLES = (
    *(Angle(f"{part}_{name}", text) for part in ("Trunk", "Neck") for name, text in _MIDDLE),
    *(Angle(f"{side}_{name}", text) for side in "LR" for name, text in _LIMBS),
)
"""What :func:`joint_angles` returns, in its order."""

_FLEXION = np.array([-1.0, 1, 1])
"""Signs of turns about z, x and y where flexion is about -z: knee, trunk, neck."""


def joint_angles(pose: NDArray) -> NDArray[np.float64]:
    """Angles ``(...,A)`` in radians, as :data:`ANGLES` lists them, of ``pose (...,24,3)``: axis-angle of
    SMPL's joints relative to their parents, radians. The root's turn does not matter.

    All but the shoulder: flexion about the nearer part's z, rotation about the farther part's y, the other
    about what is at right angles to both. The shoulder: plane of elevation about the trunk's y, elevation
    about the turned x, rotation about the upper arm's y; with a hanging arm, plane 0. Raises
    :class:`InputError` for poses of other trees.
    """
    turns = _turns(pose)
    trunk = _chain(turns, "Torso", "Spine", "Chest")
    neck = _chain(turns, "Neck", "Head")
    out = [_FLEXION * cardan_zxy(_isb(part)) for part in (trunk, neck)]
    for side in "LR":
        limb = _right(turns, side)
        out += [*_leg(limb), *_arm(limb)]
    return np.concatenate(out, -1)


def upper_arms(pose: NDArray) -> NDArray[np.float64]:
    """Rotations ``(...,2,3,3)`` of the left and the right upper arm against the trunk, from where it hangs,
    in ISB's axes (x forward, y up, z right; the left as in a mirror), of ``pose (...,24,3)``."""
    turns = _turns(pose)
    return np.stack([_upper(_right(turns, side)) for side in "LR"], -3)


def pelvis(turn: NDArray) -> NDArray[np.float64]:
    """The pelvis's axes as ISB has them (x forward, y up, z right), columns of ``(...,3,3)``, where SMPL's
    root is turned by ``turn (...,3,3)``."""
    return turn @ _ISB.T


def _turns(pose: NDArray) -> NDArray[np.float64]:
    pose = np.asarray(pose, np.float64)
    if pose.shape[-2:] != (SMPL.size, 3):
        raise InputError(
            f"pose has shape {pose.shape}; (..., {SMPL.size}, 3) of SMPL's joints is needed for joint angles"
        )
    return axis_angle_to_matrix(pose)


def _leg(limb: dict[str, NDArray]) -> list[NDArray]:
    hip, knee, ankle = (cardan_zxy(_isb(limb[name])) for name in ("Hip", "Knee", "Ankle"))
    return [hip, _FLEXION * knee, ankle]


def _arm(limb: dict[str, NDArray]) -> list[NDArray]:
    elbow = _HANGING.T @ _isb(limb["Elbow"]) @ _HANGING
    wrist = _PALM.T @ _HANGING.T @ _isb(limb["Wrist"]) @ _HANGING @ _PALM
    return [euler_yxy(_upper(limb)) * (1, -1, 1), cardan_zxy(elbow), cardan_zxy(wrist)]


def _upper(limb: dict[str, NDArray]) -> NDArray:
    return _isb(limb["Thorax"] @ limb["Shoulder"]) @ _HANGING


def _chain(turns: NDArray, *names: str) -> NDArray:
    out = np.eye(3)
    for name in names:
        out = out @ turns[..., SMPL.names.index(name), :, :]
    return out


def _right(turns: NDArray, side: str) -> dict[str, NDArray]:
    """Turns of one side's joints, those of the left as in a mirror."""
    names = ("Hip", "Knee", "Ankle", "Thorax", "Shoulder", "Elbow", "Wrist")
    own = {name: turns[..., SMPL.names.index(f"{side}_{name}"), :, :] for name in names}
    return own if side == "R" else {name: _MIRROR @ turn @ _MIRROR for name, turn in own.items()}


def _isb(turn: NDArray) -> NDArray:
    return _ISB @ turn @ _ISB.T
