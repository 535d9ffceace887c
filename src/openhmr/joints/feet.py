"""COCO's joints with feet: the first 23 of COCO-WholeBody, and the 26 of Halpe."""

from openhmr.joints.coco import COCO, COCO17
from openhmr.joints.joint_set import JointSet

COCO_FEET = JointSet(
    name="coco_feet",
    names=(
        *COCO17, "L_BigToe", "L_SmallToe", "L_Heel", "R_BigToe", "R_SmallToe", "R_Heel", "Pelvis", "Neck",
    ),
    skeleton=(
        *COCO.skeleton[:13], (15, 17), (17, 18), (15, 19), (16, 20), (20, 21), (16, 22), (23, 11), (23, 12),
        (23, 24), (24, 5), (24, 6), (24, 0),
    ),
    root=23,
    eval_joints=tuple(range(25)),
    derived=COCO.derived,
)  # fmt: skip

HALPE26 = JointSet(
    name="halpe26",
    names=(
        *COCO17, "Head_top", "Throat", "Pelvis", "L_BigToe", "R_BigToe", "L_SmallToe", "R_SmallToe", "L_Heel",
        "R_Heel",
    ),
    skeleton=(
        *COCO.skeleton[:13], (17, 18), (18, 0), (18, 5), (18, 6), (18, 19), (19, 11), (19, 12), (15, 20),
        (20, 22), (15, 24), (16, 21), (21, 23), (16, 25),
    ),
    root=19,
    eval_joints=tuple(range(26)),
)  # fmt: skip
"""Halpe calls the last three of the trunk Head, Neck and Hip."""
