"""The COCO joints, as Pose2Mesh takes them: 17 keypoints of the data set, then Pelvis and Neck."""

import numpy as np
from numpy.typing import NDArray

from openhmr.errors import InputError
from openhmr.joints.joint_set import JointSet

COCO17 = (
    "Nose", "L_Eye", "R_Eye", "L_Ear", "R_Ear", "L_Shoulder", "R_Shoulder", "L_Elbow", "R_Elbow", "L_Wrist", "R_Wrist",
    "L_Hip", "R_Hip", "L_Knee", "R_Knee", "L_Ankle", "R_Ankle",
)  # fmt: skip
"""Names of the 17 keypoints that COCO annotates and detectors return."""

COCO = JointSet(
    name="coco",
    names=(*COCO17, "Pelvis", "Neck"),
    skeleton=(
        (1, 2), (0, 1), (0, 2), (2, 4), (1, 3), (6, 8), (8, 10), (5, 7), (7, 9), (12, 14), (14, 16), (11, 13), (13, 15),
        (17, 11), (17, 12), (17, 18), (18, 5), (18, 6), (18, 0),
    ),
    root=17,
    eval_joints=tuple(range(19)),
)  # fmt: skip

COCO18 = JointSet(
    name="coco18",
    names=(*COCO17, "Pelvis"),
    skeleton=(*COCO.skeleton[:13], (5, 6), (11, 12)),
    root=17,
    eval_joints=tuple(range(18)),
)
"""What I2L-MeshNet makes of COCO: a pelvis between the hips, no neck."""


def add_pelvis_neck(joints: NDArray, score: bool = False) -> NDArray:
    """Append the midpoints of the hips (Pelvis) and of the shoulders (Neck): ``(..., 17, C) -> (..., 19,
    C)``.

    Any unit, any frame; floating types are kept. With ``score`` the last column is a confidence, whose new
    entries are the product of the two (the rule of Pose2Mesh's demo: a joint that was not found stays not
    found); without, all columns are averaged (its data sets' rule). Raises :class:`InputError` if there are
    not 17 joints.
    """
    joints = np.asarray(joints)
    if joints.ndim < 2 or joints.shape[-2] != len(COCO17):
        raise InputError(
            f"joints have shape {joints.shape}; (..., 17, C) is needed: pass the 17 COCO keypoints in their "
            f"order"
        )
    added = []
    for side in ("Hip", "Shoulder"):
        left, right = (joints[..., COCO17.index(f"{s}_{side}"), :] for s in "LR")
        middle = (left + right) * 0.5
        if score:
            middle[..., -1] = left[..., -1] * right[..., -1]
        added.append(middle[..., None, :])
    return np.concatenate([joints, *added], axis=-2)
