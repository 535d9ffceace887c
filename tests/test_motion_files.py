"""BVH, AMASS and OpenSim files, read back."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from openhmr.bodies.body import Body
from openhmr.bodies.shipped import open_body
from openhmr.bodies.skinning import posed_joints, skin
from openhmr.export.amass import Z_UP, write_amass
from openhmr.export.bvh import write_bvh
from openhmr.export.motion import MotionSink
from openhmr.export.opensim import MARKERS, TrcSink, write_mot
from openhmr.export.sink import Sink
from openhmr.joints import HALPE26, SMPL
from openhmr.lab.data.amass import AMASS
from openhmr.lab.synth.bvh_file import placed, read_bvh, world
from openhmr.people import Frame
from tests.clips import moving_people

Y_UP = np.array([1, -1, -1])
ALONE = [[0]] * 12


def write(sink: Sink, frames: list[Frame]) -> None:
    with sink:
        for frame in frames:
            sink.append(frame)


def joints_of(frame: Frame, row: int = 0) -> np.ndarray:
    """Where the rig's joints are, ``(24,3)``, y up."""
    rig = frame.people.rig
    assert rig is not None
    _, joints = skin(frame.people.body, rig.pose[row].astype(float), rig.betas[row], rig.translation[row])
    return joints * Y_UP


def bvh_joints(path: Path) -> tuple[np.ndarray, float, tuple[str, ...]]:
    """Joints ``(T,J,3)`` by our reader of other people's files, the frame time and the names."""
    clip = read_bvh(path)
    turns, _ = world(clip)
    rest = placed(clip.offsets, clip.parents)
    return (
        posed_joints(turns, np.tile(rest, (len(turns), 1, 1)), clip.parents) + clip.root[:, None],
        clip.frame_time,
        clip.names,
    )


def test_bvh_joints_are_exact(tmp_path: Path, tiny_body: Body) -> None:
    frames = moving_people(tiny_body, [[0, 4]] * 12)
    write(MotionSink(tmp_path / "person.bvh", write_bvh), frames)
    assert {p.name for p in tmp_path.iterdir()} == {"person_0.bvh", "person_4.bvh"}
    for row, person in enumerate((0, 4)):
        found, period, names = bvh_joints(tmp_path / f"person_{person}.bvh")
        assert period == pytest.approx(0.04) and set(names) == set(SMPL.names)
        order = [names.index(name) for name in SMPL.names]
        expected = [joints_of(frame, row) for frame in frames]
        assert_allclose(found[:, order], expected, atol=1e-5)


def test_bvh_goes_on_through_gaps_at_one_rate(tmp_path: Path, tiny_body: Body) -> None:
    """Frames at 0, 40, (80), 120 ms ..., one dropped and one late: every 40 ms has a row, near the truth."""
    frames = moving_people(tiny_body, ALONE)
    kept = [frame for frame in frames if frame.index != 5]
    kept[2] = replace(kept[2], groups={"body": kept[2].people[[]]})
    write(MotionSink(tmp_path / "person.bvh", write_bvh), kept)
    found, _, names = bvh_joints(tmp_path / "person_0.bvh")
    assert len(found) == 12
    order = [names.index(name) for name in SMPL.names]
    error = np.abs(found[:, order] - [joints_of(frame) for frame in frames]).max((1, 2))
    given = [k for k in range(12) if k not in (2, 5)]
    assert error[given].max() < 1e-5 and 1e-5 < error.max() < 0.05


def test_bvh_angles_do_not_leap(tmp_path: Path, tiny_body: Body) -> None:
    """Three whole turns about the upright: no frame is more than 60 degrees from the one before."""
    frames = []
    for k, frame in enumerate(moving_people(tiny_body, [[0]] * 24)):
        rig = frame.people.rig
        assert rig is not None
        pose = 0 * rig.pose
        pose[:, 0] = np.pi * np.array([np.cos(k * np.pi / 8), 0, np.sin(k * np.pi / 8)])
        frames.append(replace(frame, groups={"body": replace(frame.people, rig=replace(rig, pose=pose))}))
    write(MotionSink(tmp_path / "person.bvh", write_bvh), frames)
    text = (tmp_path / "person_0.bvh").read_text().partition("Frame Time:")[2]
    rows = np.array([line.split() for line in text.splitlines()[1:]], float)
    assert np.abs(np.diff(rows[:, 3:], axis=0)).max() < 60
    assert abs(rows[-1, 5] - rows[0, 5]) > 900


def test_bvh_end_sites_reach_the_fingertips(tmp_path: Path) -> None:
    frames = moving_people(open_body(), [[0]])
    write(MotionSink(tmp_path / "person.bvh", write_bvh), frames)
    clip = read_bvh(tmp_path / "person_0.bvh")
    tips = {clip.names[joint]: np.linalg.norm(tip) for joint, tip in clip.tips.items()}
    assert set(tips) == {"L_Toe", "R_Toe", "Head", "L_Hand", "R_Hand"}
    assert all(0.03 < length < 0.3 for length in tips.values()), tips


def test_amass_loads_as_amass(tmp_path: Path, tiny_body: Body) -> None:
    """By our loader of AMASS itself, and by skinning in AMASS's axes."""
    frames = moving_people(tiny_body, ALONE)
    folder = tmp_path / "data" / "CMU" / "clip"
    folder.mkdir(parents=True)
    write(MotionSink(folder / "person_poses.npz", write_amass), frames)
    with np.load(folder / "person_0_poses.npz", allow_pickle=False) as file:
        data = dict(file)
    assert data["poses"].shape == (12, 156) and data["betas"].shape == (16,)
    assert data["dmpls"].shape == (12, 8) and str(data["gender"]) == "neutral"
    assert float(data["mocap_framerate"]) == pytest.approx(25)
    samples = AMASS(tmp_path)
    assert len(samples) == 4  # cameras, of the first of sixty frames
    for k, frame in enumerate(frames):
        rig = frame.people.rig
        assert rig is not None
        pose = data["poses"][k, : 24 * 3].reshape(24, 3)
        flat = rig.pose[0].astype(float).copy()
        flat[22:] = 0
        ours, _ = skin(tiny_body, flat, rig.betas[0], rig.translation[0])
        theirs, _ = skin(tiny_body, pose, data["betas"][:10], data["trans"][k])
        # Z up is the third axis, and what is far away lies along the second.
        assert_allclose(theirs, np.stack([ours[:, 0], ours[:, 2], -ours[:, 1]], -1), atol=2e-5)
    assert_allclose(samples[0].betas, frames[0].people.rig.betas[0], atol=1e-6)  # type: ignore[union-attr]
    assert np.linalg.det(Z_UP) == 1


def read_trc(path: Path) -> tuple[dict[str, str], list[str], np.ndarray]:
    lines = path.read_text().split("\n")
    assert lines[0].startswith("PathFileType\t4\t(X/Y/Z)\t") and lines[-1] == ""
    head = dict(zip(lines[1].split("\t"), lines[2].split("\t"), strict=True))
    names = lines[3].split("\t")
    assert names[:2] == ["Frame#", "Time"] and lines[4].split("\t")[:5] == ["", "", "X1", "Y1", "Z1"]
    rows = [[float(n) for n in line.split("\t")] for line in lines[6:-1]]
    assert len({len(row) for row in rows}) == 1 and len(rows[0]) == len(names) == len(lines[4].split("\t"))
    return head, names[2::3], np.array(rows)


def test_trc_markers(tmp_path: Path) -> None:
    frames = moving_people(open_body(), [[0], [], [0, 7], [7]])
    write(TrcSink(tmp_path / "person.trc"), frames)
    head, names, rows = read_trc(tmp_path / "person_0.trc")
    assert (head["DataRate"], head["NumFrames"], head["NumMarkers"], head["Units"]) == ("25", "3", "26", "m")
    assert tuple(names) == MARKERS and {"Neck", "Hip", "Head", "RBigToe", "LHeel"} < set(names)
    assert_array_equal(rows[:, 0], [1, 2, 3])
    assert_allclose(rows[:, 1], [0, 0.04, 0.08])
    expected = frames[2].people.joints(HALPE26)[0] * Y_UP
    assert_allclose(rows[2, 2:].reshape(26, 3), expected, atol=1e-6)
    assert np.isnan(rows[1, 2:]).all()
    _, _, rows = read_trc(tmp_path / "person_7.trc")
    assert_allclose(rows[:, 1], [0.08, 0.12])


def test_mot_coordinates(tmp_path: Path, tiny_body: Body) -> None:
    frames = moving_people(tiny_body, ALONE)
    bent = []
    for frame in frames:
        rig = frame.people.rig
        assert rig is not None
        pose = np.zeros_like(rig.pose)
        pose[:, 0] = (np.pi, 0, 0)
        pose[:, SMPL.names.index("R_Elbow")] = (0, np.pi / 2, 0)
        pose[:, SMPL.names.index("L_Hip")] = (-0.5, 0, 0)
        pose[:, SMPL.names.index("L_Shoulder")] = (0, 0, -np.pi / 2)
        pose[:, SMPL.names.index("Spine")] = (0.25, 0, 0)
        bent.append(replace(frame, groups={"body": replace(frame.people, rig=replace(rig, pose=pose))}))
    write(MotionSink(tmp_path / "person.mot", write_mot), bent)
    text = (tmp_path / "person_0.mot").read_text()
    head, _, table = text.partition("\nendheader\n")
    lines = head.split("\n")
    assert lines[0] == "Coordinates" and "inDegrees=yes" in lines
    names, *rows = [line.split("\t") for line in table.splitlines()]
    values = dict(zip(names, np.array(rows, float).T, strict=True))
    assert f"nRows={len(rows)}" in lines and f"nColumns={len(names)}" in lines
    assert_allclose(values["time"], np.arange(12) / 25, atol=1e-6)
    assert_allclose(values["elbow_flex_r"], 90, atol=1e-4)
    assert_allclose(values["hip_flexion_l"], np.degrees(0.5), atol=1e-4)
    assert_allclose(values["lumbar_extension"], -np.degrees(0.25), atol=1e-4)
    assert_allclose([values["arm_add_r"], values["arm_add_l"]], [[-90] * 12, [0] * 12], atol=1e-4)
    # The person faces the viewer: its front, OpenSim's x, is z of the file.
    assert_allclose([values[f"pelvis_{n}"] for n in ("tilt", "list")], 0, atol=1e-4)
    assert_allclose(values["pelvis_rotation"], -90, atol=1e-4)
    place = [[values[f"pelvis_t{axis}"][k] for axis in "xyz"] for k in range(12)]
    assert_allclose(place, [joints_of(frame)[0] for frame in bent], atol=1e-5)
