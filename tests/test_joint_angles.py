"""Joint angles of poses made by hand, against what they are called; decompositions against their products."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from openhmr.errors import InputError
from openhmr.geometry.cardan import cardan_zxy, euler_yxy, steady_zxy
from openhmr.geometry.joint_angles import ANGLES, joint_angles, pelvis, upper_arms
from openhmr.geometry.quaternions import exp, one_hemisphere
from openhmr.geometry.rotations import axis_angle_to_matrix
from openhmr.joints import SMPL

NAMES = [angle.name for angle in ANGLES]
QUARTER = np.pi / 2
HANGING = {"L_Shoulder": (0, 0, -QUARTER), "R_Shoulder": (0, 0, QUARTER)}

# In the body's axes (x left, y up, z forward): what is turned how, and which angle that is, in degrees.
MADE = {
    "thigh forward": ({"R_Hip": (-QUARTER, 0, 0)}, {"R_Hip_flexion": 90}),
    "thigh back": ({"L_Hip": (0.4, 0, 0)}, {"L_Hip_flexion": -22.9183}),
    "left thigh to the left": ({"L_Hip": (0, 0, 0.5)}, {"L_Hip_adduction": -28.6479}),
    "right thigh to the right": ({"R_Hip": (0, 0, -0.5)}, {"R_Hip_adduction": -28.6479}),
    "left knee turned to the right": ({"L_Hip": (0, -0.3, 0)}, {"L_Hip_internal_rotation": 17.1887}),
    "right knee turned to the left": ({"R_Hip": (0, 0.3, 0)}, {"R_Hip_internal_rotation": 17.1887}),
    "heel to the seat": ({"L_Knee": (QUARTER, 0, 0)}, {"L_Knee_flexion": 90}),
    "squat": (
        {f"{s}_{j}": (x, 0, 0) for s in "LR" for j, x in (("Hip", -1.5), ("Knee", 2.0), ("Ankle", -0.5))},
        {f"{s}_{a}": v for s in "LR" for a, v in (
            ("Hip_flexion", 85.9437), ("Knee_flexion", 114.5916), ("Ankle_dorsiflexion", 28.6479))},
    ),
    "on tiptoe": ({"R_Ankle": (0.5, 0, 0)}, {"R_Ankle_dorsiflexion": -28.6479}),
    "left sole looks right": ({"L_Ankle": (0, 0, -0.2)}, {"L_Ankle_inversion": 11.4592}),
    "right sole looks left": ({"R_Ankle": (0, 0, 0.2)}, {"R_Ankle_inversion": 11.4592}),
    "bow": ({"Spine": (0.5, 0, 0)}, {"Trunk_flexion": 28.6479}),
    "bow of three parts": (
        {"Torso": (0.2, 0, 0), "Spine": (0.2, 0, 0), "Chest": (0.1, 0, 0)}, {"Trunk_flexion": 28.6479},
    ),
    "lean to the right": ({"Torso": (0, 0, 0.3)}, {"Trunk_right_bend": 17.1887}),
    "turn to the left": ({"Chest": (0, 0.3, 0)}, {"Trunk_left_rotation": 17.1887}),
    "nod": ({"Head": (0.3, 0, 0)}, {"Neck_flexion": 17.1887}),
    "look left": ({"Neck": (0, 0.3, 0)}, {"Neck_left_rotation": 17.1887}),
    "ear to the right shoulder": ({"Neck": (0, 0, 0.3)}, {"Neck_right_bend": 17.1887}),
    "left arm to the side": ({"L_Shoulder": (0, 0, 0)}, {"L_Shoulder_elevation": 90}),
    "right arm up beside": ({"R_Shoulder": (0, 0, -0.5)}, {"R_Shoulder_elevation": 118.6479}),
    "left arm forward": (
        {"L_Shoulder": (0, -QUARTER, 0)}, {"L_Shoulder_elevation": 90, "L_Shoulder_plane": 90},
    ),
    "right arm forward": (
        {"R_Shoulder": (0, QUARTER, 0)}, {"R_Shoulder_elevation": 90, "R_Shoulder_plane": 90},
    ),
    "arm to the side, bent forearm down": (
        {"R_Shoulder": (0.4, 0, 0)}, {"R_Shoulder_elevation": 90, "R_Shoulder_internal_rotation": 22.9183},
    ),
    "left elbow bent": ({"L_Elbow": (0, -QUARTER, 0)}, {"L_Elbow_flexion": 90}),
    "right elbow bent": ({"R_Elbow": (0, QUARTER, 0)}, {"R_Elbow_flexion": 90}),
    "left thumb inwards": ({"L_Elbow": (0.5, 0, 0)}, {"L_Elbow_pronation": 28.6479}),
    "right thumb inwards": ({"R_Elbow": (0.5, 0, 0)}, {"R_Elbow_pronation": 28.6479}),
    "left palm to the forearm": ({"L_Wrist": (0, 0, -0.5)}, {"L_Wrist_flexion": 28.6479}),
    "right palm to the forearm": ({"R_Wrist": (0, 0, 0.5)}, {"R_Wrist_flexion": 28.6479}),
    "right hand to the little finger": ({"R_Wrist": (0, -0.3, 0)}, {"R_Wrist_ulnar_deviation": 17.1887}),
    "left hand to the little finger": ({"L_Wrist": (0, 0.3, 0)}, {"L_Wrist_ulnar_deviation": 17.1887}),
    "shrug alone is of the shoulder, too": (
        {"L_Thorax": (0, 0, 0.2), "L_Shoulder": (0, 0, -QUARTER)}, {"L_Shoulder_elevation": 11.4592},
    ),
    "the whole person turned": ({"Pelvis": (0.7, 2, 1)}, {}),
}  # fmt: skip


def pose_of(turns: dict[str, tuple[float, float, float]]) -> np.ndarray:
    pose = np.zeros((24, 3))
    for name, turn in {**HANGING, **turns}.items():
        pose[SMPL.names.index(name)] = turn
    return pose


@pytest.mark.parametrize("case", MADE)
def test_what_is_made_by_hand_has_its_name(case: str) -> None:
    turns, expected = MADE[case]
    found = dict(zip(NAMES, np.degrees(joint_angles(pose_of(turns))), strict=True))
    assert {name: value for name, value in found.items() if abs(value) > 1e-3} == pytest.approx(
        expected, abs=1e-3
    )


def test_mirrored_poses_have_mirrored_angles() -> None:
    """Left and right exchanged, x negated: angles of limbs change sides, and of the trunk their sign."""
    pose = np.random.default_rng(0).normal(0, 0.6, (50, 24, 3))
    other = [
        SMPL.names.index(n.replace("L_", "*").replace("R_", "L_").replace("*", "R_")) for n in SMPL.names
    ]
    mirrored = pose[:, other] * (1, -1, -1)
    here, there = (dict(zip(NAMES, joint_angles(p).T, strict=True)) for p in (pose, mirrored))
    for name in NAMES:
        if name.startswith(("L_", "R_")):
            partner = ("R" if name[0] == "L" else "L") + name[1:]
            assert_allclose(there[partner], here[name], atol=1e-6)
        else:
            assert_allclose(there[name], here[name] * (1 if "flexion" in name else -1), atol=1e-6)


def test_axes_of_trunk_and_upper_arms() -> None:
    arms = upper_arms(pose_of({}))
    assert_allclose(arms, np.tile(np.eye(3), (2, 1, 1)), atol=1e-7)
    # Forward, up and to the right of somebody who faces +z.
    assert_allclose(pelvis(np.eye(3)).T, [[0, 0, 1], [0, 1, 0], [-1, 0, 0]])


def test_other_trees_are_refused() -> None:
    with pytest.raises(InputError, match=r"pose has shape \(16, 3\)"):
        joint_angles(np.zeros((16, 3)))


def about(axis: int, angle: np.ndarray) -> np.ndarray:
    return axis_angle_to_matrix(np.asarray(angle)[..., None] * np.eye(3)[axis])


@pytest.mark.parametrize("special", [False, True])
def test_angles_multiply_to_their_rotation(special: bool) -> None:
    rng = np.random.default_rng(1)
    turns = axis_angle_to_matrix(rng.normal(size=(200, 3)) * 2)
    if special:  # all products of quarter turns: every upright middle angle
        quarters = [about(k, QUARTER * n) for k in range(3) for n in range(4)]
        turns = np.array([a @ b for a in quarters for b in quarters])
    z, x, y = np.moveaxis(cardan_zxy(turns), -1, 0)
    assert_allclose(about(2, z) @ about(0, x) @ about(1, y), turns, atol=1e-7)
    assert (np.abs(x) <= QUARTER + 1e-9).all()
    a, b, c = np.moveaxis(euler_yxy(turns), -1, 0)
    assert_allclose(about(1, a) @ about(0, b) @ about(1, c), turns, atol=1e-7)
    assert (b <= 0).all() and (b >= -np.pi - 1e-9).all()


def test_steady_angles_are_the_same_turns_without_leaps() -> None:
    time = np.linspace(0, 20, 400)
    turns = about(2, 0.5 * time) @ about(0, 3 * np.sin(time)) @ about(1, -time)
    steady = steady_zxy(cardan_zxy(turns))
    z, x, y = steady.T
    assert_allclose(about(2, z) @ about(0, x) @ about(1, y), turns, atol=1e-6)
    assert np.abs(np.diff(steady, axis=0)).max() < 0.3


def test_neighbours_in_time_share_a_hemisphere() -> None:
    rng = np.random.default_rng(2)
    q = exp(rng.normal(size=(300, 5, 3)))
    path = one_hemisphere(q * np.where(rng.uniform(size=(300, 5, 1)) < 0.5, -1, 1))
    assert (np.sum(path[1:] * path[:-1], -1) >= 0).all()
    assert_allclose(np.abs(np.sum(path * q, -1)), 1)


def test_the_page_names_every_angle() -> None:
    page = (Path(__file__).parents[1] / "docs" / "formats.md").read_text(encoding="utf-8")
    for angle in ANGLES:
        name = (
            angle.name.replace("L_", "*_", 1).replace("R_", "*_", 1) if angle.name[1] == "_" else angle.name
        )
        assert f"`{name}`" in page and angle.positive.split(";")[0] in page, angle
