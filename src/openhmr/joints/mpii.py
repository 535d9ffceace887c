"""Joints of the 2D data sets without a face: MPII, AI Challenger (AIC), CrowdPose."""

from openhmr.joints.joint_set import JointSet

MPII = JointSet(
    name="mpii",
    names=(
        "R_Ankle", "R_Knee", "R_Hip", "L_Hip", "L_Knee", "L_Ankle", "Pelvis_mpii", "Thorax_mpii",
        "Upper_neck", "Head_top", "R_Wrist", "R_Elbow", "R_Shoulder", "L_Shoulder", "L_Elbow", "L_Wrist",
    ),
    skeleton=(
        (0, 1), (1, 2), (2, 6), (6, 3), (3, 4), (4, 5), (6, 7), (7, 8), (8, 9), (7, 12), (12, 11), (11, 10),
        (7, 13), (13, 14), (14, 15),
    ),
    root=6,
    eval_joints=tuple(range(16)),
)  # fmt: skip

AIC = JointSet(
    name="aic",
    names=(
        "R_Shoulder", "R_Elbow", "R_Wrist", "L_Shoulder", "L_Elbow", "L_Wrist", "R_Hip", "R_Knee",
        "R_Ankle", "L_Hip", "L_Knee", "L_Ankle", "Head_top", "Throat", "Pelvis",
    ),
    skeleton=(
        (13, 12), (13, 0), (0, 1), (1, 2), (13, 3), (3, 4), (4, 5), (13, 14), (14, 6), (6, 7), (7, 8),
        (14, 9), (9, 10), (10, 11),
    ),
    root=14,
    eval_joints=tuple(range(15)),
    derived={"Pelvis": ("L_Hip", "R_Hip")},
)  # fmt: skip

CROWDPOSE = JointSet(
    name="crowdpose",
    names=(
        "L_Shoulder", "R_Shoulder", "L_Elbow", "R_Elbow", "L_Wrist", "R_Wrist", "L_Hip", "R_Hip", "L_Knee",
        "R_Knee", "L_Ankle", "R_Ankle", "Head_top", "Throat", "Pelvis",
    ),
    skeleton=(
        (13, 12), (13, 0), (0, 2), (2, 4), (13, 1), (1, 3), (3, 5), (13, 14), (14, 6), (6, 8), (8, 10),
        (14, 7), (7, 9), (9, 11),
    ),
    root=14,
    eval_joints=tuple(range(15)),
    derived=AIC.derived,
)  # fmt: skip
