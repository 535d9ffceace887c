"""Proportions of real skeletons as publications and public code give them."""

from dataclasses import dataclass

from openhmr.joints import get_joint_set

BONE, WIDTH = 0.05, 0.08
"""How far a length may lie from the published ones: bones, and the widths of hips and shoulders."""


@dataclass(frozen=True)
class Length:
    """The way through ``joints`` (summed from each to the next), in mm by each of the set's sources."""

    joints: tuple[str, ...]
    mm: tuple[float, ...]
    tolerance: float = BONE


@dataclass(frozen=True)
class Proportions:
    """Published lengths of one joint set, to be divided by ``unit``, the leg wherever it is published.

    Where sources differ, whatever lies between them is right.
    """

    joint_set: str
    sources: tuple[str, ...]
    unit: Length
    lengths: tuple[Length, ...]


LEG = ("L_Hip", "L_Knee", "L_Ankle")

HUMAN36 = Proportions(
    "human36",
    ("Human3.6M, subject 1, as public code for the data set gives its bones; other subjects within 5 %",),
    Length(LEG, (897,)),
    (
        Length(("Pelvis", "L_Hip"), (133,), WIDTH),
        Length(("L_Hip", "L_Knee"), (443,)),
        Length(("L_Knee", "L_Ankle"), (454,)),
        Length(("Pelvis", "Torso"), (233,)),
        Length(("Torso", "Neck"), (257,)),
        Length(("Neck", "Nose"), (121,)),
        Length(("Nose", "Head"), (115,)),
        Length(("Neck", "L_Shoulder"), (151,), WIDTH),
        Length(("L_Shoulder", "L_Elbow"), (279,)),
        Length(("L_Elbow", "L_Wrist"), (252,)),
    ),
)

COCO = Proportions(
    "coco",
    ("one person in calibrated cameras, OpenPose triangulated", "the same, MediaPipe triangulated"),
    Length(LEG, (795, 765)),
    (
        Length(("L_Hip", "R_Hip"), (225, 192), WIDTH),
        Length(("L_Shoulder", "R_Shoulder"), (336, 351), WIDTH),
        Length(("L_Hip", "L_Knee"), (405, 397)),
        Length(("L_Knee", "L_Ankle"), (390, 368)),
        Length(("L_Shoulder", "L_Elbow"), (280, 277)),
        Length(("L_Elbow", "L_Wrist"), (259, 262)),
        Length(("Pelvis", "Neck"), (501, 516)),
    ),
)

SMPL_OFFSETS = {
    "L_Hip": ("Pelvis", (69, -91, -7)),
    "L_Knee": ("L_Hip", (34, -375, -5)),
    "L_Ankle": ("L_Knee", (-14, -398, -44)),
    "L_Toe": ("L_Ankle", (26, -56, 119)),
    "Torso": ("Pelvis", (-2, 109, -27)),
    "Spine": ("Torso", (5, 135, 1)),
    "Chest": ("Spine", (1, 53, 25)),
    "Neck": ("Chest", (-3, 214, -43)),
    "L_Thorax": ("Chest", (79, 122, -34)),
    "Head": ("Neck", (10, 88, 50)),
    "L_Shoulder": ("L_Thorax", (91, 30, -9)),
    "L_Elbow": ("L_Shoulder", (260, -13, -28)),
    "L_Wrist": ("L_Elbow", (249, 9, -1)),
    "L_Hand": ("L_Wrist", (84, -8, -15)),
}
"""SMPL's joints from their parents in the mean neutral body, mm: left, up, front."""


SMPL_WIDTHS = ("L_Hip", "L_Thorax", "L_Shoulder")
"""Ends of the bones that make the hips and shoulders wide."""


def _norm(offset: tuple[int, int, int]) -> float:
    return sum(x * x for x in offset) ** 0.5


SMPL = Proportions(
    "smpl",
    ("the mean neutral body of SMPL, as widely published",),
    Length(LEG, (_norm(SMPL_OFFSETS["L_Knee"][1]) + _norm(SMPL_OFFSETS["L_Ankle"][1]),)),
    (
        *(
            Length((parent, name), (_norm(mm),), WIDTH if name in SMPL_WIDTHS else BONE)
            for name, (parent, mm) in SMPL_OFFSETS.items()
        ),
        Length(("L_Hip", "R_Hip"), (138,), WIDTH),
        Length(("L_Shoulder", "R_Shoulder"), (340,), WIDTH),
    ),
)

# Only the shin of the leg is known.
MPI_INF_3DHP = Proportions(
    "mpi_inf_3dhp",
    ("MPI-INF-3DHP, as its users report it",),
    Length(("L_Knee", "L_Ankle"), (383,)),
    (
        Length(("L_Hip_3dhp", "R_Hip_3dhp"), (267,), WIDTH),
        Length(("L_Shoulder_3dhp", "R_Shoulder_3dhp"), (298,), WIDTH),
    ),
)


def _of_coco(name: str) -> Proportions:
    """COCO's, as far as the set has those joints."""
    names = get_joint_set(name).names
    return Proportions(
        name, COCO.sources, COCO.unit, tuple(x for x in COCO.lengths if {*x.joints} <= {*names})
    )


ALL = (
    HUMAN36,
    COCO,
    SMPL,
    MPI_INF_3DHP,
    *map(
        _of_coco,
        ("body25", "openpose18", "coco_feet", "halpe26", "mediapipe33", "mpii", "aic", "crowdpose"),
    ),
)

OVER_STATURE = (
    ("body25", Length(("L_Heel", "L_BigToe"), (246, 271)), (1628, 1756)),
    ("coco", Length(("L_Eye", "R_Eye"), (62, 64), WIDTH), (1628, 1756)),
)
"""Lengths to be divided by stature: length of the foot and distance of the pupils, means of women and of men
of ANSUR II (Gordon et al. 2014)."""
