"""The only table of joint sets: whatever takes one by name looks here."""

from collections.abc import Collection, Mapping
from types import MappingProxyType

from openhmr.errors import InputError
from openhmr.joints.coco import COCO, COCO18
from openhmr.joints.feet import COCO_FEET, HALPE26
from openhmr.joints.human36m import HUMAN36, HUMAN36_TOP
from openhmr.joints.joint_set import JointSet
from openhmr.joints.mano import MANO
from openhmr.joints.mediapipe import MEDIAPIPE33
from openhmr.joints.mpi_inf_3dhp import MPI_INF_3DHP, MPI_INF_3DHP28, MUCO
from openhmr.joints.mpii import AIC, CROWDPOSE, MPII
from openhmr.joints.openpose import BODY25, OPENPOSE18
from openhmr.joints.points import POINTS
from openhmr.joints.smpl import SMPL, SMPL29

_ORIGINS = {
    COCO: "COCO's 17 keypoints, as most detectors write them, with Pelvis and Neck between them",
    COCO18: "COCO's 17 keypoints with a Pelvis, as in I2L-MeshNet",
    HUMAN36: "Human3.6M's 17 joints, as Pose2Mesh orders them",
    HUMAN36_TOP: "the same as I2L-MeshNet calls them",
    MANO: "a hand: FreiHAND's 21 joints",
    MUCO: "MuCo-3DHP",
    SMPL: "SMPL's 24 joints",
    SMPL29: "SMPL's joints and five points of the face, as in I2L-MeshNet",
    BODY25: "OpenPose BODY_25",
    OPENPOSE18: "OpenPose's older 18 keypoints, called COCO there",
    COCO_FEET: "COCO-WholeBody: COCO's 17 keypoints and six of the feet, the first 23 of its 133",
    HALPE26: "Halpe and AlphaPose, body with feet: 26 joints, or the first 26 of 136",
    MEDIAPIPE33: "MediaPipe Pose (BlazePose)",
    MPII: "MPII Human Pose",
    AIC: "AI Challenger",
    CROWDPOSE: "CrowdPose",
    MPI_INF_3DHP: "MPI-INF-3DHP, the 17 joints of its test set",
    MPI_INF_3DHP28: "MPI-INF-3DHP, all 28 joints",
    POINTS: "every named point of the body: the union of all skeletons but the hand",
}

JOINT_SETS: Mapping[str, JointSet] = MappingProxyType({s.name: s for s in _ORIGINS})
"""Every joint set of the package by its name."""

ORIGINS: Mapping[str, str] = MappingProxyType({s.name: text for s, text in _ORIGINS.items()})
"""Where each joint set comes from."""


def get_joint_set(joint_set: str | JointSet, allowed: Collection[str] | None = None) -> JointSet:
    """The joint set of that name, or the given one itself.

    ``allowed`` restricts the names where not every set will do. Raises :class:`InputError`, which names the
    nearest right name.
    """
    name = joint_set.name if isinstance(joint_set, JointSet) else joint_set
    if isinstance(joint_set, JointSet) and (allowed is None or name in allowed):
        return joint_set
    choices = JOINT_SETS if allowed is None else allowed
    if name in choices:
        return JOINT_SETS[name]
    import difflib  # only this sentence needs it

    near = difflib.get_close_matches(str(name).lower(), choices, 1, 0.5)
    hint = f": did you mean {near[0]!r}?" if near else ""
    raise InputError(f"joint set {name!r} is not one of {', '.join(choices)}{hint}")
