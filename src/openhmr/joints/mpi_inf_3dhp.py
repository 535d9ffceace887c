"""The joints of MPI-INF-3DHP, 28 or the 17 of its test set, and the 21 of MuCo-3DHP: the same people."""

from openhmr.joints.joint_set import JointSet

# No offsets of these are published: each is taken for the nearest point that another skeleton defines.
SHARED = {
    "Spine": "Torso_h36m",
    **{f"{s}_Hand": f"{s}_Hand_smpl" for s in "LR"},
    **{f"{s}_Toe": f"{s}_Foot_index" for s in "LR"},
}

MPI_INF_3DHP28 = JointSet(
    name="mpi_inf_3dhp28",
    names=(
        "Spine3", "Spine4", "Spine2", "Spine", "Pelvis_3dhp", "Throat", "Head_3dhp", "Head_top",
        "L_Clavicle", "L_Shoulder_3dhp", "L_Elbow", "L_Wrist", "L_Hand", "R_Clavicle", "R_Shoulder_3dhp",
        "R_Elbow", "R_Wrist", "R_Hand", "L_Hip_3dhp", "L_Knee", "L_Ankle", "L_Foot", "L_Toe", "R_Hip_3dhp",
        "R_Knee", "R_Ankle", "R_Foot", "R_Toe",
    ),
    skeleton=(
        (4, 3), (3, 2), (2, 0), (0, 1), (1, 5), (5, 6), (6, 7), (5, 8), (8, 9), (9, 10), (10, 11), (11, 12),
        (5, 13), (13, 14), (14, 15), (15, 16), (16, 17), (4, 18), (18, 19), (19, 20), (20, 21), (21, 22),
        (4, 23), (23, 24), (24, 25), (25, 26), (26, 27),
    ),
    root=4,
    eval_joints=tuple(range(28)),
    points=SHARED
    | {
        "Spine4": "Spine4_3dhp",
        "Spine3": "Chest_smpl",
        "Spine2": "Spine_smpl",
        **{f"{s}_Clavicle": f"{s}_Thorax_smpl" for s in "LR"},
        **{f"{s}_Foot": f"{s}_Toe_smpl" for s in "LR"},
    },
)  # fmt: skip
"""The data set calls the throat neck, and the others spine3, spine4, spine2, spine, pelvis, head, ..."""

MPI_INF_3DHP = JointSet(
    name="mpi_inf_3dhp",
    names=(
        "Head_top", "Throat", "R_Shoulder_3dhp", "R_Elbow", "R_Wrist", "L_Shoulder_3dhp", "L_Elbow",
        "L_Wrist", "R_Hip_3dhp", "R_Knee", "R_Ankle", "L_Hip_3dhp", "L_Knee", "L_Ankle", "Pelvis_3dhp",
        "Spine", "Head_3dhp",
    ),
    skeleton=(
        (0, 16), (16, 1), (1, 15), (15, 14), (14, 8), (14, 11), (8, 9), (9, 10), (11, 12), (12, 13), (1, 2),
        (2, 3), (3, 4), (1, 5), (5, 6), (6, 7),
    ),
    root=14,
    eval_joints=tuple(range(17)),
    points=SHARED,
)  # fmt: skip

MUCO = JointSet(
    name="muco",
    names=(
        "Head_top", "Thorax", "R_Shoulder", "R_Elbow", "R_Wrist", "L_Shoulder", "L_Elbow", "L_Wrist",
        "R_Hip", "R_Knee", "R_Ankle", "L_Hip", "L_Knee", "L_Ankle", "Pelvis", "Spine", "Head", "R_Hand",
        "L_Hand", "R_Toe", "L_Toe",
    ),
    skeleton=(
        (0, 16), (16, 1), (1, 15), (15, 14), (14, 8), (14, 11), (8, 9), (9, 10), (10, 19), (11, 12),
        (12, 13), (13, 20), (1, 2), (2, 3), (3, 4), (4, 17), (1, 5), (5, 6), (6, 7), (7, 18),
    ),
    root=14,
    eval_joints=tuple(range(21)),
    points=SHARED
    | {
        "Thorax": "Throat",
        "Pelvis": "Pelvis_3dhp",
        "Head": "Head_3dhp",
        **{f"{s}_{n}": f"{s}_{n}_3dhp" for s in "LR" for n in ("Hip", "Shoulder")},
    },
)  # fmt: skip
