"""The 33 landmarks of MediaPipe Pose (BlazePose), and the pelvis between its hips."""

from openhmr.joints.joint_set import JointSet

MEDIAPIPE33 = JointSet(
    name="mediapipe33",
    names=(
        "Nose", "L_Eye_inner", "L_Eye", "L_Eye_outer", "R_Eye_inner", "R_Eye", "R_Eye_outer", "L_Ear",
        "R_Ear", "L_Mouth", "R_Mouth", "L_Shoulder", "R_Shoulder", "L_Elbow", "R_Elbow", "L_Wrist",
        "R_Wrist", "L_Pinky", "R_Pinky", "L_Index", "R_Index", "L_Thumb", "R_Thumb", "L_Hip", "R_Hip",
        "L_Knee", "R_Knee", "L_Ankle", "R_Ankle", "L_Heel", "R_Heel", "L_Foot_index", "R_Foot_index",
        "Pelvis", "Neck",
    ),
    skeleton=(
        (0, 1), (1, 2), (2, 3), (3, 7), (0, 4), (4, 5), (5, 6), (6, 8), (0, 9), (0, 10), (9, 10), (11, 12),
        (11, 13), (13, 15), (15, 17), (15, 19), (15, 21), (17, 19), (12, 14), (14, 16), (16, 18), (16, 20),
        (16, 22), (18, 20), (11, 23), (12, 24), (23, 24), (23, 25), (25, 27), (27, 29), (27, 31), (29, 31),
        (24, 26), (26, 28), (28, 30), (28, 32), (30, 32), (33, 23), (33, 24), (33, 34), (34, 11), (34, 12),
        (34, 0),
    ),
    root=33,
    eval_joints=tuple(range(35)),
    derived={"Pelvis": ("L_Hip", "R_Hip"), "Neck": ("L_Shoulder", "R_Shoulder")},
)  # fmt: skip
