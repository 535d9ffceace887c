"""Joint sets: names, bones, roots, evaluation joints, and the one table of them."""

from openhmr.joints.coco import COCO, COCO18
from openhmr.joints.human36m import HUMAN36, HUMAN36_TOP
from openhmr.joints.joint_set import JointSet
from openhmr.joints.mano import MANO
from openhmr.joints.muco import MUCO
from openhmr.joints.smpl import SMPL, SMPL29
from openhmr.joints.table import JOINT_SETS, get_joint_set

__all__ = [
    "COCO",
    "COCO18",
    "HUMAN36",
    "HUMAN36_TOP",
    "JOINT_SETS",
    "MANO",
    "MUCO",
    "SMPL",
    "SMPL29",
    "JointSet",
    "get_joint_set",
]
