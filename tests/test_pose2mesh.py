"""The official network, fast and plain, against recorded outputs and against each other in float64."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from openhmr.errors import InputError
from openhmr.joints import COCO, HUMAN36, MANO, SMPL
from openhmr.lab.graphs.mesh_graph import build
from openhmr.lab.models.pose2mesh.graph_conv import graph_conv, norm_relu
from openhmr.lab.models.pose2mesh.losses import LossConfig, pose2mesh_loss
from openhmr.lab.models.pose2mesh.meshnet import MeshNet
from openhmr.lab.models.pose2mesh.network import Pose2Mesh, official
from openhmr.lab.models.pose2mesh.sparse import graph_levels, select_nodes
from tests.pose2mesh_weights import fill, scale_matrices
from tests.twins import PlainMeshNet, PlainPose2Mesh

CASES = {"human36_ico642": HUMAN36, "mano_hand": MANO, "smpl_body3k": SMPL, "coco_body6k": COCO}


def faces_of(data, mesh: str) -> np.ndarray:
    with np.load(data / "pose2mesh" / "meshes.npz") as meshes:
        return meshes[f"{mesh}_f"]


@pytest.fixture(scope="module")
def graph(data):
    return build(faces_of(data, "ico642"), HUMAN36, 9)


@pytest.fixture
def float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="module", params=CASES)
def case(request, data):
    """A recorded case: its network with weights of gain 1, the plain twin of its MeshNet, the recording, the
    name."""
    model = official(CASES[request.param], faces_of(data, request.param.split("_")[1]))
    fill(model)
    plain = PlainMeshNet(model.graph)
    plain.load_state_dict(model.pose2mesh.state_dict())
    return (
        model.eval(),
        plain.eval(),
        dict(np.load(data / "pose2mesh" / f"model_{request.param}.npz")),
        request.param,
    )


def assert_close(actual: torch.Tensor, expected: np.ndarray) -> None:
    torch.testing.assert_close(
        actual, torch.as_tensor(expected), rtol=1e-4, atol=1e-5 * float(np.abs(expected).max())
    )


def test_state_dict_is_the_official_one(case, data):
    model, _, _, name = case
    shapes = json.loads((data / "pose2mesh" / "state_dict_shapes.json").read_text())[name]
    assert [(k, list(v.shape)) for k, v in model.state_dict().items()] == list(shapes.items())


@torch.no_grad()
def test_recorded_outputs(case):
    """At both gains, largest first (the weights are scaled in place)."""
    model, plain, recorded, name = case
    step = 10 if "body" in name else 1
    for gain in ("1.0", "0.5"):
        nodes, pose3d = model(torch.as_tensor(recorded["pose2d"]))
        assert_close(pose3d, recorded[f"pose3d_g{gain}"])
        assert_close(pose3d.flatten(1), recorded[f"posenet_out_g{gain}"])
        expected = recorded[f"mesh_nodes_g{gain}"]
        assert_close(nodes[: len(expected)], expected)
        assert_close(model.vertices(nodes)[: len(expected), ::10], recorded[f"mesh_verts_g{gain}"])
        torch.testing.assert_close(
            model.predict(torch.as_tensor(recorded["pose2d"]))[0], model.vertices(nodes), rtol=0, atol=1e-5
        )
        joints = torch.as_tensor(recorded[f"meshnet_in_g{gain}"])
        for mesh in (model.pose2mesh, plain):
            assert_close(mesh.vertices(joints)[:, ::step], recorded[f"meshnet_out_g{gain}"])
        joints = torch.cat([torch.as_tensor(recorded["pose2d"]), pose3d / 1000], -1)
        _assert_layer_statistics(plain, joints, recorded[f"layer_stats_g{gain}"])
        scale_matrices(model, 0.5)
        scale_matrices(plain, 0.5)
    for module in (model, plain):
        scale_matrices(module, 4.0)


def _assert_layer_statistics(plain: PlainMeshNet, joints: torch.Tensor, expected: np.ndarray) -> None:
    """Mean, deviation and largest value of every convolution's output (after batch normalisation, before
    ReLU), fake nodes too."""
    found: list[list[float]] = []

    def note(_module, _inputs, y):
        found.append([y.mean(), y.std(), y.abs().max()])

    handles = [module.register_forward_hook(note) for module in (*plain.bn, plain.cl[-1])]
    plain(joints)
    for handle in handles:
        handle.remove()
    torch.testing.assert_close(torch.tensor(found), torch.as_tensor(expected).float(), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_batch_of_one_equals_its_row(case):
    model, _, recorded, _ = case
    pose2d = torch.as_tensor(recorded["pose2d"])
    for whole, one in zip(model(pose2d), model(pose2d[1:2]), strict=True):
        torch.testing.assert_close(whole[1:2], one, rtol=1e-4, atol=1e-5 * float(whole.abs().max()))


@pytest.mark.parametrize("mesh, joint_set, levels", [("ico642", HUMAN36, 9), ("hand", MANO, 6)])
@pytest.mark.parametrize("training", [False, True])
def test_fast_equals_plain(data, float64, mesh, joint_set, levels, training):
    """In float64: all nodes, the gradients of every parameter and of the input, and the running
    statistics."""
    graph = build(faces_of(data, mesh), joint_set, levels)
    twins = [MeshNet(graph), PlainMeshNet(graph)]
    fill(twins[0], "pose2mesh.")
    twins[1].load_state_dict(twins[0].state_dict())
    joints = torch.randn(3, joint_set.size, 5, generator=torch.Generator().manual_seed(1))
    results = []
    for twin in twins:
        x = joints.clone().requires_grad_()
        nodes = twin.train(training)(x)
        (nodes * torch.linspace(0, 1, nodes.numel()).view_as(nodes).sin()).sum().backward()
        results.append(
            {
                "nodes": nodes,
                "input": x.grad,
                **{k: p.grad for k, p in twin.named_parameters()},
                **dict(twin.named_buffers()),
            }
        )
    for key, expected in results[1].items():
        if key in results[0] and not key.startswith(("laplacian", "vertex")):
            # A bias before batch normalisation has no gradient but rounding noise.
            zero = (
                training
                and key.startswith("cl.")
                and key.endswith("bias")
                and key != f"cl.{len(twins[0].bn)}.bias"
            )
            scale = 1.0 if zero else float(expected.detach().abs().max())
            torch.testing.assert_close(
                results[0][key], expected, rtol=0, atol=1e-9 * scale, msg=lambda m, key=key: f"{key}: {m}"
            )
    assert {"fc.weight", "cl.0.weight", "bn.3.running_var", "bn.3.num_batches_tracked", "input"} <= set(
        results[0]
    )


def test_selection_counts_every_padded_node(graph):
    for k, (all_nodes, real) in enumerate(
        zip(select_nodes(graph, True), select_nodes(graph, False), strict=True)
    ):
        size, is_real = len(graph.orders[k]), graph.orders[k] < graph.real[k]
        assert all_nodes.counts.sum() == size and np.all(np.bincount(all_nodes.expand) == all_nodes.counts)
        assert np.array_equal(real.nodes, np.flatnonzero(is_real)) and np.all(
            all_nodes.counts[is_real[all_nodes.nodes]] == 1
        )
        assert len(all_nodes.nodes) < size or k > 0


def test_operations_gradcheck(float64):
    graph = build(np.array([[0, 1, 2], [0, 3, 1], [1, 3, 2], [0, 2, 3]]), HUMAN36, 2)
    level = graph_levels(graph, fakes=False)[1]
    n = len(level.counts)
    rng = torch.Generator().manual_seed(0)

    def random(*shape):
        return torch.randn(*shape, generator=rng, requires_grad=True)

    assert torch.autograd.gradcheck(
        lambda x, w, b: graph_conv(x, w, b, level.conv), (random(2, n, 3), random(6, 3), random(6))
    )
    norm, counts = nn.BatchNorm1d(3), torch.arange(1.0, n + 1)
    assert torch.autograd.gradcheck(lambda x: norm_relu(x, counts, norm), (random(2, n, 3),))


def test_norm_of_counted_rows_is_batchnorm_of_repeated_rows():
    rng = torch.Generator().manual_seed(0)
    x, counts = torch.randn(2, 5, 3, generator=rng).double(), torch.tensor([1, 4, 2, 1, 8])
    ours, theirs = nn.BatchNorm1d(3).double(), nn.BatchNorm1d(3).double()
    y = norm_relu(x, counts.double(), ours)
    repeated = x.repeat_interleave(counts, 1)
    torch.testing.assert_close(
        y.repeat_interleave(counts, 1).flatten(0, 1), torch.relu(theirs(repeated.flatten(0, 1)))
    )
    for key, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[key], value)


@pytest.fixture(scope="module")
def recorded_step(data):
    return {
        k: torch.as_tensor(v) if v.dtype.kind == "f" else v
        for k, v in np.load(data / "pose2mesh" / "train_step.npz").items()
    }


@pytest.mark.parametrize("plain", [False, True])
def test_recorded_training_step(graph, data, recorded_step, plain):
    """Losses, gradients and parameters of the first step, at the recording's tolerances for the plain form on
    two threads.

    The fast form sums in another order: the recording advises 5e-3 for gradient norms then, and the
    parameters follow them, since RMSprop's first step takes the sign of a gradient down to rounding noise
    (its strict test is against the plain form, in float64).
    """
    torch.set_num_threads(2)
    gradient_tolerance, parameter_tolerance = (1e-4, 1e-5) if plain else (5e-3, 2e-2)
    r = recorded_step
    model = (PlainPose2Mesh if plain else Pose2Mesh)(graph)
    fill(model)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    optimizer = torch.optim.RMSprop(model.train().parameters(), lr=float(r["lr"]))
    target = {"mesh": r["gt_mesh"], "reg_pose3d": r["gt_reg"], "lift_pose3d": r["gt_lift"]}
    target |= {
        f"{k}_valid": r[v]
        for k, v in (("mesh", "v_mesh"), ("reg_pose3d", "v_reg"), ("lift_pose3d", "v_lift"))
    }
    nodes, pose3d = model(r["pose2d"])
    faces = torch.as_tensor(faces_of(data, "ico642")).long()
    terms = pose2mesh_loss(model.vertices(nodes), pose3d, target, faces, r["jreg"], 99, LossConfig())
    found = torch.stack([terms[k] for k in ("vertex", "normal", "edge", "joint", "lift")]).double()
    torch.testing.assert_close(found, r["step1_terms_vnejl"], rtol=1e-4, atol=0)
    sum(terms.values()).backward()
    parameters = dict(model.named_parameters())
    assert sorted(k for k, p in parameters.items() if p.grad is None) == sorted(
        r["params_without_grad"].tolist()
    )

    def noise(key: str) -> bool:
        """A bias that batch normalisation cancels: its true gradient is zero."""
        return key.endswith(".bias") and (
            (".cl." in key and ".cl.20." not in key) or ("stages" in key and ".w1." in key)
        )

    for key, norm in zip(r["grad_keys"].tolist(), r["step1_gradnorms"].tolist(), strict=True):
        assert noise(key) or parameters[key].grad.norm().item() == pytest.approx(
            norm, rel=gradient_tolerance
        ), key
        assert norm > 0 and torch.isfinite(parameters[key].grad).all()
    optimizer.step()
    state = model.state_dict()
    for key, norm in zip(r["step1_param_keys"].tolist(), r["step1_param_norms"].tolist(), strict=True):
        assert noise(key) or state[key].double().norm().item() == pytest.approx(
            norm, rel=parameter_tolerance, abs=1e-6
        ), key


def test_gradient_reaches_every_parameter(graph):
    mesh = MeshNet(graph)
    mesh(torch.randn(2, HUMAN36.size, 5)).square().sum().backward()
    for key, parameter in mesh.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, key


def test_mesh_gradient_does_not_reach_posenet(graph):
    model = Pose2Mesh(graph)
    model(torch.randn(2, HUMAN36.size, 2))[0].sum().backward()
    assert all(p.grad is None for p in model.pose_lifter.parameters())
    assert model.pose2mesh.fc.weight.grad.abs().max() > 0


@torch.no_grad()
def test_networks_share_a_graph_and_leave_it_alone(graph):
    digest = graph.digest
    first, second = MeshNet(graph).eval(), MeshNet(graph).eval()
    second.load_state_dict(first.state_dict())
    x = torch.randn(1, HUMAN36.size, 5)
    assert torch.equal(first(x), second(x)) and torch.equal(first(x), first(x))
    assert graph.digest == digest and not any("laplacian" in k or "indices" in k for k in first.state_dict())


def test_wrong_uses_are_refused(graph, data):
    with pytest.raises(InputError, match="eval"):
        MeshNet(graph).vertices(torch.zeros(2, HUMAN36.size, 5))
    with pytest.raises(InputError, match="4 coarsenings"):
        MeshNet(build(faces_of(data, "ico642"), HUMAN36, 4))
    faces = faces_of(data, "hand")
    with pytest.raises(InputError, match="joint set 'muco' is not one of human36, coco, smpl, mano"):
        official("muco", faces)
    with pytest.raises(InputError, match=r"4 levels are given; Pose2Mesh has networks for \[6, 9\]"):
        official(MANO, faces, levels=4)
    with pytest.raises(InputError, match="a hidden width of 0 is given; it must be 1 or more"):
        official("mano", faces, hidden=0)


def test_joint_sets_go_by_name_and_widths_by_argument(data):
    faces = faces_of(data, "hand")
    by_name, by_set = official("mano", faces, hidden=8), official(MANO, faces, hidden=16)
    assert by_name.graph.levels == 6 and by_name.graph.digest == by_set.graph.digest
    assert by_name.pose_lifter.w1.out_features == 8 and by_set.pose_lifter.w1.out_features == 16
