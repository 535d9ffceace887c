"""The COCO joints, as Pose2Mesh takes them: 17 keypoints of the data set, then Pelvis and Neck."""

from openhmr.joints.joint_set import JointSet

COCO17 = (
    "Nose", "L_Eye", "R_Eye", "L_Ear", "R_Ear", "L_Shoulder", "R_Shoulder", "L_Elbow", "R_Elbow", "L_Wrist",
    "R_Wrist", "L_Hip", "R_Hip", "L_Knee", "R_Knee", "L_Ankle", "R_Ankle",
)  # fmt: skip
"""Names of the 17 keypoints that COCO annotates and detectors return."""

COCO = JointSet(
    name="coco",
    names=(*COCO17, "Pelvis", "Neck"),
    skeleton=(
        (1, 2), (0, 1), (0, 2), (2, 4), (1, 3), (6, 8), (8, 10), (5, 7), (7, 9), (12, 14), (14, 16), (11, 13),
        (13, 15), (17, 11), (17, 12), (17, 18), (18, 5), (18, 6), (18, 0),
    ),
    root=17,
    eval_joints=tuple(range(19)),
    derived={"Pelvis": ("L_Hip", "R_Hip"), "Neck": ("L_Shoulder", "R_Shoulder")},
)  # fmt: skip

COCO18 = JointSet(
    name="coco18",
    names=(*COCO17, "Pelvis"),
    skeleton=(*COCO.skeleton[:13], (5, 6), (11, 12)),
    root=17,
    eval_joints=tuple(range(18)),
    derived={"Pelvis": COCO.derived["Pelvis"]},
    regressor="coco",
)
"""What I2L-MeshNet makes of COCO: a pelvis between the hips, no neck."""
