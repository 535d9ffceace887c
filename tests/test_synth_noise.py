"""Noise of detectors on the points of the body, and what they miss."""

from pathlib import Path

import numpy as np
import pytest
import torch

from openhmr.joints import COCO, HUMAN36, JOINT_SETS, MANO, POINTS, JointSet, point_indices
from openhmr.joints.coco import COCO17
from openhmr.lab.data.noise import ERROR_FRAME_PX, HUMAN36_ERRORS
from openhmr.lab.synth.noise2d import (
    FEWEST,
    NOISY,
    TRAINING,
    Detection,
    NoiseLevel,
    hidden_together,
    like_coco,
)
from openhmr.lab.synth.pairs import derive

CPU = torch.device("cpu")
BODIES = [s for s in JOINT_SETS.values() if s is not MANO]
SEVENTEEN = point_indices(COCO)[: len(COCO17)]
DERIVED = np.isin(POINTS.names, list(POINTS.derived))


@pytest.fixture(scope="module")
def detection() -> Detection:
    return Detection(CPU)


def random_poses(n: int, joint_set: JointSet, seed: int = 0) -> torch.Tensor:
    """``(n,P,3)``: x and y within 0 to 1, confidence 1, for the points of a skeleton."""
    pose = torch.rand(n, POINTS.size, 3, generator=torch.Generator().manual_seed(seed))
    pose[..., 2] = torch.zeros(POINTS.size).index_fill(0, torch.as_tensor(point_indices(joint_set)), 1)
    return derive(pose * pose[..., 2:])


def test_noise_has_the_official_statistics(data: Path, detection: Detection) -> None:
    """Against the statistics recorded from the official synthesis (1,500 draws): means within 12 % (two of
    its standard errors, and the points it rejects), standard deviations within 20 %."""
    with np.load(next(data.rglob("noise.npz"))) as recorded:
        clean, mean, std = recorded["synth_in"], recorded["synth_dist_mean"], recorded["synth_dist_std"]
    # The recording used the area of the whole 288 x 384 crop, not of the pose's own box, by whose side radii
    # grow.
    strength = float(np.sqrt(288 * 384 / np.ptp(clean[:, :2], axis=0).prod()))
    pose = torch.zeros(20000, POINTS.size, 3)
    pose[:, SEVENTEEN] = torch.as_tensor(clean, dtype=torch.float32)
    level = NoiseLevel(share=1.0, strength=(strength, strength))
    noisy = detection.noise(pose, level, torch.Generator().manual_seed(0))
    distance = (noisy - pose)[:, SEVENTEEN, :2].norm(dim=-1)
    assert np.abs(distance.mean(0).numpy() / mean - 1).max() < 0.12
    assert np.abs(distance.std(0).numpy() / std - 1).max() < 0.20
    # Points that nobody observes stay absent, and without soft confidences the others are certain.
    assert torch.equal(noisy[..., 2], pose[..., 2])
    assert (np.delete(noisy.numpy(), SEVENTEEN, 1) == 0).all()


def test_noise_of_human36_is_that_of_its_detections(detection: Detection) -> None:
    """Means and deviations are those of the measured errors; 20,000 draws, five standard errors."""
    n, index = 20000, point_indices(HUMAN36)
    clean = random_poses(1, HUMAN36)
    noisy = detection.noise(
        clean.repeat(n, 1, 1), NoiseLevel(share=1), torch.Generator().manual_seed(0), human36=True
    )
    low, high = clean[0, index, :2].amin(0), clean[0, index, :2].amax(0)
    width, height = (high - low).tolist()
    crop = torch.tensor([max(width, 0.75 * height), max(height, width / 0.75)])
    error = ((noisy - clean)[:, index, :2] / crop * ERROR_FRAME_PX).numpy()
    mean, std, share = HUMAN36_ERRORS[:, :2], HUMAN36_ERRORS[:, 2:4], HUMAN36_ERRORS[:, 4:]
    expected = np.sqrt(share * (std**2 + mean**2) - (share * mean) ** 2)
    assert np.abs(error.mean(0) - share * mean).max() < 5 * expected.max() / n**0.5
    assert np.abs(error.std(0) / expected - 1).max() < 0.05
    assert (np.delete(noisy.numpy(), index, 1) == 0).all()


def test_every_point_errs_like_a_keypoint_of_its_side() -> None:
    like, flip = like_coco(), POINTS.flip_permutation
    assert [COCO17[k] for k in like[SEVENTEEN]] == list(COCO17)
    paired = flip != np.arange(POINTS.size)
    mirrored = COCO.flip_permutation[like[flip]]
    assert (mirrored[paired] == like[paired]).all()
    found = {name: COCO17[k] for name, k in zip(POINTS.names, like, strict=True)}
    for name, keypoint in (
        ("L_BigToe", "L_Ankle"),
        ("R_Hand_smpl", "R_Wrist"),
        ("R_Hip_h36m", "R_Hip"),
        ("Head_h36m", "L_Ear"),
        ("Chest_smpl", "L_Shoulder"),
        ("Pelvis", "L_Hip"),
        ("L_Mouth", "Nose"),
    ):
        assert found[name] == keypoint


def test_limbs_are_hidden_together() -> None:
    region = dict(zip(POINTS.names, hidden_together(), strict=True))
    for names in (
        ("L_Knee", "L_Ankle", "L_BigToe", "L_Ankle_h36m", "L_Toe_smpl"),
        ("R_Elbow", "R_Wrist", "R_Index", "R_Hand_smpl"),
        ("Nose", "L_Eye", "R_Eye", "L_Ear", "R_Mouth", "Head_top"),
        ("L_Hip", "L_Hip_smpl"),
    ):
        assert len({region[n] for n in names}) == 1, names
    assert len({region[n] for n in ("L_Knee", "R_Knee", "L_Elbow", "R_Elbow", "L_Hip", "Nose")}) == 6


def test_soft_confidences_tell_good_from_bad(detection: Detection) -> None:
    clean = random_poses(3000, COCO)
    noisy = detection.noise(clean, NOISY, torch.Generator().manual_seed(1))
    error = (noisy - clean)[:, SEVENTEEN, :2].norm(dim=-1)
    sure = noisy[:, SEVENTEEN, 2] > 0.75
    assert error[sure].mean() < 0.6 * error[~sure].mean()


def test_a_share_of_the_poses_is_noisy(detection: Detection) -> None:
    clean = random_poses(4000, COCO)
    noisy = detection.noise(clean, NoiseLevel(share=0.3), torch.Generator().manual_seed(0))
    same = (noisy == clean).all((1, 2))
    assert abs(same.float().mean() - 0.7) < 0.03
    assert detection.noise(clean, NoiseLevel(), torch.Generator()) is clean


@pytest.mark.parametrize("missing", [1, 3, 5])
def test_missing_joints(missing: int, detection: Detection) -> None:
    """So many of COCO's 17; what is derived follows from the rest."""
    pose = random_poses(200, COCO)
    out = derive(detection.drop(pose, NoiseLevel(missing=missing), torch.Generator().manual_seed(1)))
    coco = out[:, point_indices(COCO)]
    gone = coco[:, :17, 2] == 0
    assert (gone.sum(1) == missing).all() and (coco[:, :17][gone] == 0).all()
    hips = (coco[:, [11, 12], 2] > 0).all(1)
    assert torch.equal(coco[:, 17, 2] > 0, hips)
    assert torch.allclose(coco[hips, 17], coco[hips][:, [11, 12]].mean(1))
    assert 150 < hips.sum() + 200 * (missing > 1) < 400


@pytest.mark.parametrize("joint_set", BODIES, ids=lambda s: s.name)
def test_enough_is_left_of_every_skeleton(joint_set: JointSet, detection: Detection) -> None:
    pose = random_poses(2000, joint_set)
    out = detection.drop(pose, TRAINING, torch.Generator().manual_seed(0))
    left = out[..., 2] > 0
    assert (left[:, ~DERIVED].sum(1) >= FEWEST).all()
    assert torch.equal(out[left], pose[left]) and (out[~left] == 0).all()
    fewer = left.sum(1) < (pose[..., 2] > 0).sum(1)
    # 30 % have missing joints, 10 % are cut off, some limb is hidden in up to 8 %.
    assert 0.34 < fewer.float().mean() < 0.45
    many = detection.drop(pose, NoiseLevel(missing=1000), torch.Generator().manual_seed(0))
    assert ((many[..., 2] > 0)[:, ~DERIVED].sum(1) == FEWEST).all()


def test_hidden_limbs_are_whole(detection: Detection) -> None:
    pose, region = random_poses(2000, POINTS), torch.as_tensor(hidden_together())
    out = detection.drop(pose, NoiseLevel(hide=1), torch.Generator().manual_seed(0))
    gone, seen = (out[..., 2] == 0)[:, ~DERIVED], region[~DERIVED]
    kinds = set()
    for row in gone:
        hidden = seen[row].unique()
        assert len(hidden) <= 1 and torch.equal(row, torch.isin(seen, hidden))
        kinds |= set(hidden.tolist())
    assert kinds == set(seen.tolist())


def test_the_edge_of_the_picture_cuts_people_off(detection: Detection) -> None:
    """All that is missing lies beyond all that is left, in one of four directions, most often below."""
    pose = random_poses(2000, COCO)
    out = detection.drop(pose, NoiseLevel(truncate=1), torch.Generator().manual_seed(0))
    below = 0
    for before, after in zip(pose[:, SEVENTEEN], out[:, SEVENTEEN], strict=True):
        gone = after[:, 2] == 0
        # At most 60 % of the extent are cut off, and only where enough is left.
        assert (~gone).sum() >= FEWEST
        if not gone.any():
            continue
        cuts = [
            (sign * before[gone, axis]).min() > (sign * before[~gone, axis]).max()
            for axis, sign in ((1, 1), (0, 1), (1, -1), (0, -1))
        ]
        assert any(cuts)
        below += bool(cuts[0])
    assert 0.6 < below / len(pose) < 0.85
