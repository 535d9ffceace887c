"""Motion, poses, cameras and noise that training pairs are made of."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from openhmr.bodies.shipped import open_body
from openhmr.bodies.skinning import skin
from openhmr.camera import Camera
from openhmr.errors import InputError
from openhmr.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from openhmr.joints import BODY25, COCO, HUMAN36, JOINT_SETS, MANO, POINTS, SMPL, JointSet, point_indices
from openhmr.lab.synth.bvh_joints import PACK_JOINTS, PACK_PARENTS
from openhmr.lab.synth.motion import load_motion, retarget
from openhmr.lab.synth.noise2d import CLEAN, TRAINING
from openhmr.lab.synth.pairs import (
    Cameras,
    Observed,
    PairSource,
    Skeleton,
    derive,
    random_betas,
    random_definition,
)
from openhmr.lab.synth.poses import (
    AS_RECORDED,
    PARTS,
    PoseSampler,
    Widening,
    even_weights,
    exp_map,
    log_map,
    mirrored,
    random_rotations,
)
from openhmr.lab.synth.shapes import random_people
from openhmr.predict.lift import look_at, standardise

CPU = torch.device("cpu")
BODIES = [s for s in JOINT_SETS.values() if s is not MANO]


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
    points, root = skeleton.points(r, t, b)
    assert np.abs(points.numpy() - body.joint_regressors["points"] @ vertices).max() < 1e-5
    assert np.abs(root[:, 0].numpy() - body.root_regressor @ vertices).max() < 1e-5
    assert torch.equal(skeleton.roots(r, t, b), root)
    for joint_set in BODIES:
        expected = body.joint_regressor(joint_set) @ vertices
        assert np.abs(skeleton.joints(joint_set, r, t, b).numpy() - expected).max() < 1e-5, joint_set.name
    assert joints.shape == (4, 24, 3)


def test_rotation_maps_invert_each_other() -> None:
    rotations = random_rotations(500, torch.Generator().manual_seed(0), CPU).double()
    assert (rotations @ rotations.mT - torch.eye(3)).abs().max() < 1e-5
    assert (torch.linalg.det(rotations) - 1).abs().max() < 1e-5
    small = rotations[log_map(rotations).norm(dim=-1) < 3]
    assert (exp_map(log_map(small)) - small).abs().max() < 1e-5
    # Rodrigues' formula against the exponential of the cross product's matrix.
    vectors = torch.randn(50, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    cross = torch.linalg.cross(vectors[:, None], torch.eye(3, dtype=torch.float64)[None], dim=-1).mT
    assert (exp_map(vectors) - torch.linalg.matrix_exp(cross)).abs().max() < 1e-12
    assert (mirrored(mirrored(rotations[:24][None])) - rotations[:24][None]).abs().max() == 0


def test_mirrored_pose_mirrors_the_mesh(skeleton, body) -> None:
    generator = torch.Generator().manual_seed(2)
    local = exp_map(torch.randn(3, 24, 3, generator=generator) * 0.4)
    betas = torch.zeros(3, 10)
    points = [
        skeleton.joints(POINTS, *skeleton.transforms(x, betas), betas) for x in (local, mirrored(local))
    ]
    assert (points[0][:, POINTS.flip_permutation] * torch.tensor([-1.0, 1, 1]) - points[1]).abs().max() < 2e-3


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


def test_exchanged_parts_are_recorded_ones(body) -> None:
    """Of a pose that takes parts from several frames, each part is one frame's, or one's mirror image."""
    recorded = torch.as_tensor(retarget(random_pack(50), body).rotations)
    widening = Widening(exchange=1, part=1, perturb=0, tilt_deg=0, tumble=0)
    pose = PoseSampler(recorded.numpy(), np.full(50, 0.02), widening, CPU)(
        64, torch.Generator().manual_seed(0)
    )
    both, nearest = torch.cat([recorded, mirrored(recorded)]), []
    for part in ((0,), *PARTS):
        distance = (pose[:, None, part] - both[None, :, part]).abs().amax((2, 3, 4)).min(1)
        assert distance.values.max() < 1e-5
        nearest.append(distance.indices)
    assert (torch.stack(nearest).diff(dim=0) != 0).float().mean() > 0.9
    # No part is left out but the root.
    assert sorted(j for part in PARTS for j in part) == list(range(1, 24))


def test_perturbed_joints_stay_within_limits(body) -> None:
    """Beyond what was recorded, and a tenth of its range, only recorded angles lie."""
    recorded = torch.as_tensor(retarget(random_pack(50), body).rotations)
    widening = Widening(exchange=0, perturb=1, perturb_deg=60, tilt_deg=0, tumble=0)
    sampler = PoseSampler(recorded.numpy(), np.full(50, 0.02), widening, CPU)
    angles = log_map(sampler(256, torch.Generator().manual_seed(0))[:, 1:])
    both = log_map(torch.cat([recorded, mirrored(recorded)])[:, 1:])
    low = torch.minimum(sampler.low[1:], both.amin(0))
    high = torch.maximum(sampler.high[1:], both.amax(0))
    # A matrix tells an angle from the one beyond half a turn only up to there.
    small = angles.norm(dim=-1, keepdim=True) < 3
    assert (((angles > low - 1e-3) & (angles < high + 1e-3)) | ~small).all()
    assert small.float().mean() > 0.9 and (angles - both[0]).abs().mean() > 0.2


def test_shapes_are_of_women_and_men() -> None:
    betas = random_betas(20_000, 10, torch.Generator().manual_seed(0), CPU)
    assert betas[:, :-1].mean(0).abs().max() < 0.03 and betas.abs().max() <= 2.5
    assert (betas[:, :-1].std(0) - 0.988).abs().max() < 0.02  # of a normal that is cut off at 2.5
    woman = betas[:, -1] > 0
    assert abs(woman.float().mean() - 0.5) < 0.02 and (betas[~woman, -1] == 0).all()
    assert abs(betas[woman, -1].mean() - 1) < 0.02
    # Those of the rendered pictures are of the same distribution, in numpy.
    normal, chance = np.random.default_rng(0).normal(size=(100, 10)), np.random.default_rng(1).random(100)
    drawn = random_people(torch.as_tensor(normal), torch.as_tensor(chance))
    assert_array_equal(drawn.numpy(), random_people(normal, chance))


def test_random_definitions_belong_to_a_part_of_the_body(skeleton) -> None:
    """Normal, fixed in the frame of the part that carries the point, mirror images on left and right."""
    generator, sigma, n = torch.Generator().manual_seed(0), 0.025, 20_000
    rest = torch.eye(3).expand(n, 24, 3, 3)
    at_rest = random_definition(skeleton, rest, sigma, generator)
    flip = torch.as_tensor(POINTS.flip_permutation[: len(POINTS.base)])
    assert at_rest.shape == (n, len(flip), 3)
    assert torch.equal(at_rest[:, flip] * torch.tensor([-1.0, 1, 1]), at_rest)
    middle = flip == torch.arange(len(flip))
    assert (at_rest[:, middle, 0] == 0).all() and 10 < middle.sum() < 30
    free = torch.cat([at_rest[:, ~middle].flatten(1), at_rest[:, middle, 1:].flatten(1)], 1)
    # Each person's deviation is uniform up to the given one, so that their squares have a third of its own on
    # average; five standard errors.
    assert free.mean(0).abs().max() < 5 * sigma / (3 * n) ** 0.5
    assert (free.square().mean(0) / (sigma**2 / 3) - 1).abs().max() < 5 * (9 * 3 / 5 - 1) ** 0.5 / n**0.5
    own = free.std(1) / sigma
    assert own.max() < 1.3 and abs(float(own.mean()) - 0.5) < 0.01
    r = random_rotations(24 * 50, torch.Generator().manual_seed(1), CPU).view(50, 24, 3, 3)
    posed = random_definition(skeleton, r, sigma, torch.Generator().manual_seed(3))
    again = random_definition(skeleton, rest[:50], sigma, torch.Generator().manual_seed(3))
    moved = (r[:, skeleton.carrier] @ again[..., None])[..., 0]
    assert (posed - moved).abs().max() < 1e-6
    # A hand's points turn with the wrist or the hand, the head's with the head or the neck.
    for name, carriers in (("L_Index", ("L_Wrist", "L_Hand")), ("Nose", ("Head",)), ("R_Heel", ("R_Ankle",))):
        assert SMPL.names[skeleton.carrier[POINTS.names.index(name)]] in carriers


def test_what_is_observed_are_skeletons_or_mixtures_of_two() -> None:
    names = [s.name for s in BODIES]
    masks = np.zeros((len(names), POINTS.size), bool)
    for row, joint_set in zip(masks, BODIES, strict=True):
        row[point_indices(joint_set)] = True
    plain = Observed(names, 0.0, CPU)(4000, torch.Generator().manual_seed(0)).numpy()
    found = (plain[:, None] == masks).all(2)
    assert found.any(1).all() and found.any(0).all()
    mixed = Observed(names, 0.3, CPU)(4000, torch.Generator().manual_seed(0)).numpy()
    unions = (masks[:, None] | masks).reshape(-1, POINTS.size)
    is_one = (mixed[:, None] == masks).all(2).any(1)
    assert (mixed[~is_one][:, None] == unions).all(2).any(1).all()
    # Two of the skeletons are often the same, or one holds the other.
    assert 0.1 < 1 - is_one.mean() < 0.3
    only = Observed(["coco"], 0.3, CPU)(5, torch.Generator())
    assert (only.numpy() == masks[names.index("coco")]).all()


@pytest.fixture(scope="module")
def poses(body) -> PoseSampler:
    return PoseSampler(retarget(random_pack(100), body).rotations, np.full(100, 0.01), Widening(), CPU)


def seen_again(clean: torch.Tensor, joint_set: JointSet) -> torch.Tensor:
    """Poses ``(B,J,3)`` of certain joints, whose derived ones follow from the others in the picture."""
    whole = torch.zeros(len(clean), POINTS.size, 3)
    whole[:, point_indices(joint_set)] = torch.cat([clean, torch.ones_like(clean[..., :1])], -1)
    return derive(whole)[:, point_indices(joint_set)]


@pytest.mark.parametrize("joint_set", [COCO, HUMAN36, SMPL, BODY25, POINTS], ids=lambda s: s.name)
def test_pairs_are_consistent(skeleton, poses, joint_set) -> None:
    source = PairSource(skeleton, poses, joint_set, CLEAN, Cameras())
    batch = source(32, torch.Generator().manual_seed(4))
    again = batch.rotations, batch.translations, batch.betas
    assert skeleton.roots(*again).abs().max() < 1e-5
    assert (skeleton.joints(HUMAN36, *again) - batch.joints).abs().max() < 1e-5
    assert (skeleton.joints(joint_set, *again) - batch.pose3d).abs().max() < 1e-5
    assert torch.isfinite(batch.pose2d).all() and batch.pose2d.shape == (32, joint_set.size, 3)
    # Standardised: zero mean, unit mean square over both axes.
    assert batch.pose2d[..., :2].mean(1).abs().max() < 1e-4
    assert (batch.pose2d[..., :2].square().mean((1, 2)) - 1).abs().max() < 1e-4
    # Through the runtime: the same picture is the same input, turned to the same virtual camera.
    pixels = seen_again(batch.clean_px * 900 + 500, joint_set).numpy()
    turned, _ = look_at(pixels, Camera(np.array([[900.0, 0, 500], [0, 900, 500], [0, 0, 1]]), (1000, 1000)))
    assert np.abs(standardise(turned) - batch.pose2d.numpy()).max() < 2e-3
    # Upright people are upright: heads above feet in the picture (y down) in nearly all poses.
    head, feet = batch.joints[:, 10, 1], batch.joints[:, [3, 6], 1].mean(1)
    assert (head < feet).float().mean() > 0.85


@pytest.mark.parametrize("joint_set", BODIES, ids=lambda s: s.name)
def test_poses_of_every_skeleton_in_the_layout_of_all_points(skeleton, poses, joint_set) -> None:
    """They have its points, all of them and no others, as a network of its own would see them."""
    whole, own = (
        PairSource(skeleton, poses, layout, CLEAN, Cameras(), skeletons=[joint_set.name])(
            8, torch.Generator().manual_seed(1)
        )
        for layout in (POINTS, joint_set)
    )
    index = point_indices(joint_set)
    assert torch.equal(whole.pose2d[:, index], own.pose2d) and torch.equal(whole.pose3d[:, index], own.pose3d)
    assert (own.pose2d[..., 2] == 1).all()
    others = np.setdiff1d(np.arange(POINTS.size), index)
    assert (whole.pose2d[:, others] == 0).all() and whole.pose3d.shape == (8, POINTS.size, 3)


def test_random_definitions_move_what_is_seen_and_not_the_targets(skeleton, poses) -> None:
    plain, moved = (
        PairSource(skeleton, poses, COCO, CLEAN, Cameras(), definition_m=sigma)(
            64, torch.Generator().manual_seed(2)
        )
        for sigma in (0.0, 0.025)
    )
    # Only the virtual camera differs, which turns about the camera.
    assert (plain.pose3d.norm(dim=-1) - moved.pose3d.norm(dim=-1)).abs().max() < 1e-5
    error = (plain.pose2d - moved.pose2d)[..., :2]
    assert 0.02 < error.norm(dim=-1).mean() < 0.2


def test_noisy_pairs_of_all_skeletons_are_finite_and_repeat(skeleton, poses) -> None:
    source = PairSource(
        skeleton, poses, POINTS, TRAINING, Cameras(),
        skeletons=[s.name for s in BODIES], mixed=0.2, definition_m=0.025,
    )  # fmt: skip
    first, again = (source(128, torch.Generator().manual_seed(3)) for _ in range(2))
    for name, value in vars(first).items():
        if name == "seen":  # of hands
            continue
        assert torch.equal(value, getattr(again, name)) and torch.isfinite(value).all(), name
    assert ((first.pose2d[..., 2] > 0).sum(1) >= 4).all()
    assert first.pose2d[..., 2].min() == 0 and first.pose2d[..., 2].max() <= 1


def test_broken_pack_is_refused(tmp_path: Path, body) -> None:
    pack = random_pack()
    del pack["offsets"]
    np.savez(tmp_path / "pack.npz", **pack)
    with pytest.raises(InputError, match="lacks offsets"):
        load_motion(tmp_path / "pack.npz", body)
