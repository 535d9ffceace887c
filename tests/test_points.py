"""The skeletons that tools write, and the points of the body that they are made of."""

from dataclasses import replace

import numpy as np
import pytest

from openhmr.errors import InputError
from openhmr.joints import COCO, HUMAN36, HUMAN36_TOP, JOINT_SETS, MANO, POINTS, JointSet, point_indices
from openhmr.joints.points import POINT_DESCRIPTIONS

BODIES = [s for s in JOINT_SETS.values() if s is not MANO]


WRITTEN = {
    "body25": 25, "openpose18": 18, "coco_feet": 23, "halpe26": 26, "mediapipe33": 33, "mpii": 16, "aic": 14,
    "crowdpose": 14, "mpi_inf_3dhp": 17, "mpi_inf_3dhp28": 28, "muco": 21,
}  # fmt: skip
"""How many joints the tool or data set of that name writes."""

PLACES = {
    "body25": "0 Nose, 1 Neck, 4 R_Wrist, 8 Pelvis, 15 R_Eye, 18 L_Ear, 19 L_BigToe, 24 R_Heel",
    "openpose18": "1 Neck, 2 R_Shoulder, 8 R_Hip, 13 L_Ankle, 14 R_Eye, 17 L_Ear",
    "coco_feet": "5 L_Shoulder, 17 L_BigToe, 19 L_Heel, 20 R_BigToe, 22 R_Heel",
    "halpe26": "17 Head_top, 18 Throat, 19 Pelvis, 21 R_BigToe, 22 L_SmallToe, 25 R_Heel",
    "mediapipe33": "1 L_Eye_inner, 6 R_Eye_outer, 11 L_Shoulder, 17 L_Pinky, 22 R_Thumb, 32 R_Foot_index",
    "mpii": "0 R_Ankle, 3 L_Hip, 6 Pelvis_mpii, 9 Head_top, 10 R_Wrist, 15 L_Wrist",
    "aic": "0 R_Shoulder, 5 L_Wrist, 6 R_Hip, 11 L_Ankle, 12 Head_top, 13 Throat",
    "crowdpose": "0 L_Shoulder, 1 R_Shoulder, 11 R_Ankle, 12 Head_top, 13 Throat",
    "mpi_inf_3dhp": "0 Head_top, 2 R_Shoulder_3dhp, 8 R_Hip_3dhp, 14 Pelvis_3dhp, 16 Head_3dhp",
    "mpi_inf_3dhp28": "0 Spine3, 4 Pelvis_3dhp, 7 Head_top, 9 L_Shoulder_3dhp, 18 L_Hip_3dhp, 25 R_Ankle",
}
"""Some places of the published orders."""


@pytest.mark.parametrize(("name", "written"), WRITTEN.items())
def test_as_many_joints_as_the_tool_writes(name: str, written: int) -> None:
    assert len(JOINT_SETS[name].base) == written


@pytest.mark.parametrize(("name", "places"), PLACES.items())
def test_published_orders(name: str, places: str) -> None:
    for index, joint in (place.split() for place in places.split(", ")):
        assert JOINT_SETS[name].names[int(index)] == joint


@pytest.mark.parametrize("joint_set", BODIES, ids=lambda s: s.name)
def test_every_joint_is_a_point_of_its_own(joint_set: JointSet) -> None:
    indices = point_indices(joint_set)
    assert indices.shape == (joint_set.size,) and len(set(indices)) == joint_set.size
    # Left stays left, and a mirrored skeleton is made of the mirrored points.
    assert np.array_equal(indices[joint_set.flip_permutation], POINTS.flip_permutation[indices])
    # A derived joint is the same mean wherever it is derived, or a point of its own in the union.
    for name, sources in joint_set.derived.items():
        assert POINTS.derived[name] == sources


def test_the_union_has_no_point_that_no_skeleton_needs() -> None:
    used = {i for s in BODIES if s is not POINTS for i in point_indices(s)}
    assert used == set(range(POINTS.size)) and np.array_equal(point_indices(POINTS), range(POINTS.size))
    assert set(POINT_DESCRIPTIONS) == set(POINTS.names) and all(POINT_DESCRIPTIONS.values())


def test_agreeing_definitions_are_one_point_and_others_are_not() -> None:
    def point(joint_set: str, joint: str) -> str:
        found = JOINT_SETS[joint_set]
        return POINTS.names[point_indices(found)[found.names.index(joint)]]

    assert {point(s, "L_Elbow") for s in ("coco", "body25", "mpii", "muco", "mediapipe33", "human36")} == {
        "L_Elbow"
    }
    hips = [point(s, "L_Hip") for s in ("coco", "human36", "smpl", "muco")]
    assert hips == ["L_Hip", "L_Hip_h36m", "L_Hip_smpl", "L_Hip_3dhp"]
    assert point("muco", "Thorax") == point("halpe26", "Throat") == point("aic", "Throat") == "Throat"
    assert point("human36", "Nose") == "Neck_nose_h36m" and point("smpl29", "Nose") == "Nose"
    assert np.array_equal(point_indices(HUMAN36), point_indices(HUMAN36_TOP))


def test_sets_of_the_users_own() -> None:
    own = JointSet("own", ("L_Hip", "Tail"), ((0, 1),), 0, (0, 1))
    with pytest.raises(InputError, match=r"'own' has joints that are no known points .*: Tail; give"):
        point_indices(own)
    named = replace(own, points={"Tail": "Pelvis"})
    assert [POINTS.names[i] for i in point_indices(named)] == ["L_Hip", "Pelvis"]
    assert np.array_equal(point_indices(replace(COCO, name="mine")), point_indices(COCO))
    with pytest.raises(InputError, match=r"'mano' has joints .*Index_1, Index_2, .* \.\.\.;"):
        point_indices(MANO)
