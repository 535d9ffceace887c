"""Joint sets: names, bones, roots, evaluation joints."""

from openhmr.joints.coco import COCO
from openhmr.joints.human36m import HUMAN36
from openhmr.joints.joint_set import JointSet
from openhmr.joints.mano import MANO
from openhmr.joints.smpl import SMPL

__all__ = ["COCO", "HUMAN36", "MANO", "SMPL", "JointSet"]
