"""The compact network: exactness of its parts, ONNX, training that resumes to the bit, export."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from openhmr.bodies.body import Body
from openhmr.bodies.shipped import open_body
from openhmr.cli import main
from openhmr.errors import InputError
from openhmr.joints import COCO, HUMAN36, SMPL
from openhmr.lab.config import build
from openhmr.lab.device import read_device
from openhmr.lab.evaluation.lift_benchmark import onnx_predictor
from openhmr.lab.export.compact_pose2mesh import _Graph, build_onnx, export, export_run
from openhmr.lab.models.onnx_weights import start_from
from openhmr.lab.models.pose2mesh.compact import (
    CompactConfig,
    CompactPose2Mesh,
    Graph,
    GraphConv,
    laplacian_table,
)
from openhmr.lab.training.compact_pose2mesh import (
    CompactPose2MeshRun,
    CompactPose2MeshTraining,
    SkinnedStage,
    stages,
)
from openhmr.lab.training.trainer import train
from tests.test_synth import random_pack
from tests.tiny_lifter import write_tiny_model
from tests.tiny_recover import write_tiny_recoverer

SMALL = CompactConfig(hidden=32, stages=2, joint_features=4, graph_features=6)


@pytest.fixture
def network() -> CompactPose2Mesh:
    """Random weights and BatchNorm statistics, so that nothing is zero or one by accident."""
    torch.manual_seed(0)
    net = CompactPose2Mesh(COCO.flip_permutation, open_body(), SMPL.flip_permutation, SMALL)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            torch.nn.init.normal_(module.running_mean)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.5, 2)
    torch.nn.init.normal_(net.mesh_net.conv2.project.weight, std=0.1)
    torch.nn.init.normal_(net.mesh_net.conv2.project.bias, std=0.1)
    torch.nn.init.normal_(net.mesh_net.spread.weight, std=0.1)
    return net.eval()


def poses(count: int, seed: int = 0) -> torch.Tensor:
    x = torch.randn(count, 19, 3, generator=torch.Generator().manual_seed(seed))
    x[..., 2] = x[..., 2].sigmoid()
    return x


def test_graph_convolution_is_chebyshevs() -> None:
    """Against the textbook form in float64 with a dense Laplacian: x W0 + L x W1 + (2 L L x - x) W2."""
    faces = open_body("coarse").faces
    count = faces.max() + 1
    neighbours, values = laplacian_table(faces, count)
    dense = np.zeros((count, count))
    np.add.at(dense, (np.arange(count)[:, None], neighbours), values.astype(np.float64))
    assert np.abs(dense - dense.T).max() < 1e-7 and np.abs(np.linalg.eigvalsh(dense)).max() <= 1 + 1e-6
    conv, graph = GraphConv(5, 7), Graph(faces, count)
    x = torch.randn(count, 2, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    weight, bias = conv.project.weight.double(), conv.project.bias.double()
    w0, w1, w2 = (weight[i * 7 : i * 7 + 7].T for i in range(3))
    b0, b1, b2 = (bias[i * 7 : i * 7 + 7] for i in range(3))
    lap, z = torch.as_tensor(dense), x.double()

    def product(y: torch.Tensor) -> torch.Tensor:
        return torch.einsum("uv,vbf->ubf", lap, y)

    p0, p1, p2 = z @ w0 + b0, z @ w1 + b1, z @ w2 + b2
    expected = p0 + product(p1) + 2 * product(product(p2)) - p2
    out = conv(x, graph)
    assert (out - expected).abs().max() < 1e-5
    gradient = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
    (own,) = torch.autograd.grad(out, x, gradient)
    (reference,) = torch.autograd.grad(expected, x, gradient.double())
    assert (own - reference).abs().max() < 1e-5


def test_skinned_start_is_linear_blend_skinning() -> None:
    """Transforms of a posed mean body, put in by hand, decode to exactly its vertices."""
    from openhmr.lab.synth.pairs import Skeleton
    from openhmr.lab.synth.poses import exp_map

    body = open_body()
    net, skeleton = (
        CompactPose2Mesh(COCO.flip_permutation, body, SMPL.flip_permutation, SMALL).mesh_net,
        Skeleton(body),
    )
    r, t = skeleton.transforms(
        exp_map(torch.randn(2, 24, 3, generator=torch.Generator().manual_seed(0)) * 0.5), torch.zeros(2, 10)
    )
    transforms = net.girth(torch.cat([r, t[..., None]], -1).transpose(1, 2))
    decoded = (transforms.flatten(2) @ net.decode).transpose(1, 2)
    assert (decoded - skeleton.vertices(r, t, torch.zeros(2, 10))).abs().max() < 1e-5


def test_girth_keeps_bones_and_restores_what_lies_across() -> None:
    """Rotations pass unchanged; a shrunken transform keeps its joint and its bone and becomes a rotation
    across it."""
    from openhmr.lab.models.pose2mesh.compact import Girth
    from openhmr.lab.synth.poses import random_rotations

    body = open_body()
    girth, rest = Girth(body), torch.as_tensor(body.J_regressor @ body.v_template)
    r = random_rotations(48, torch.Generator().manual_seed(0), torch.device("cpu")).view(2, 24, 3, 3)
    t = torch.randn(2, 24, 3, 1, generator=torch.Generator().manual_seed(1))
    rigid = torch.cat([r, t], -1).transpose(1, 2)
    assert (girth(rigid) - rigid).abs().max() < 1e-5
    shrunk = torch.cat([r @ torch.diag(torch.tensor([0.9, 0.6, 0.5])), t], -1)
    full = girth(shrunk.transpose(1, 2)).transpose(1, 2)

    def at(m: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
        return (m[..., :3] @ p[..., None] + m[..., 3:])[..., 0]

    assert (at(full, rest) - at(shrunk, rest)).abs().max() < 1e-5
    elbow, wrist = 18, 20
    assert (at(full, rest[[wrist] * 24]) - at(shrunk, rest[[wrist] * 24]))[:, elbow].abs().max() < 1e-5
    across = torch.tensor([0.0, 1, 0]).expand(24, 3)
    grown = (full[..., :3] @ across[..., None]).norm(dim=(-2, -1))[:, [16, 17, 18, 19]]
    assert (grown - 1).abs().max() < 1e-3


def test_rewritten_onnx_equals_torch(network) -> None:
    """Skinning and the Laplacian as one product are the same numbers, before constants are rounded."""
    model = build_onnx(network, open_body())
    exact = [*network.state_dict().values(), torch.tensor(_Graph(network, open_body()).basis)]
    for stored in model.graph.initializer:
        if stored.data_type == onnx.TensorProto.FLOAT16:
            half = torch.tensor(onnx.numpy_helper.to_array(stored))
            (value,) = (v for v in exact if v.shape == half.shape and torch.equal(v.half(), half))
            stored.CopyFrom(onnx.numpy_helper.from_array(value.numpy(), stored.name))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    x = poses(5, seed=3)
    with torch.no_grad():
        expected = network(x)
    for name, value in zip(("vertices", "pose3d", "sigma"), expected, strict=True):
        (found,) = session.run([name], {"pose2d": x.numpy()})
        assert np.abs(found - value.numpy()).max() < 2e-5 * value.abs().max(), name


def test_stored_onnx_equals_torch(network, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    export(network, open_body(), COCO, path, {})
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    x = poses(5)
    vertices, pose3d, sigma = session.run(["vertices", "pose3d", "sigma"], {"pose2d": x.numpy()})
    # Constants of 4096 numbers and more are stored in half precision; the oracle uses the same rounded
    # weights.
    for parameter in network.parameters():
        if parameter.numel() >= 4096:
            parameter.data = parameter.data.half().float()
    with torch.no_grad():
        expected = network(x)
    assert np.abs(vertices - expected[0].numpy()).max() < 3e-3 * np.abs(vertices).max()
    assert np.abs(pose3d - expected[1].numpy()).max() < 1e-4 * np.abs(pose3d).max()
    assert sigma.shape == (5, 24, 3) and np.abs(sigma / expected[2].numpy() - 1).max() < 1e-4
    (one,) = session.run(["vertices"], {"pose2d": x[2:3].numpy()})
    assert np.abs(one[0] - vertices[2]).max() < 1e-5


def test_batch_of_one_and_mirror_symmetry(network) -> None:
    x = poses(4)
    with torch.no_grad():
        vertices, pose3d, sigma = network(x)
        single, *_ = network(x[1:2])
        signs = torch.tensor([-1.0, 1, 1])
        _, mirrored, other = network(x[:, COCO.flip_permutation] * signs)
    assert (single[0] - vertices[1]).abs().max() < 1e-5
    assert (mirrored[:, COCO.flip_permutation] * signs - pose3d).abs().max() < 1e-5
    assert (other[:, SMPL.flip_permutation] / sigma - 1).abs().max() < 1e-5
    assert sigma.min() > 0.0024 and sigma.max() < 2.8 and sigma.std() > 0


def test_gradient_reaches_every_parameter(network) -> None:
    network.train()
    sum(output.square().mean() for output in network(poses(6))).backward()
    for name, parameter in network.named_parameters():
        assert (parameter.grad is not None and parameter.grad.abs().max() > 0) or (
            ".linear" in name and name.endswith("bias")
        ), name


@pytest.fixture
def config(tmp_path: Path) -> CompactPose2MeshRun:
    pack = random_pack(300)
    pack["clip_len"], pack["clip_names"] = np.array([200, 60, 40]), np.array(["7_01", "03_01", "05_01"])
    for key in ("offsets", "tip_offsets"):
        pack[key] = np.repeat(pack[key], 3, 0)
    np.savez(tmp_path / "pack.npz", **pack)
    data = {
        "joint_set": "coco",
        "motion": str(tmp_path / "pack.npz"),
        "model": dataclasses.asdict(SMALL),
        "evaluation_poses": 64,
        "stage1": {"steps": 6, "batch": 16, "warmup": 2, "evaluate_every": 100, "checkpoint_every": 3},
        "stage2": {"steps": 3, "batch": 4, "warmup": 1, "evaluate_every": 100, "checkpoint_every": 3},
    }
    return build(CompactPose2MeshRun, data)


def test_training_resumes_to_the_bit_and_exports(config: CompactPose2MeshRun, tmp_path: Path) -> None:
    def both(folder: Path) -> CompactPose2Mesh:
        for name, recipe in stages(config, None, torch.device("cpu")):
            train(recipe, folder / name)
        return recipe.network

    whole = both(tmp_path / "whole")
    first, half = next(stages(config, None, torch.device("cpu")))
    train(half, tmp_path / "cut" / first, 3)
    resumed = both(tmp_path / "cut")
    for (name, a), b in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        if not a.is_sparse_csr:
            assert torch.equal(a, b), name
    (tmp_path / "cut" / "config.json").write_text(json.dumps(dataclasses.asdict(config)))
    path = export_run(tmp_path / "cut", tmp_path / "net.onnx")
    again = CompactPose2MeshTraining(config, torch.device("cpu"))
    assert start_from(again.network, path) == []
    for a, b in zip(again.network.parameters(), resumed.parameters(), strict=True):
        assert (a - b).abs().max() <= 1e-3 * b.abs().max() + 1e-7
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map["joint_set"] == "coco"
    with pytest.raises(InputError, match="not a run folder"):
        export_run(tmp_path / "nothing", tmp_path / "x.onnx")


def test_initial_weights_follow_from_the_seed_alone(config: CompactPose2MeshRun) -> None:
    """They are those of runs before this test was written, and the global generator is left alone."""
    torch.manual_seed(5)
    before = torch.get_rng_state()
    network = CompactPose2MeshTraining(config, torch.device("cpu")).network
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(config.seed)
    same = CompactPose2Mesh(COCO.flip_permutation, open_body(), SMPL.flip_permutation, SMALL)
    for a, b in zip(network.parameters(), same.parameters(), strict=True):
        assert torch.equal(a, b)


def test_both_precisions_train(config: CompactPose2MeshRun) -> None:
    """Losses of the first step agree but for the rounding of bfloat16."""
    losses = {}
    for name in ("float32", "bf16"):
        work = CompactPose2MeshTraining(dataclasses.replace(config, precision=name), torch.device("cpu"))
        recipe = SkinnedStage(work)
        assert recipe.precision.name == name
        terms = recipe.loss(recipe.network, 0, torch.Generator().manual_seed(0))
        losses[name] = {key: value.item() for key, value in terms.items()}
    assert losses["bf16"] == pytest.approx(losses["float32"], rel=0.05)
    assert losses["bf16"]["pose"] != losses["float32"]["pose"]


def test_the_command_trains_records_and_says_what_changed(
    config: CompactPose2MeshRun,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    data = dataclasses.asdict(config) | {"precision": "float32"}
    (tmp_path / "small.yml").write_text(json.dumps(json.loads(json.dumps(data))))
    command = ["lab", "train", str(tmp_path / "small.yml"), "--out", str(tmp_path / "run")]
    assert main(command) == 0
    numbers = json.loads(capsys.readouterr().out)
    assert numbers.keys() == {f"coco_{n}_{m}" for n in ("true", "noisy") for m in ("mpjpe", "pa_mpjpe")}
    run = json.loads((tmp_path / "run" / "config.json").read_text())
    assert run["system"] == "compact_pose2mesh" and run["precision"] == "float32"
    assert run["config"]["stage1"]["steps"] == 6 and run["body"] == open_body().content_hash()
    assert {p.name for p in (tmp_path / "run" / "stage2").iterdir()} >= {"state.safetensors", "metrics.png"}
    assert main([*command, "--set", "stage2.lr=0.5"]) == 0  # finished: the same weights, the same errors
    assert json.loads(capsys.readouterr().out) == numbers
    assert "goes on with changed settings: stage2.lr 0.0003 -> 0.5" in caplog.text
    assert main([*command, "--set", "joint_set=human36"]) == 2
    assert "joint_set 'coco', not 'human36'" in capsys.readouterr().err


def test_four_samples_are_learned_by_heart(config: CompactPose2MeshRun) -> None:
    work = CompactPose2MeshTraining(dataclasses.replace(config, joint_set="human36"), torch.device("cpu"))
    batch = work.source(4, torch.Generator().manual_seed(0))
    target = work.source.skeleton.vertices(batch.rotations, batch.translations, batch.betas)
    optimizer = torch.optim.Adam(work.network.parameters(), 3e-3)
    for _ in range(150):
        optimizer.zero_grad()
        loss = (work.network(batch.pose2d)[0] - target).abs().mean()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.02
    assert work.joint_set is HUMAN36


def test_a_path_that_cannot_be_written_is_named_before_anything_is_computed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for out, reason in ((tmp_path, "it is a folder"), (tmp_path / "no" / "x.onnx", "there is no folder")):
        assert main(["lab", "export", str(tmp_path / "run"), "--out", str(out)]) == 2
        assert f"error: {out} cannot be written: {reason}" in capsys.readouterr().err


def test_devices() -> None:
    assert read_device("cpu") == torch.device("cpu")
    for name in ("bogus", "", "cpu:x", "meta", "cuda:99"):
        with pytest.raises(InputError, match="choose one of cpu"):
            read_device(name)


def test_other_models_are_no_predictors(tmp_path: Path, tiny_body: Body) -> None:
    good = write_tiny_model(tmp_path / "good.onnx", tiny_body, "coco", 19)
    predict, layout = onnx_predictor(good, tiny_body, COCO)
    assert layout is COCO and predict(SimpleNamespace(pose2d=poses(3))).shape == (
        3,
        len(tiny_body.level("coarse").vertex_ids),
        3,
    )
    content = (tmp_path / "good.onnx").read_bytes()
    (tmp_path / "cut.onnx").write_bytes(content[: len(content) // 2])
    (tmp_path / "jpeg.onnx").write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
    model = onnx.load(write_tiny_recoverer(tmp_path / "plain.onnx", tiny_body))
    onnx.helper.set_model_props(model, {"joint_set": "coco", "body": tiny_body.content_hash()})
    onnx.save(model, tmp_path / "image.onnx")
    write_tiny_model(tmp_path / "human36.onnx", tiny_body, "human36", 17)
    for name, cause in (
        ("cut", "cut.onnx is not a readable ONNX model"),
        ("jpeg", "jpeg.onnx is not a readable ONNX model"),
        ("image", "image.onnx takes image .* pose2d of shape"),
        ("human36", "this model lifts human36.* joints, not coco"),
        ("missing", "missing.onnx does not exist"),
    ):
        with pytest.raises(InputError, match=cause):
            onnx_predictor(tmp_path / f"{name}.onnx", tiny_body, COCO)
