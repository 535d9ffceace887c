"""Errors of people in motion: recorded clips before a camera, a detector's noise, the command's table."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from openhmr.bodies.shipped import open_body
from openhmr.bodies.skinning import skin
from openhmr.errors import InputError
from openhmr.geometry import quaternions
from openhmr.joints import COCO
from openhmr.joints.coco import COCO17

pytest.importorskip("torch")
from openhmr.cli import main
from openhmr.lab.evaluation import motion_errors as bench
from openhmr.lab.synth.recorded import MARGIN_PX, SIZE, DetectorNoise, recorded_clips
from openhmr.people import Frame, People, Rig
from tests.test_synth import random_pack

BODY = open_body()
FRAMES = 110
STILL = DetectorNoise(jitter=0, drift=0, missed=0, turned=0)


@pytest.fixture(scope="module")
def motion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack of one clip of subject 05 who swings arms and sways; its frame 50 is bad."""
    pack, t = random_pack(FRAMES), np.arange(FRAMES) / 30
    angles = np.zeros((FRAMES, 25, 3))
    names = [str(n) for n in pack["joint_names"]]
    for name, axis in (("lForeArm", 1), ("rShldr", 2), ("chest", 0)):
        angles[:, names.index(name), axis] = 0.4 * np.sin(4 * t)
    pack |= {
        "quat_wxyz": quaternions.exp(angles).astype(np.float16),
        "root_pos": np.stack([0.1 * np.sin(2 * t), np.full(FRAMES, 0.95), 0 * t], -1).astype(np.float32),
        "clip_names": np.array(["05_01"]),
    }
    pack["frame_ok"][50] = False
    path = tmp_path_factory.mktemp("motion") / "pack.npz"
    np.savez(path, **pack)
    return path


def test_recorded_clips_stand_before_their_camera(motion: Path) -> None:
    one, two = recorded_clips(motion, BODY, ("05",), seed=0)
    assert (one.name, len(one)) == ("05_01a", 50) and (two.name, len(two)) == ("05_01b", 59)
    for clip in (one, two):
        vertices, _ = skin(
            BODY, clip.rig.pose[[0, -1]], clip.rig.betas[[0, -1]], clip.rig.translation[[0, -1]]
        )
        seen = clip.camera.project(BODY.joint_regressor(COCO) @ vertices)
        assert_allclose(seen, clip.joints_px[[0, -1]], atol=0.02)
        assert (clip.joints_px > MARGIN_PX).all() and (clip.joints_px < np.array(SIZE[::-1])).all()
        # Feet are lowest, and the head is highest, along the camera's direction of gravity.
        assert clip.camera.down is not None
        low = vertices[0] @ clip.camera.down
        assert np.ptp(low) > 1.4 and vertices[0, low.argmax()] @ clip.camera.down > one.rig.translation[0, 1]
    with pytest.raises(InputError, match="no clip of 45 frames of subjects 49"):
        list(recorded_clips(motion, BODY, ("49",), seed=0))


def test_a_detectors_noise_has_the_size_and_the_memory_it_is_given() -> None:
    rng = np.random.default_rng(0)
    true = np.tile(rng.uniform(300, 900, (1, COCO.size, 2)), (4000, 1, 1))
    clean = STILL(true, rng)
    assert clean.shape == (4000, COCO.size, 3)
    assert_allclose(clean[:, : len(COCO17), :2], true[:, : len(COCO17)], atol=1e-3)
    assert_allclose(clean[0], COCO.complete(clean[0, : len(COCO17)], "present"), atol=1e-3)
    side = np.sqrt(np.ptp(true[0, : len(COCO17)], axis=0).prod())
    only = DetectorNoise(jitter=0, drift=0.01, memory=6, missed=0, turned=0)
    off = (only(true, rng)[..., :2] - true)[:, : len(COCO17)] / side
    assert_allclose(off.std((0, 2)).mean(), 0.01, rtol=0.05)
    again = (off[6:] * off[:-6]).mean() / (off**2).mean()
    assert_allclose(again, np.exp(-1), atol=0.05)
    turned = DetectorNoise(jitter=0, drift=0, missed=0, turned=1)(true[:3], rng)
    assert_allclose(turned[..., :2], clean[:3, COCO.flip_permutation, :2], atol=1e-3)
    missed = DetectorNoise(jitter=0, drift=0, missed=0.1, turned=0)(true, rng)
    wrong = np.linalg.norm(missed[..., :2] - clean[..., :2], axis=-1)[:, 0] > 1  # the nose has no partner
    assert 0.08 < wrong.mean() < 0.12 and missed[wrong, 0, 2].mean() < missed[~wrong, 0, 2].mean() - 0.3


def test_errors_of_the_truth_and_of_a_step(motion: Path) -> None:
    clip = next(recorded_clips(motion, BODY, ("05",), seed=0))
    truth = bench.truth_of(clip)
    assert truth.standing.mean() > 0.5
    late = Rig(
        *(np.concatenate([a[:1], a[:-1]]) for a in (clip.rig.pose, clip.rig.betas, clip.rig.translation))
    )
    moved = Rig(
        clip.rig.pose, clip.rig.betas, clip.rig.translation + np.arange(len(clip))[:, None] * [0.01, 0, 0]
    )
    compared = bench.Compared(BODY, {"raw": clip.rig, "late": late, "moved": moved}, clip.camera.down)
    found = bench.errors(compared, truth)
    for column in bench.COLUMNS[:-1]:
        assert found["raw"][column].max() < 1e-6 and found["late"][column].mean() > 0.1
    assert found["moved"]["MPJPE"].max() < 1e-6 and found["moved"]["in space"].max() < 1
    slide = found["moved"]["slide"].mean()
    assert abs(slide - 10) < 3 and found["raw"]["slide"].mean() < 6
    assert bench.gravity_error_deg(compared, clip.camera) < 1e-3


def test_the_command_writes_a_table_and_a_plot(
    motion: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["lab", "motion-error", "--out", str(tmp_path)]
    assert main([*words, "--motion", str(motion), "--frames", "50", "--plot", str(tmp_path / "x.png")]) == 0
    shown = capsys.readouterr().out
    assert "1 recorded clips; gravity found in" in shown and "zero-phase" in shown
    assert (tmp_path / "x.png").read_bytes()[:4] == b"\x89PNG"
    rows = {row["method"]: row for row in json.loads((tmp_path / "motion.json").read_text())}
    raw, smooth = rows["raw"], rows["zero-phase"]
    assert smooth["acceleration"] < raw["acceleration"] / 3 and smooth["slide"] < raw["slide"] / 4
    assert smooth["MPJPE"] < raw["MPJPE"] + 1
    assert main(words) == 2
    assert "nothing to measure" in capsys.readouterr().err
    assert main([*words, "--pack", str(motion)]) == 2
    assert "give --pack and --videos together" in capsys.readouterr().err


def test_frames_are_lifted_one_by_one(motion: Path) -> None:
    import openhmr

    clip = next(recorded_clips(motion, BODY, ("05",), seed=0))
    frames = list(bench.lifted_frames(clip, openhmr.load("pose2mesh-coco"), STILL, 0))
    assert [f.index for f in frames] == list(range(50)) and frames[30].time_s == 1.0
    people: People = frames[7].people
    frame: Frame = frames[7]
    assert people.rig is not None and people.camera.down is None and frame.people.track_ids == np.array([0])
    off = np.linalg.norm(people.camera.project(people.joints(COCO))[0] - clip.joints_px[7], axis=-1)
    assert np.median(off) < 20
