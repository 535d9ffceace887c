"""The 24 joints of the SMPL kinematic tree, and the 29 of I2L-MeshNet: those and five points of the face."""

from openhmr.joints.joint_set import JointSet

SMPL_NAMES = (
    "Pelvis", "L_Hip", "R_Hip", "Torso", "L_Knee", "R_Knee", "Spine", "L_Ankle", "R_Ankle", "Chest", "L_Toe",
    "R_Toe", "Neck", "L_Thorax", "R_Thorax", "Head", "L_Shoulder", "R_Shoulder", "L_Elbow", "R_Elbow",
    "L_Wrist", "R_Wrist", "L_Hand", "R_Hand",
)  # fmt: skip

SMPL = JointSet(
    name="smpl",
    names=SMPL_NAMES,
    skeleton=(
        (0, 1), (1, 4), (4, 7), (7, 10), (0, 2), (2, 5), (5, 8), (8, 11), (0, 3), (3, 6), (6, 9), (9, 14),
        (14, 17), (17, 19), (19, 21), (21, 23), (9, 13), (13, 16), (16, 18), (18, 20), (20, 22), (9, 12),
        (12, 15),
    ),
    root=0,
    eval_joints=tuple(range(24)),
    points={name: name + "_smpl" for name in SMPL_NAMES},
)  # fmt: skip

SMPL_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)
"""Parent of each joint; -1 at the root."""

SMPL29 = JointSet(
    name="smpl29",
    names=(*SMPL.names, "Nose", "L_Eye", "R_Eye", "L_Ear", "R_Ear"),
    # The head hangs below the nose, not below the neck.
    skeleton=(*SMPL.skeleton[:-1], (12, 24), (24, 15), (24, 25), (24, 26), (25, 27), (26, 28)),
    root=0,
    eval_joints=tuple(range(29)),
    points=SMPL.points,
)
