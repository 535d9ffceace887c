"""The 21 hand joints of FreiHAND, and the 16 joints that MANO itself has."""

from openhmr.joints.joint_set import JointSet

FINGERS = ("Thumb", "Index", "Middle", "Ring", "Pinky")

MANO = JointSet(
    name="mano",
    names=("Wrist", *(f"{finger}_{i}" for finger in FINGERS for i in (1, 2, 3, 4))),
    skeleton=(
        (0, 1), (0, 5), (0, 9), (0, 13), (0, 17), (1, 2), (2, 3), (3, 4), (5, 6), (6, 7), (7, 8), (9, 10),
        (10, 11), (11, 12), (13, 14), (14, 15), (15, 16), (17, 18), (18, 19), (19, 20),
    ),
    root=0,
    eval_joints=tuple(range(21)),
    # A hand has no left and right: neighbouring fingers are joined where the body sets join left-right pairs.
    extra_edges=tuple((finger * 4 + i, finger * 4 + 4 + i) for i in (1, 2, 3, 4) for finger in range(4)),
)  # fmt: skip

REACH = (0.0, 1.0, 1.5, 2.0, 2.25, *(2.0, 2.5, 2.75, 3.0) * 4)
"""How far along the hand each of the 21 joints lies, about: from the wrist to the fingertips."""

MANO_PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)
"""Parents of MANO's own 16 joints: wrist, then three each of index, middle, pinky, ring, thumb."""

MANO_TREE = ("Wrist", *(f"{f}_{i}" for f in ("Index", "Middle", "Pinky", "Ring", "Thumb") for i in (1, 2, 3)))
"""Names of these joints, as of :data:`MANO`'s."""
