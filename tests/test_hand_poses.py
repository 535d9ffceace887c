"""Sampled hands: the frames of a pack, limits, capsules, pairs, and the recipe that trains on them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from openhmr.bodies.shipped import open_hand
from openhmr.bodies.skinning import skin
from openhmr.camera import Camera
from openhmr.errors import InputError
from openhmr.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from openhmr.joints import MANO
from openhmr.joints.mano import FINGERS
from openhmr.lab.cli import main
from openhmr.lab.synth.hand_capsules import Capsules, segment_distance
from openhmr.lab.synth.hand_pack import DOFS, HandFrames, HandPack, load_hands
from openhmr.lab.synth.hand_pairs import CLEAN, FEWEST, NOISY, TRAINING, HandCameras, HandPairs
from openhmr.lab.synth.hand_poses import ABD, AS_STORED, DIP, MCP, PIP, HandPoses, HandWidening, limits
from openhmr.lab.synth.pairs import Skeleton
from openhmr.models import load
from openhmr.predict.hand_lift import HandLifter
from openhmr.predict.lift import look_at, standardise
from openhmr.predict.upright import finger_rolls, rolled_poses

CPU = torch.device("cpu")
POSES = 60
THUMB_FRAME = np.array([[0.05, 0.38, -0.92], [-0.57, 0.77, 0.29], [0.82, 0.51, 0.25]])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def write_pack(path: Path, **changed: np.ndarray) -> Path:
    """A pack of random poses within the limits."""
    rng = np.random.default_rng(0)
    low, high = (x.numpy() for x in limits(CPU))
    u, _, vt = np.linalg.svd(THUMB_FRAME)
    arrays = {
        "dof_rad": (0.8 * (low + (high - low) * rng.uniform(0, 0.7, (POSES, 22)))).astype(np.float32),
        "weight": np.full(POSES, 1 / POSES),
        "letter": np.array(list("ABDEFGKLC" * 10)[:POSES]),
        "source": np.array(["asl"] * POSES),
        "skel_twist_rad": np.array([0, -0.06, -0.04, -0.01, 0.16]),
        "skel_thumb_frame": u @ vt,
    } | changed
    np.savez(path, **arrays)
    return path


@pytest.fixture
def pack(tmp_path: Path) -> HandPack:
    return load_hands(write_pack(tmp_path / "hands.npz"))


def mano21(rotations: np.ndarray) -> np.ndarray:
    hand = open_hand()
    vertices, _ = skin(hand, matrix_to_axis_angle(rotations.astype(np.float64)), np.zeros(10))
    return hand.joint_regressor(MANO) @ vertices


def test_letters_and_sources_are_kept_apart(tmp_path: Path) -> None:
    file = write_pack(tmp_path / "hands.npz")
    train, held = load_hands(file), load_hands(file, validation=True)
    everything = np.load(file)
    kept = np.isin(everything["letter"], ["K", "L", "C"])
    assert np.array_equal(held.dof_rad, everything["dof_rad"][kept])
    assert np.array_equal(train.dof_rad, everything["dof_rad"][~kept])
    assert_allclose(train.weights.sum(), 1)


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({"dof_rad": np.zeros((POSES, 21), np.float32)}, "dof_rad of shape .*, 21.; it must be .60, 22"),
        ({"letter": np.zeros(POSES)}, "letter of type float64"),
        ({"weight": np.zeros(POSES)}, "weights positive"),
        ({"dof_rad": np.full((POSES, 22), np.nan, np.float32)}, "numbers must be finite"),
        ({"letter": np.array(["K"] * POSES)}, "no usable training poses"),
    ],
)
def test_bad_packs_are_named(tmp_path: Path, changed: dict[str, np.ndarray], cause: str) -> None:
    with pytest.raises(InputError, match=cause):
        load_hands(write_pack(tmp_path / "hands.npz", **changed))


def test_other_files_are_no_packs(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", weight=np.ones(3))
    with pytest.raises(InputError, match="lacks dof_rad, letter"):
        load_hands(tmp_path / "x.npz")


def test_frames_equal_their_slow_twin(pack: HandPack) -> None:
    """Bones of the open hand point where the pack's own chain of rotations, joint by joint, has them."""
    local = HandFrames(pack, CPU)(torch.as_tensor(pack.dof_rad)).numpy()
    assert_allclose(np.linalg.det(local), 1, atol=1e-5)
    joints = mano21(local)
    to_hand = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])  # radial, distal, palmar

    def about(axis: int, angle: float) -> np.ndarray:
        return axis_angle_to_matrix(np.eye(3)[axis] * angle)

    for dof, points in zip(pack.dof_rad[:10].astype(np.float64), joints, strict=False):
        angle = dict(zip(DOFS, dof, strict=True))
        for k, finger in enumerate(FINGERS):
            world = pack.thumb_frame if finger == "Thumb" else about(1, pack.twist_rad[k])
            for i, joint in enumerate(("cmc", "mcp", "ip") if finger == "Thumb" else ("mcp", "pip", "dip")):
                flex, abd, twist = (
                    angle.get(f"{finger.lower()}_{joint}_{d}", 0.0) for d in ("flex", "abd", "twist")
                )
                world = world @ about(0, flex) @ about(2, abd) @ about(1, twist)
                start, end = (points[MANO.names.index(f"{finger}_{i + n}")] for n in (1, 2))
                bone = (end - start) / np.linalg.norm(end - start)
                # Regressed joints lie within a millimetre or two of the chain's.
                allowed = 7 if finger == "Thumb" else 3
                assert bone @ (world[:, 1] @ to_hand) > np.cos(np.radians(allowed)), finger


def test_segments_equal_their_slow_twin() -> None:
    rng = np.random.default_rng(0)
    ends = rng.normal(size=(4, 50, 3))
    found = segment_distance(*(torch.as_tensor(e) for e in ends)).numpy()
    s = np.linspace(0, 1, 201)
    for i in range(50):
        a, b, c, d = ends[:, i]
        p, q = a + s[:, None] * (b - a), c + s[:, None] * (d - c)
        slow = np.linalg.norm(p[:, None] - q[None], axis=-1).min()
        assert slow - 0.02 <= found[i] <= slow + 1e-9


def test_limits_and_couplings(pack: HandPack) -> None:
    poses = HandPoses(pack, open_hand(), HandWidening(), CPU)
    dof = poses.propose(4000, seeded())
    low, high = limits(CPU)
    assert (dof >= low - 1e-6).all() and (dof <= high + 1e-6).all()
    bend = 2 / 3 * dof[:, PIP]
    assert (dof[:, DIP] <= torch.clamp(bend + np.radians(35.1), max=high[DIP])).all()
    assert (dof[:, DIP] >= torch.maximum(bend - np.radians(45.1), low[DIP]) - 1e-6).all()
    wide = torch.full((1, 22), 9.0)
    wide[:, MCP] = torch.tensor([0.0, np.pi / 4, np.pi / 2, -0.2])
    assert_allclose(poses.limited(wide)[0, ABD] / high[ABD], [1, 0.7, 0.4, 1], rtol=1e-5)


def test_accepted_hands_have_nothing_in_nothing(pack: HandPack) -> None:
    hand = open_hand()
    poses = HandPoses(pack, hand, HandWidening(), CPU)
    dof = poses.angles(500, seeded(3))
    assert dof.shape == (500, 22) and torch.equal(dof, poses.angles(500, seeded(3)))
    capsules = Capsules(hand, CPU)
    assert capsules.apart(poses.frames(dof)).all()
    # A thumb pressed through the palm, and a finger across its neighbour, are refused; a flat hand is not.
    bad = torch.zeros(3, 22)
    bad[0, DOFS.index("thumb_cmc_flex")] = 1.2
    bad[0, DOFS.index("thumb_mcp_flex")] = 1.2
    bad[1, DOFS.index("middle_mcp_abd")], bad[1, DOFS.index("ring_mcp_abd")] = 0.5, -0.4
    assert capsules.apart(poses.frames(bad)).tolist() == [False, False, True]


def test_stored_poses_come_as_they_are(pack: HandPack) -> None:
    drawn = HandPoses(pack, open_hand(), AS_STORED, CPU).angles(50, seeded())
    assert (drawn[:, None] == torch.as_tensor(pack.dof_rad)).all(-1).any(1).all()


def test_pairs_are_exact(pack: HandPack) -> None:
    """The points of a batch are those of the skinned mesh, and its input what the runtime makes of pixels."""
    hand = open_hand()
    skeleton = Skeleton(hand, MANO)
    pairs = HandPairs(skeleton, HandPoses(pack, hand, HandWidening(), CPU), CLEAN, HandCameras(), stored=200)
    batch = pairs(32, seeded())
    shape = torch.tensor(np.concatenate([hand.v_template[..., None], hand.shapedirs], 2))
    rest = torch.einsum("vcs,bs->bvc", shape, torch.cat([torch.ones(32, 1), batch.betas], 1))
    weights = torch.tensor(hand.weights)
    vertices = torch.einsum("vj,bjac,bvc->bva", weights, batch.rotations, rest)
    vertices = vertices + torch.einsum("vj,bja->bva", weights, batch.translations)
    joints = torch.tensor(hand.joint_regressor(MANO)) @ vertices
    assert_allclose(joints, batch.joints, atol=1e-5)
    assert torch.equal(batch.joints, batch.pose3d) and batch.joints[:, 0].abs().max() < 1e-6
    coarse = skeleton.vertices(batch.rotations, batch.translations, batch.betas)
    ids = torch.tensor(hand.level("coarse").vertex_ids)
    assert_allclose(vertices[:, ids], coarse, atol=1e-5)
    camera = Camera.from_focal(800.0, (600, 800))
    pixels = batch.clean_px.numpy() * 800 + [399.5, 299.5]
    seen = np.concatenate([pixels, np.ones((32, 21, 1))], -1).astype(np.float32)
    turned = look_at(seen, camera)[0]
    turned = rolled_poses(turned, finger_rolls(turned))
    assert_allclose(standardise(turned), batch.pose2d, atol=2e-3)
    tips = turned[:, [8, 12, 16, 20], 1].mean(1) - turned[:, 0, 1]
    assert (tips < 0).mean() > 0.9  # y is down: the fingers point up


def test_noise_is_what_it_says(pack: HandPack) -> None:
    hand = open_hand()
    poses, skeleton = HandPoses(pack, hand, HandWidening(), CPU), Skeleton(hand, MANO)
    clean, noisy, trained = (
        HandPairs(skeleton, poses, noise, HandCameras(), stored=200)(3000, seeded(5))
        for noise in (CLEAN, NOISY, TRAINING)
    )
    assert (clean.pose2d[..., 2] == 1).all() and (noisy.pose2d[..., 2] == 1).all()
    missing = (trained.pose2d[..., 2] == 0).sum(1)
    assert 0.25 < (missing > 0).float().mean() < 0.6 and missing.max() <= 21 - FEWEST
    assert (trained.pose2d[trained.pose2d[..., 2] == 0] == 0).all()


def test_trains_exports_and_lifts_both_hands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A few steps of either stage through the commands; ONNX equals the network; a left hand is lifted as the
    mirror image of a right one."""
    file, run = write_pack(tmp_path / "hands.npz"), tmp_path / "run"
    small = ("model.hidden=32", "stored=200", "evaluation_poses=16", "precision=float32")
    steps = ("stage1.steps=3", "stage1.batch=8", "stage2.steps=2", "stage2.batch=8")
    sets = [word for s in small + steps for word in ("--set", s)]
    main(["train", "compact_pose2mesh_hand", "--hands", str(file), "--out", str(run), *sets])
    numbers = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {"true_pa_mpvpe", "true_pa_mpjpe", "noisy_pa_mpvpe"} <= numbers.keys()
    model = tmp_path / "pose2mesh-mano.onnx"
    main(["export", str(run), "--out", str(model)])
    right, left = load(model), load(model, hand="left")
    assert isinstance(left, HandLifter) and right.joint_set == MANO  # type: ignore[union-attr]
    points = np.random.default_rng(0).uniform(100, 300, (3, 21, 3)).astype(np.float32)
    points[..., 2] = 1
    points[0, 4] = 0
    flipped = points.copy()
    flipped[..., 0] = np.where(points[..., 2] > 0, 639 - points[..., 0], 0)
    camera = Camera.from_focal(500, (480, 640))
    seen = right(points, camera)  # type: ignore[operator]
    other = left(flipped, camera)
    # An untrained network's mesh is a point, which stands far away.
    assert_allclose(other.vertices, seen.vertices * [-1, 1, 1], rtol=1e-3)
    assert_allclose(
        other.vertices - other.vertices[:, :1], (seen.vertices - seen.vertices[:, :1]) * [-1, 1, 1], atol=0.05
    )
    assert other.body.content_hash() == open_hand("left").content_hash()
    assert_allclose(other.sigma.vertices, seen.sigma.vertices, atol=1e-6)  # type: ignore[union-attr]
    assert_allclose(other.keypoints.points, flipped)
    # Placed before the camera like any other: joints project near the points that they were lifted from.
    assert_allclose(other.reprojection_px(), seen.reprojection_px(), atol=0.01)


def test_a_hand_network_knows_no_mirror_images(tmp_path: Path) -> None:
    file = write_pack(tmp_path / "hands.npz")
    command = ["train", "compact_pose2mesh_hand", "--hands", str(file), "--out", str(tmp_path / "run")]
    with pytest.raises(InputError, match=r"set model\.mirror to false"):
        main([*command, "--set", "model.mirror=true"])


def test_sheet(tmp_path: Path) -> None:
    from PIL import Image

    file, out = write_pack(tmp_path / "hands.npz"), tmp_path / "sheet.png"
    main(["synth", "hands", "--hands", str(file), "--sheet", str(out), "--count", "3", "--upright"])
    tile = np.asarray(Image.open(out))[:180, :180]
    assert 0.05 < (tile < 250).any(-1).mean() < 0.6
