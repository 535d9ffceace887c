"""The compact Pose2Mesh of every skeleton: training, a network of fewer points cut from it, lifting."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from openhmr.bodies.shipped import open_body
from openhmr.camera import Camera
from openhmr.errors import InputError
from openhmr.joints import BODY25, COCO, HALPE26, HUMAN36, MANO, POINTS, SMPL, JointSet, point_indices
from openhmr.keypoints import Keypoints
from openhmr.lab.config import build
from openhmr.lab.evaluation.lift_benchmark import evaluate, onnx_predictor, recorded
from openhmr.lab.export.compact_pose2mesh import export
from openhmr.lab.models.onnx_weights import lifter_of, start_from
from openhmr.lab.models.pose2mesh.compact import CompactConfig, CompactPose2Mesh
from openhmr.lab.synth.motion import load_motion
from openhmr.lab.synth.noise2d import CLEAN
from openhmr.lab.synth.pairs import Skeleton
from openhmr.lab.training.compact_pose2mesh import (
    CompactPose2MeshRun,
    CompactPose2MeshTraining,
    RefinedStage,
    SkinnedStage,
    unlikely,
)
from openhmr.predict.lift import Lifter, look_at, standardise
from tests.test_synth import random_pack

SMALL = CompactConfig(hidden=32, stages=1, joint_features=4, graph_features=6)
CPU = torch.device("cpu")


def network(joint_set: JointSet, seed: int = 0) -> CompactPose2Mesh:
    """Random weights and BatchNorm statistics, so that nothing is zero or one by accident."""
    torch.manual_seed(seed)
    net = CompactPose2Mesh(joint_set.flip_permutation, open_body(), SMPL.flip_permutation, SMALL)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            torch.nn.init.normal_(module.running_mean)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    torch.nn.init.normal_(net.mesh_net.conv2.project.weight, std=0.1)
    torch.nn.init.normal_(net.mesh_net.spread.weight, std=0.1)
    return net.eval()


def of_points(pose: torch.Tensor, joint_set: JointSet) -> torch.Tensor:
    """Poses ``(B,J,3)`` in the layout of all points, in which the others are absent."""
    out = torch.zeros(len(pose), POINTS.size, 3)
    out[:, point_indices(joint_set)] = pose
    return out


@pytest.mark.parametrize("joint_set", [COCO, HUMAN36, BODY25], ids=lambda s: s.name)
def test_a_network_of_fewer_points_is_cut_from_that_of_all(joint_set: JointSet) -> None:
    """On poses of those points both are the same function: absent points are zeros."""
    whole, cut = network(POINTS), network(joint_set, seed=1)
    cut.load_state_dict(lifter_of(whole.state_dict(), joint_set))
    pose = torch.randn(5, joint_set.size, 3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, found = whole(of_points(pose, joint_set)), cut(pose)
    for a, b in zip((found[0], found[2]), (expected[0], expected[2]), strict=True):
        assert (a - b).abs().max() < 1e-5 * b.abs().max()
    assert (found[1] - expected[1][:, point_indices(joint_set)]).abs().max() < 1e-5


def test_a_run_of_coco_starts_from_the_network_of_all_points(tmp_path: Path) -> None:
    whole, own = network(POINTS), network(COCO, seed=1)
    export(whole, open_body(), POINTS, tmp_path / "points.onnx", {})
    assert start_from(own, tmp_path / "points.onnx", COCO) == []
    expected = lifter_of(whole.state_dict(), COCO)["pose_net.input.weight"]
    # Large weights are stored in half precision.
    assert torch.equal(own.pose_net.input.weight, expected.half().float())
    # Another skeleton's network is no network of all points, and none can be cut from it.
    export(network(HUMAN36), open_body(), HUMAN36, tmp_path / "human36.onnx", {})
    assert "pose_net.input.weight" in start_from(own, tmp_path / "human36.onnx", COCO)
    weights = whole.state_dict()
    assert all(torch.equal(v, weights[k]) for k, v in lifter_of(weights, POINTS).items())


@pytest.fixture
def config(tmp_path: Path) -> CompactPose2MeshRun:
    pack = random_pack(300)
    pack["clip_len"], pack["clip_names"] = np.array([200, 60, 40]), np.array(["7_01", "03_01", "05_01"])
    for key in ("offsets", "tip_offsets"):
        pack[key] = np.repeat(pack[key], 3, 0)
    np.savez(tmp_path / "pack.npz", **pack)
    np.savez(tmp_path / "more.npz", **random_pack(100, seed=1))
    data = {
        "joint_set": "points",
        "motion": str(tmp_path / "pack.npz"),
        "more_motion": str(tmp_path / "more.npz"),
        "skeletons": ["coco", "coco", "human36", "halpe26", "smpl"],
        "model": dataclasses.asdict(SMALL),
        "evaluation_poses": 32,
        "stage1": {"steps": 2, "batch": 16, "warmup": 1},
        "stage2": {"steps": 2, "batch": 4, "warmup": 1},
    }
    return build(CompactPose2MeshRun, data)


def test_training_on_all_skeletons(config: CompactPose2MeshRun) -> None:
    work = CompactPose2MeshTraining(config, CPU)
    # The second pack is trained on whole, the first without its held-out subjects.
    assert len(work.source.poses.rotations) == 200 + 100
    with torch.no_grad():
        numbers = work.evaluate()
    assert numbers.keys() == {
        f"{shown}_{metric}"
        for shown in ("coco_true", "coco_noisy", "human36_true", "halpe26_true")
        for metric in ("mpjpe", "pa_mpjpe")
    }
    batch = work.source(64, torch.Generator().manual_seed(0))
    assert batch.pose2d.shape == batch.pose3d.shape == (64, POINTS.size, 3)
    terms = SkinnedStage(work).loss(work.network, 0, torch.Generator().manual_seed(0))
    assert terms.keys() == {"pose", "joint", "vertex", "likelihood"} and all(
        torch.isfinite(v) for v in terms.values()
    )


def test_likelihood_trains_the_deviations_alone(config: CompactPose2MeshRun) -> None:
    work = CompactPose2MeshTraining(config, CPU)
    for stage in (SkinnedStage, RefinedStage):
        work.network.zero_grad()
        stage(work).loss(work.network, 0, torch.Generator().manual_seed(0))["likelihood"].backward()
        moved = {
            n for n, p in work.network.named_parameters() if p.grad is not None and p.grad.abs().max() > 0
        }
        assert moved == {"mesh_net.spread.weight", "mesh_net.spread.bias"}


def test_deviations_as_large_as_the_errors_are_the_likeliest() -> None:
    target = 0.05 * torch.randn(4, 1249, 3, generator=torch.Generator().manual_seed(1))
    likely = {
        s: unlikely(torch.zeros_like(target), target, torch.tensor(s)).item() for s in (0.045, 0.05, 0.055)
    }
    assert min(likely, key=likely.__getitem__) == 0.05
    assert likely[0.05] == pytest.approx(0.5 + np.log(0.05), abs=0.02)


@pytest.fixture
def lifter(tmp_path: Path) -> Lifter:
    export(network(POINTS), open_body(), POINTS, tmp_path / "points.onnx", {})
    return Lifter(tmp_path / "points.onnx", open_body())


def test_the_benchmark_sees_what_the_network_was_trained_on(
    config: CompactPose2MeshRun, lifter: Lifter, tmp_path: Path
) -> None:
    """A predictor that answers the truth has no error but that of upsampling, for every skeleton."""
    body = open_body()
    skeleton, motion = Skeleton(body), load_motion(config.motion, body)
    predict, layout = onnx_predictor(tmp_path / "points.onnx", body, HALPE26)
    assert layout is POINTS
    batch = recorded(motion, skeleton, layout, HALPE26, CLEAN)(3, torch.Generator().manual_seed(0))
    assert (batch.pose2d[..., 2] > 0).sum(1).tolist() == [HALPE26.size] * 3
    assert predict(batch).shape == (3, len(body.level("coarse").vertex_ids), 3)

    def truth(batch) -> np.ndarray:  # type: ignore[no-untyped-def]
        return skeleton.vertices(batch.rotations, batch.translations, batch.betas).numpy()

    for joint_set in (COCO, HALPE26):
        (row,) = evaluate(
            {"truth": truth},
            lambda noise, s=joint_set: recorded(motion, skeleton, layout, s, noise),
            body,
            {"true 2D": CLEAN},
            samples=8,
        )
        assert row["MPJPE"] < 5 and row["MPVPE"] < 5
    with pytest.raises(InputError, match="lifts coco.*points joints, not mano"):
        onnx_predictor(tmp_path / "points.onnx", body, MANO)


def test_skeletons_are_lifted_by_the_names_of_their_points(lifter: Lifter) -> None:
    """A pose given as body25 is the same pose given as all points, of which the others are missing."""
    rng, camera = np.random.default_rng(0), Camera.from_focal(600, (480, 640))
    for joint_set in (COCO, HUMAN36, BODY25, HALPE26):
        points = np.ones((2, joint_set.size, 3), np.float32)
        points[..., :2] = rng.uniform(50, 400, (2, joint_set.size, 2))
        # Shoulders above hips: people who do not stand upright are turned first.
        for part, y in (("Shoulder", 120), ("Hip", 300)):
            points[:, [joint_set.names.index(f"{side}_{part}") for side in "LR"], :2] = (200, y)
        points[0, 3] = 0
        whole = np.zeros((2, POINTS.size, 3), np.float32)
        whole[:, point_indices(joint_set)] = points
        named = lifter(Keypoints(joint_set, points), camera)
        same = lifter(Keypoints(POINTS, whole), camera)
        np.testing.assert_allclose(named.vertices, same.vertices, rtol=1e-5, atol=1e-5)
        assert named.keypoints.joint_set is joint_set
        # A vertex is as unsure as the parts that carry it, a joint as the vertices that it is made of.
        inputs = standardise(look_at(whole, camera)[0])
        (parts,) = lifter.session.run(["sigma"], {"pose2d": inputs})
        vertices = np.einsum("vj,njc->nvc", lifter.body.weights.astype(float), parts)
        np.testing.assert_allclose(same.sigma.vertices, vertices, rtol=1e-5)
        np.testing.assert_allclose(
            same.sigma.joints, np.abs(lifter.body.joint_regressor(POINTS)) @ vertices, rtol=1e-4
        )
        np.testing.assert_allclose(named.sigma.vertices, same.sigma.vertices, rtol=1e-5)
        np.testing.assert_allclose(
            named.sigma.joints, same.sigma.joints[:, point_indices(joint_set)], rtol=1e-4
        )
