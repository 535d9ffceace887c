"""The joints that OpenPose writes: BODY_25, and the older 18 that it called COCO.

OpenPose was trained on COCO's keypoints; its neck and middle of the hips are means of those.
"""

from openhmr.joints.joint_set import JointSet

OPENPOSE_UPPER = (
    "Nose", "Neck", "R_Shoulder", "R_Elbow", "R_Wrist", "L_Shoulder", "L_Elbow", "L_Wrist",
)  # fmt: skip
LEGS = ("R_Hip", "R_Knee", "R_Ankle", "L_Hip", "L_Knee", "L_Ankle")
FACE = ("R_Eye", "L_Eye", "R_Ear", "L_Ear")
FEET = ("BigToe", "SmallToe", "Heel")

BODY25 = JointSet(
    name="body25",
    names=(*OPENPOSE_UPPER, "Pelvis", *LEGS, *FACE, *(f"{side}_{n}" for side in "LR" for n in FEET)),
    skeleton=(
        (1, 8), (1, 2), (2, 3), (3, 4), (1, 5), (5, 6), (6, 7), (8, 9), (9, 10), (10, 11), (8, 12),
        (12, 13), (13, 14), (1, 0), (0, 15), (15, 17), (0, 16), (16, 18), (14, 19), (19, 20), (14, 21),
        (11, 22), (22, 23), (11, 24),
    ),
    root=8,
    eval_joints=tuple(range(25)),
)  # fmt: skip

OPENPOSE18 = JointSet(
    name="openpose18",
    names=(*OPENPOSE_UPPER, *LEGS, *FACE, "Pelvis"),
    skeleton=(
        (1, 2), (2, 3), (3, 4), (1, 5), (5, 6), (6, 7), (1, 18), (18, 8), (8, 9), (9, 10), (18, 11),
        (11, 12), (12, 13), (1, 0), (0, 14), (14, 16), (0, 15), (15, 17),
    ),
    root=18,
    eval_joints=tuple(range(19)),
    derived={"Pelvis": ("L_Hip", "R_Hip")},
)  # fmt: skip
