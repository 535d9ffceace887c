"""Joint sets: names, bones, roots, evaluation joints, and the one table of them."""

from openhmr.joints.coco import COCO, COCO18
from openhmr.joints.feet import COCO_FEET, HALPE26
from openhmr.joints.human36m import HUMAN36, HUMAN36_TOP
from openhmr.joints.joint_set import JointSet
from openhmr.joints.mano import MANO
from openhmr.joints.mediapipe import MEDIAPIPE33
from openhmr.joints.mpi_inf_3dhp import MPI_INF_3DHP, MPI_INF_3DHP28, MUCO
from openhmr.joints.mpii import AIC, CROWDPOSE, MPII
from openhmr.joints.openpose import BODY25, OPENPOSE18
from openhmr.joints.points import POINT_DESCRIPTIONS, POINTS, has_points, point_indices
from openhmr.joints.smpl import SMPL, SMPL29
from openhmr.joints.table import JOINT_SETS, ORIGINS, get_joint_set

__all__ = [
    "AIC",
    "BODY25",
    "COCO",
    "COCO18",
    "COCO_FEET",
    "CROWDPOSE",
    "HALPE26",
    "HUMAN36",
    "HUMAN36_TOP",
    "JOINT_SETS",
    "MANO",
    "MEDIAPIPE33",
    "MPII",
    "MPI_INF_3DHP",
    "MPI_INF_3DHP28",
    "MUCO",
    "OPENPOSE18",
    "ORIGINS",
    "POINTS",
    "POINT_DESCRIPTIONS",
    "SMPL",
    "SMPL29",
    "JointSet",
    "get_joint_set",
    "has_points",
    "point_indices",
]
