"""Motion, poses, cameras and noise that training pairs are made of."""

from pathlib import Path

import numpy as np
import pytest
import torch

from openhmr.bodies.shipped import open_body
from openhmr.bodies.skinning import skin
from openhmr.camera import Camera
from openhmr.errors import InputError
from openhmr.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from openhmr.joints import COCO, HUMAN36, SMPL
from openhmr.lab.synth.bvh_joints import PACK_JOINTS, PACK_PARENTS
from openhmr.lab.synth.motion import load_motion, retarget
from openhmr.lab.synth.noise2d import CLEAN, NOISY, NoiseLevel, add_noise, drop_joints
from openhmr.lab.synth.pairs import Cameras, PairSource, Skeleton, pelvis_and_neck
from openhmr.lab.synth.poses import (
    AS_RECORDED,
    PoseSampler,
    Widening,
    even_weights,
    exp_map,
    log_map,
    mirrored,
    random_rotations,
)
from openhmr.predict.lift import look_at, standardise

CPU = torch.device("cpu")


def random_pack(frames: int = 40, seed: int = 0) -> dict[str, np.ndarray]:
    """A skeleton like CMU's with random, bounded joint angles."""
    rng = np.random.default_rng(seed)
    angles = rng.normal(size=(frames, 25, 3)) * 0.3
    half = np.linalg.norm(angles, axis=-1, keepdims=True) / 2
    quaternions = np.concatenate([np.cos(half), np.sin(half) * angles / np.maximum(2 * half, 1e-9)], -1)
    offsets = np.zeros((25, 3))
    for name, value in {
        "abdomen": (0, 0.1, 0),
        "chest": (0, 0.12, 0),
        "chest2": (0, 0.1, 0),
        "neck": (0, 0.15, 0),
        "neck1": (0, 0.05, 0),
        "head": (0, 0.08, 0),
        "Collar": (0.05, 0.1, 0),
        "Shldr": (0.13, 0, 0),
        "ForeArm": (0.28, 0, 0),
        "Hand": (0.25, 0.01, 0.02),
        "Buttock": (0.05, 0, 0),
        "Thigh": (0.06, -0.05, 0),
        "Shin": (0.03, -0.42, 0.02),
        "Foot": (0, -0.4, -0.02),
        "Toe": (0, -0.05, 0.14),
    }.items():
        for k, joint in enumerate(PACK_JOINTS):
            if joint == name or joint[1:] == name:
                offsets[k] = np.array(value) * (
                    [-1, 1, 1] if joint.startswith("r") and joint[1:] == name else [1, 1, 1]
                )
    tips = np.full((25, 3), np.nan)
    tips[PACK_JOINTS.index("lHand")], tips[PACK_JOINTS.index("rHand")] = (0.1, 0, 0), (-0.1, 0, 0)
    return {
        "quat_wxyz": quaternions.astype(np.float16),
        "offsets": offsets[None],
        "tip_offsets": tips[None],
        "clip_names": np.array(["7_01"]),
        "clip_len": np.array([frames]),
        "joint_names": np.array(PACK_JOINTS),
        "parents": PACK_PARENTS,
        "frame_ok": np.ones(frames, bool),
    }


@pytest.fixture(scope="module")
def body():
    return open_body()


@pytest.fixture(scope="module")
def skeleton(body):
    return Skeleton(body)


def test_retargeting_keeps_limb_directions(body) -> None:
    pack = random_pack()
    motion = retarget(pack, body)
    assert np.abs(np.linalg.det(motion.rotations) - 1).max() < 1e-4
    # Source joint positions by plain forward kinematics.
    q = pack["quat_wxyz"].astype(np.float64)
    q /= np.linalg.norm(q, axis=-1, keepdims=True)
    angle = 2 * np.arctan2(np.linalg.norm(q[..., 1:], axis=-1), q[..., 0])
    local = axis_angle_to_matrix(
        q[..., 1:] / np.maximum(np.linalg.norm(q[..., 1:], axis=-1, keepdims=True), 1e-12) * angle[..., None]
    )
    world, at = local.copy(), np.zeros((len(q), 25, 3))
    for j in range(1, 25):
        p = PACK_PARENTS[j]
        world[:, j] = world[:, p] @ local[:, j]
        at[:, j] = at[:, p] + world[:, p] @ pack["offsets"][0, j]
    _, joints = skin(body, matrix_to_axis_angle(motion.rotations.astype(np.float64)), np.zeros((len(q), 10)))
    s = {n: at[:, i] for i, n in enumerate(PACK_JOINTS)}
    for side, letter in (("L", "l"), ("R", "r")):
        for a, b, c, d in (
            ("Hip", "Knee", "Thigh", "Shin"),
            ("Knee", "Ankle", "Shin", "Foot"),
            ("Shoulder", "Elbow", "Shldr", "ForeArm"),
            ("Elbow", "Wrist", "ForeArm", "Hand"),
        ):
            own = joints[:, SMPL.names.index(f"{side}_{b}")] - joints[:, SMPL.names.index(f"{side}_{a}")]
            source = s[letter + d] - s[letter + c]
            cosine = (own * source).sum(-1) / np.linalg.norm(own, axis=-1) / np.linalg.norm(source, axis=-1)
            assert np.degrees(np.arccos(np.clip(cosine, -1, 1))).max() < 0.1


def test_skeleton_equals_numpy_skinning(body, skeleton) -> None:
    rng = np.random.default_rng(1)
    pose, betas = rng.normal(size=(4, 24, 3)) * 0.4, rng.normal(size=(4, 10))
    vertices, joints = skin(body, pose, betas)
    local = torch.as_tensor(axis_angle_to_matrix(pose), dtype=torch.float32)
    b = torch.as_tensor(betas, dtype=torch.float32)
    r, t = skeleton.transforms(local, b)
    coarse = skeleton.vertices(r, t, b).numpy()
    # The root joint of `skin` stays where the shape puts it, as here.
    assert np.abs(coarse - vertices[:, body.level("coarse").vertex_ids]).max() < 1e-5
    assert (
        np.abs(skeleton.joints("human36", r, t, b).numpy() - body.joint_regressor("human36") @ vertices).max()
        < 1e-5
    )
    coco = skeleton.joints("coco", r, t, b).numpy()
    assert np.abs(coco[:, :17] - body.joint_regressors["coco"] @ vertices).max() < 1e-5
    assert np.abs(coco[:, 17] - coco[:, [11, 12]].mean(1)).max() < 1e-6
    assert joints.shape == (4, 24, 3)


def test_rotation_maps_invert_each_other() -> None:
    rotations = random_rotations(500, torch.Generator().manual_seed(0), CPU).double()
    assert (rotations @ rotations.mT - torch.eye(3)).abs().max() < 1e-5
    assert (torch.linalg.det(rotations) - 1).abs().max() < 1e-5
    small = rotations[log_map(rotations).norm(dim=-1) < 3]
    assert (exp_map(log_map(small)) - small).abs().max() < 1e-5
    assert (mirrored(mirrored(rotations[:24][None])) - rotations[:24][None]).abs().max() == 0


def test_mirrored_pose_mirrors_the_mesh(skeleton, body) -> None:
    generator = torch.Generator().manual_seed(2)
    local = exp_map(torch.randn(3, 24, 3, generator=generator) * 0.4)
    betas = torch.zeros(3, 10)
    joints = [
        skeleton.joints("human36", *skeleton.transforms(x, betas), betas) for x in (local, mirrored(local))
    ]
    assert (
        joints[0][:, HUMAN36.flip_permutation] * torch.tensor([-1.0, 1, 1]) - joints[1]
    ).abs().max() < 2e-3


def test_widening_stays_within_limits_and_repeats(body) -> None:
    motion = retarget(random_pack(200), body)
    weights = even_weights(motion.rotations, clusters=10)
    assert abs(weights.sum() - 1) < 1e-9 and weights.min() > 0
    sampler = PoseSampler(motion.rotations, weights, Widening(), CPU)
    first, again = (sampler(64, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, again)
    assert (torch.linalg.det(first) - 1).abs().max() < 1e-4
    recorded = PoseSampler(motion.rotations, weights, AS_RECORDED, CPU)(64, torch.Generator().manual_seed(3))
    both = torch.cat([torch.as_tensor(motion.rotations), mirrored(torch.as_tensor(motion.rotations))])
    distance = (recorded[:, None] - both[None]).abs().amax((2, 3, 4)).amin(1)
    assert distance.max() < 1e-5, "as recorded means: a recorded frame or its mirror image"


@pytest.mark.parametrize("joint_set", [COCO, HUMAN36])
def test_pairs_are_consistent(body, skeleton, joint_set) -> None:
    motion = retarget(random_pack(100), body)
    poses = PoseSampler(motion.rotations, np.full(len(motion.rotations), 0.01), Widening(), CPU)
    batch = PairSource(skeleton, poses, joint_set, CLEAN, Cameras())(32, torch.Generator().manual_seed(4))
    assert batch.human36[:, HUMAN36.root].abs().max() < 1e-6
    assert torch.isfinite(batch.pose2d).all() and batch.pose2d.shape == (32, joint_set.size, 3)
    # Standardised: zero mean, unit mean square over both axes.
    assert batch.pose2d[..., :2].mean(1).abs().max() < 1e-4
    assert (batch.pose2d[..., :2].square().mean((1, 2)) - 1).abs().max() < 1e-4
    # Through the runtime: the same picture is the same input, turned to the same virtual camera.
    pixels = torch.cat([batch.clean_px * 900 + 500, torch.ones(32, joint_set.size, 1)], -1)
    pixels = (pelvis_and_neck(pixels) if joint_set is COCO else pixels).numpy()
    turned, _ = look_at(pixels, Camera(np.array([[900.0, 0, 500], [0, 900, 500], [0, 0, 1]]), (1000, 1000)))
    assert np.abs(standardise(turned) - batch.pose2d.numpy()).max() < 2e-3
    # Upright people are upright: heads above feet in the picture (y down) in nearly all poses.
    head, feet = batch.human36[:, 10, 1], batch.human36[:, [3, 6], 1].mean(1)
    assert (head < feet).float().mean() > 0.85


def test_noise_has_the_official_statistics(data: Path) -> None:
    """Against the statistics recorded from the official synthesis (1,500 draws): means within 12 % (two of
    its standard errors, and the points it rejects), standard deviations within 20 %."""
    with np.load(next(data.rglob("noise.npz"))) as recorded:
        clean, mean, std = recorded["synth_in"], recorded["synth_dist_mean"], recorded["synth_dist_std"]
    # The recording used the area of the whole 288 x 384 crop, not of the pose's own box, by whose side radii
    # grow.
    strength = float(np.sqrt(288 * 384 / np.ptp(clean[:, :2], axis=0).prod()))
    pose = torch.as_tensor(clean, dtype=torch.float32).repeat(20000, 1, 1)
    level = NoiseLevel(share=1.0, strength=(strength, strength))
    noisy = add_noise(pose, "coco", level, torch.Generator().manual_seed(0))
    distance = (noisy[..., :2] - pose[..., :2]).norm(dim=-1)
    assert np.abs(distance.mean(0).numpy() / mean - 1).max() < 0.12
    assert np.abs(distance.std(0).numpy() / std - 1).max() < 0.20


@pytest.mark.parametrize("missing", [1, 3, 5])
def test_missing_joints(missing: int) -> None:
    pose = torch.rand(200, 19, 3, generator=torch.Generator().manual_seed(0)) + 0.1
    out = pelvis_and_neck(
        drop_joints(pose, COCO, NoiseLevel(missing=missing), torch.Generator().manual_seed(1))
    )
    gone = out[:, :17, 2] == 0
    assert (gone.sum(1) == missing).all() and (out[:, :17][gone] == 0).all()
    hips = (out[:, [11, 12], 2] > 0).all(1)
    assert torch.equal(out[:, 17, 2] > 0, hips)
    assert torch.allclose(out[hips, 17], out[hips][:, [11, 12]].mean(1))


def test_soft_confidences_tell_good_from_bad() -> None:
    clean = torch.rand(3000, 17, 3, generator=torch.Generator().manual_seed(0))
    clean[..., 2] = 1
    noisy = add_noise(clean, "coco", NOISY, torch.Generator().manual_seed(1))
    error = (noisy[..., :2] - clean[..., :2]).norm(dim=-1)
    sure = noisy[..., 2] > 0.75
    assert error[sure].mean() < 0.6 * error[~sure].mean()


def test_broken_pack_is_refused(tmp_path: Path, body) -> None:
    pack = random_pack()
    del pack["offsets"]
    np.savez(tmp_path / "pack.npz", **pack)
    with pytest.raises(InputError, match="lacks offsets"):
        load_motion(tmp_path / "pack.npz", body)
