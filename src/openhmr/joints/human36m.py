"""The 17 joints of Human3.6M in the order Pose2Mesh uses."""

from dataclasses import replace

from openhmr.joints.joint_set import JointSet

HUMAN36 = JointSet(
    name="human36",
    names=(
        "Pelvis", "R_Hip", "R_Knee", "R_Ankle", "L_Hip", "L_Knee", "L_Ankle", "Torso", "Neck", "Nose", "Head",
        "L_Shoulder", "L_Elbow", "L_Wrist", "R_Shoulder", "R_Elbow", "R_Wrist",
    ),
    skeleton=(
        (0, 7), (7, 8), (8, 9), (9, 10), (8, 11), (11, 12), (12, 13), (8, 14), (14, 15), (15, 16), (0, 1),
        (1, 2), (2, 3), (0, 4), (4, 5), (5, 6),
    ),
    root=0,
    # The 14 joints of the Human3.6M and 3DPW protocols: without Pelvis, Torso and Nose.
    eval_joints=(1, 2, 3, 4, 5, 6, 8, 10, 11, 12, 13, 14, 15, 16),
    points={
        "Pelvis": "Pelvis_h36m",
        "Torso": "Torso_h36m",
        "Neck": "Thorax_h36m",
        "Nose": "Neck_nose_h36m",
        "Head": "Head_h36m",
        **{f"{s}_{n}": f"{s}_{n}_h36m" for s in "LR" for n in ("Hip", "Knee", "Ankle", "Shoulder")},
    },
)  # fmt: skip

HUMAN36_TOP = replace(
    HUMAN36,
    name="human36_top",
    names=tuple("Head_top" if n == "Head" else n for n in HUMAN36.names),
    regressor="human36",
    points={**HUMAN36.points, "Head_top": "Head_h36m"},
)
"""The same joints as I2L-MeshNet names them: its head is the top of the head, which SMPL has no joint for."""
