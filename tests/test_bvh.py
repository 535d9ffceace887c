"""BVH files as programs write them: whatever their names, axes and rest pose, the same body moves alike."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openhmr.bodies import Body, open_body
from openhmr.errors import InputError
from openhmr.joints import SMPL
from openhmr.lab.anny.tpose import shortest_arc
from openhmr.lab.synth.bvh import read_folder
from openhmr.lab.synth.bvh_joints import PACK_JOINTS, match
from openhmr.lab.synth.bvh_rest import AXES
from openhmr.lab.synth.motion import load_motion
from openhmr.lab.synth.poses import log_map
from tests.bvh_writer import Take, skeleton, turn


@pytest.fixture(scope="module")
def body() -> Body:
    return open_body()


def rotations(folder: Path, take: Take, body: Body, name: str = "s_1.bvh", bom: bool = False) -> np.ndarray:
    for old in folder.iterdir():
        old.unlink()
    (folder / name).write_text(take.text(), encoding="utf-8-sig" if bom else "utf-8")
    return load_motion(folder, body).rotations


ANATOMIC = {
    side + old: f"{side}_{new}"
    for side in ("Left", "Right")
    for old, new in (
        ("Shoulder", "collar"),
        ("Arm", "shoulder"),
        ("ForeArm", "elbow"),
        ("Hand", "wrist"),
        ("UpLeg", "hip"),
        ("Leg", "knee"),
        ("Foot", "ankle"),
        ("ToeBase", "foot"),
    )
} | {"Hips": "Pelvis", "Spine": "Spine1", "Spine1": "Spine2", "Spine2": "Spine3"}
SMPL_NAMES = {old: new.replace("Left", "L").replace("Right", "R") for old, new in ANATOMIC.items()} | {
    "Spine": "Torso",
    "Spine1": "Spine",
    "Spine2": "Chest",
}
DAZ = {
    side + old: side[0].lower() + new
    for side in ("Left", "Right")
    for old, new in (
        ("Shoulder", "Collar"),
        ("Arm", "Shldr"),
        ("ForeArm", "ForeArm"),
        ("Hand", "Hand"),
        ("UpLeg", "Thigh"),
        ("Leg", "Shin"),
        ("Foot", "Foot"),
        ("ToeBase", "Toe"),
    )
} | {"Hips": "hip", "Spine": "abdomen", "Spine1": "chest", "Spine2": "chest2", "Neck": "neck", "Head": "head"}
NAMES: tuple[dict[str, str] | str, ...] = (
    *("", "mixamorig:", "mixamorig_", "Character1_", "mixamorig12:", "Armature|", "Bip01_"),
    *(ANATOMIC, SMPL_NAMES, DAZ),
)
property_test = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@property_test
@given(
    seed=st.integers(0, 10**6),
    axes=st.integers(0, 23),
    names=st.sampled_from(NAMES),
    order=st.sampled_from(["ZXY", "XYZ", "ZYX", "YXZ", "XZY", "YZX"]),
    suffix=st.sampled_from([".bvh", ".BVH", ".Bvh"]),
    bom=st.booleans(),
    bones=st.sampled_from(["T-pose", "zero pose"]),
)
def test_every_way_to_write_a_motion_is_the_same_motion(
    tmp_path: Path,
    body: Body,
    seed: int,
    axes: int,
    names: "dict[str, str] | str",
    order: str,
    suffix: str,
    bom: bool,
    bones: str,
) -> None:
    take = Take.random(seed).with_t_pose()
    expected = rotations(tmp_path, take, body)
    assert np.isfinite(expected).all()
    other = replace(take.in_axes(AXES[axes]).named(names), order=order)
    if bones == "zero pose":  # every bone rests along one axis: the pose is in the rotations alone
        rest = np.broadcast_to(np.eye(3), take.turns.shape[1:]).copy()
        for j, joint in enumerate(other.joints):
            below = [k.offset for k in other.joints if k.parent == j]
            rest[j] = shortest_arc(np.array([1.0, 0, 0]), below[0] if below else joint.tip)
        other = other.at_rest(rest)
    found = rotations(tmp_path, other, body, "s_1" + suffix, bom)
    assert np.abs(found - expected).max() < 1e-5


@property_test
@given(seed=st.integers(0, 10**6), degrees=st.floats(-85, 60), axes=st.integers(0, 23))
def test_arms_may_rest_anywhere_beside_the_body(
    tmp_path: Path, body: Body, seed: int, degrees: float, axes: int
) -> None:
    """A-pose, arms down, arms up: bones point the same way (a bone's roll is only known up to its rest)."""
    take = Take.random(seed)
    expected = rotations(tmp_path, take, body)
    rest = np.broadcast_to(np.eye(3), take.turns.shape[1:]).copy()
    for j, joint in enumerate(take.joints):
        if "Arm" in joint.name or "Hand" in joint.name:
            sign = 1 if joint.name.startswith("Left") else -1
            rest[j] = turn(np.array([0, 0, -sign * np.radians(degrees)]))
    found = rotations(tmp_path, take.at_rest(rest).in_axes(AXES[axes]), body)
    joints = body.J_regressor @ body.v_template
    for first, second in ((16, 18), (18, 20), (17, 19), (19, 21), (1, 4), (4, 7)):
        bone = joints[second] - joints[first]
        ours, theirs = (world_of(r)[:, first] @ bone for r in (found, expected))
        assert np.abs(ours - theirs).max() < 1e-3
    legs = [1, 2, 4, 5, 7, 8, 0, 3, 6, 9]
    assert np.abs(found[:, legs] - expected[:, legs]).max() < 1e-5


def world_of(local: np.ndarray) -> np.ndarray:
    from openhmr.joints.smpl import SMPL_PARENTS

    out = local.astype(np.float64)
    for j, p in enumerate(SMPL_PARENTS):
        if p >= 0:
            out[:, j] = out[:, p] @ local[:, j]
    return out


@pytest.mark.parametrize("axis", [(1.0, 0, 0), (0, 0, 1.0), (1.0, 1.0, 1.0)])
def test_a_root_that_turns_the_skeleton_to_another_up_axis(
    tmp_path: Path, body: Body, axis: tuple[float, float, float]
) -> None:
    """Rest along Y, standing along another axis: the hips are a leg above the ground there, not along Y."""
    take = Take.random(4)
    expected = rotations(tmp_path, take, body)
    angle = {(1.0, 0, 0): np.pi / 2, (0, 0, 1.0): -np.pi / 2}.get(axis)
    about = turn(np.array(axis) * angle) if angle else turn(np.array([np.pi / 2, 0, 0]))
    moved = replace(take, turns=about @ take.turns, root=take.root @ about.T)
    assert np.abs(rotations(tmp_path, moved, body) - expected).max() < 1e-5
    # People who lie near the ground stay lying.
    lying = replace(moved, root=np.tile([3.0, 15, 5], (3, 1)))
    found = rotations(tmp_path, lying, body)
    assert np.abs(found[:, 0] - about @ expected[:, 0]).max() < 1e-5


def test_recorded_bends(tmp_path: Path, body: Body) -> None:
    """The left elbow bends about -Y and the right knee about X, by 60 degrees in frame 2."""
    take = replace(Take.random(0), turns=np.broadcast_to(np.eye(3), (2, 22, 3, 3)).copy())
    take.root = take.root[:2]
    names = [j.name for j in take.joints]
    for name, axis in (("LeftForeArm", (0, -1, 0)), ("RightLeg", (1, 0, 0))):
        below = [names.index(name), names.index(name) + 1]
        below += [below[-1] + 1] if "Leg" in name else []
        take.turns[1, below] = turn(np.array(axis) * np.radians(60))
    found = rotations(tmp_path, take, body)
    # Rest equals rest (feet, which the file's rest points elsewhere, are transferred relative to rest).
    assert np.abs(found[0] - np.eye(3)).max() < 2e-2
    bent = log_map(torch.as_tensor(found[1])).numpy()
    expected = np.zeros((24, 3))
    expected[SMPL.names.index("L_Elbow"), 1] = -np.radians(60)
    expected[SMPL.names.index("R_Knee"), 0] = np.radians(60)
    assert np.abs(bent - expected).max() < 2e-2


def test_names_of_joints_and_names_of_bones() -> None:
    """ "Shoulder" is the collar beside an upper arm, else the upper arm; "foot" is the toe below an ankle."""
    joints = skeleton()
    parents = [j.parent for j in joints]
    expected = {
        "hip": 0, "abdomen": 1, "chest": 2, "chest2": 3, "neck": 4, "head": 5, "lCollar": 6, "lShldr": 7,
        "lForeArm": 8, "lHand": 9, "lThigh": 10, "lShin": 11, "lFoot": 12, "lToe": 13, "rCollar": 14,
        "rShldr": 15, "rForeArm": 16, "rHand": 17, "rThigh": 18, "rShin": 19, "rFoot": 20, "rToe": 21,
    }  # fmt: skip
    for names in NAMES:
        take = Take.random(0).named(names)
        assert match([j.name for j in take.joints], parents) == expected, names
    cmu = ["Hips", "LowerBack", "Spine", "Spine1", "Neck", "Head", *[j.name for j in joints[6:]]]
    assert match(cmu, parents) == expected
    # Without collars, "shoulder" and "elbow" are the arm.
    bare = ["Hips", "Spine", "Head"] + [
        s + n for s in ("Left", "Right") for n in ("Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle")
    ]
    above = [-1, 0, 1, 1, 3, 4, 0, 6, 7, 1, 9, 10, 0, 12, 13]
    found = match(bare, above)
    assert [found[k] for k in ("lShldr", "lForeArm", "lHand", "rThigh", "rShin", "rFoot")] == [
        *(3, 4, 5, 12, 13, 14)
    ]
    assert "lCollar" not in found and "lToe" not in found and set(found) <= set(PACK_JOINTS)


def swapped(take: Take) -> Take:
    other = {"Left": "Right", "Right": "Left"}
    return take.named(
        {
            j.name: other[s] + j.name.removeprefix(s)
            for j in take.joints
            for s in other
            if j.name.startswith(s)
        }
    )


def zero_pose(take: Take) -> Take:
    joints = [replace(j, offset=np.array([0, np.linalg.norm(j.offset), 0])) for j in take.joints]
    return replace(take, joints=joints)


def moved(take: Take, name: str, offset: tuple[float, float, float]) -> Take:
    joints = [replace(j, offset=np.array(offset, float)) if j.name == name else j for j in take.joints]
    return replace(take, joints=joints)


FAULTS = {
    "no joints": (lambda t: t.named({"LeftLeg": "x"}), "no joints for lShin .*rename them as in CMU files"),
    "order": (
        lambda t: t.named({"LeftFoot": "LeftLeg", "LeftLeg": "LeftFoot"}),
        "does not hang below 'LeftLeg'",
    ),
    "mirrored": (swapped, "neither its rest pose is a standing one .*toes point backwards: left and right"),
    "zero pose": (zero_pose, "neither its rest pose is a standing one .* nor its first frame a T-pose"),
    "no bone": (lambda t: moved(t, "LeftLeg", (0, 0, 0)), "lThigh and lShin lie in one place"),
    "legs up": (lambda t: moved(t, "LeftLeg", (0, 42, 0)), "from lThigh to lShin does not point down"),
    "arms crossed": (
        lambda t: moved(t, "RightForeArm", (28, 0, 0)),
        "rShldr to rForeArm does not point away",
    ),
    "no time": (lambda t: replace(t, frame_time="0"), "has a Frame Time of 0; write the seconds"),
    "negative time": (lambda t: replace(t, frame_time="-1"), "no.* readable BVH file .*-1 s"),
    "no number": (lambda t: replace(t, frame_time="nan"), "not a readable BVH file"),
    "no frames": (lambda t: replace(t, turns=t.turns[:0], root=t.root[:0]), "it has 0 frames"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_not_understood_is_refused_with_its_cause(tmp_path: Path, fault: str) -> None:
    change, cause = FAULTS[fault]
    (tmp_path / "a.bvh").write_text(change(Take.random(3)).text())
    with pytest.raises(InputError, match=cause) as info:
        read_folder(tmp_path)
    assert str(tmp_path / "a.bvh") in str(info.value)


def test_one_frame_needs_no_time(tmp_path: Path, body: Body) -> None:
    take = replace(Take.random(3, frames=1), frame_time="0")
    assert rotations(tmp_path, take, body).shape == (1, 24, 3, 3)


def test_frames_are_thinned_to_thirty_a_second(tmp_path: Path, body: Body) -> None:
    take = replace(Take.random(3, frames=9), frame_time="0.0083333")
    assert len(rotations(tmp_path, take, body)) == 3


def test_opposite_directions_have_a_shortest_arc() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=(50, 3))
    for b in (-a, -a + rng.normal(size=a.shape) * 1e-9, a):
        arc = shortest_arc(a, b)
        np.testing.assert_allclose(np.linalg.det(arc), 1, atol=1e-6)
        turned = (arc @ a[..., None])[..., 0]
        np.testing.assert_allclose(
            turned / np.linalg.norm(turned, axis=-1, keepdims=True),
            b / np.linalg.norm(b, axis=-1, keepdims=True),
            atol=1e-6,
        )


ONE_JOINT = (
    "HIERARCHY\nROOT a { OFFSET 0 0 0 CHANNELS 3 Xrotation Yrotation Zrotation }\nMOTION\nFrames: "
    "3\nFrame Time: 1\n1 2"
)


@pytest.mark.parametrize("text", ["", "HIERARCHY", "hello", ONE_JOINT])
def test_broken_bvh_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.bvh").write_text(text)
    with pytest.raises(InputError, match="not a readable BVH file"):
        read_folder(tmp_path)
