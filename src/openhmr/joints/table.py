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

_SETS = (
    COCO, COCO18, HUMAN36, HUMAN36_TOP, MANO, MUCO, SMPL, SMPL29, BODY25, OPENPOSE18, COCO_FEET, HALPE26,
    MEDIAPIPE33, MPII, AIC, CROWDPOSE, MPI_INF_3DHP, MPI_INF_3DHP28, POINTS,
)  # fmt: skip

JOINT_SETS: Mapping[str, JointSet] = MappingProxyType({s.name: s for s in _SETS})
"""Every joint set of the package by its name."""


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
