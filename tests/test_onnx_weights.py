"""Weights are kept once: what an exported file holds is what training starts from."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from openhmr.bodies.shipped import open_body
from openhmr.errors import InputError
from openhmr.joints import COCO, HUMAN36, POINTS, SMPL, JointSet, point_indices
from openhmr.lab.export import compact_i2l, compact_pose2mesh
from openhmr.lab.export.compact_i2l import Mirrored
from openhmr.lab.export.onnx_files import HALF_FROM, RECOVER_OUTPUTS
from openhmr.lab.models.i2l_meshnet.compact import UNUSED, CompactI2L, CompactI2LConfig
from openhmr.lab.models.onnx_weights import read_onnx_weights, start_from
from openhmr.lab.models.pose2mesh.compact import CompactConfig, CompactPose2Mesh
from openhmr.lab.training.compact_i2l import untrained

NARROW = CompactI2LConfig(
    joint_depth_channels=2,
    mesh_channels=8,
    depth_channels=2,
    global_features=16,
    token_width=8,
    token_features=2,
    nudge_width=16,
    regressor_width=16,
)
SHIPPED = Path(__file__).parents[1] / "src" / "openhmr" / "assets" / "weights"


def pose2mesh(joint_set: JointSet = COCO, config: CompactConfig | None = None) -> CompactPose2Mesh:
    return CompactPose2Mesh(joint_set.flip_permutation, open_body(), SMPL.flip_permutation, config)


def disturbed(network: nn.Module) -> nn.Module:
    """The network in evaluation mode with statistics that are not those of an untrained BatchNorm."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
            module.weight.data.uniform_(0.5, 2, generator=generator)
    return network.eval()


def stored(value: torch.Tensor) -> torch.Tensor:
    return value.half().float() if value.numel() >= HALF_FROM else value


def assert_same_state(found: nn.Module, expected: nn.Module, without: tuple[str, ...] = ()) -> None:
    own = found.state_dict()
    for name, value in expected.state_dict().items():
        if value.is_floating_point() and not name.startswith(without):
            assert torch.equal(own[name], stored(value)), name


def test_pose2mesh_comes_back_from_its_file(tmp_path: Path) -> None:
    config = CompactConfig(hidden=72, stages=2, joint_features=4, graph_features=6)
    network = disturbed(pose2mesh(config=config))
    compact_pose2mesh.export(network, open_body(), COCO, tmp_path / "net.onnx", {})
    again = pose2mesh(config=config)
    assert start_from(again, tmp_path / "net.onnx") == []
    assert_same_state(again, network)
    # A network of another joint set takes what fits.
    other = pose2mesh(HUMAN36, config)
    left = start_from(other, tmp_path / "net.onnx")
    assert left == [f"pose_net.{name}" for name in ("input.weight", "output.bias", "output.weight")]


def test_i2l_comes_back_from_its_file_and_computes_the_same(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = disturbed(untrained(open_body(), NARROW))
    assert isinstance(network, CompactI2L)
    network.joint_calibration.uniform_(0.5, 1.5)
    network.vertex_calibration.uniform_(0.5, 1.5)
    compact_i2l.export(network, open_body(), tmp_path / "net.onnx", {"step": 3})
    again = untrained(open_body(), NARROW)
    left = start_from(again, tmp_path / "net.onnx")
    assert left == sorted(n for n, _ in network.named_parameters() if n.startswith(UNUSED))
    assert_same_state(again, network, UNUSED)
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    assert {o.name: o.shape[1:] for o in session.get_outputs()} == {
        name: list(value.shape[1:])
        for name, value in zip(RECOVER_OUTPUTS, Mirrored(again.eval(), open_body())(IMAGE), strict=True)
    }
    found = session.run(list(RECOVER_OUTPUTS), {"image": IMAGE.numpy()})
    with torch.no_grad():
        expected = Mirrored(again, open_body())(IMAGE)
    for name, a, b in zip(RECOVER_OUTPUTS, found, expected, strict=True):
        # The body's own tables (skinning weights, regressors) are stored in half precision too.
        np.testing.assert_allclose(a, b.numpy(), atol=5e-3, rtol=5e-3, err_msg=name)


IMAGE = torch.rand(2, 3, 256, 256, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("joint_set", [POINTS, COCO, HUMAN36], ids=lambda s: s.name)
def test_shipped_pose2mesh_is_the_network_to_start_from(joint_set: JointSet) -> None:
    """Also of one skeleton alone: its network is the same function on poses that have no other points."""
    network = pose2mesh(joint_set)
    assert start_from(network, "pose2mesh", joint_set) == []
    session = onnxruntime.InferenceSession(SHIPPED / "pose2mesh.onnx", providers=["CPUExecutionProvider"])
    pose = torch.randn(3, joint_set.size, 3, generator=torch.Generator().manual_seed(0))
    whole = np.zeros((3, POINTS.size, 3), np.float32)
    whole[:, point_indices(joint_set)] = pose.numpy()
    with torch.no_grad():
        vertices, pose3d, sigma = network.eval()(pose)
    found = session.run(["vertices", "pose3d", "sigma"], {"pose2d": whole})
    # The body's own tables (skinning weights and their Laplacians) are stored in half precision.
    assert np.abs(found[0] - vertices.numpy()).max() < 1e-3
    assert np.abs(found[1][:, point_indices(joint_set)] - pose3d.numpy()).max() < 1e-5
    assert np.abs(found[2] / sigma.numpy() - 1).max() < 1e-4


def test_the_image_network_takes_the_shipped_pose2mesh_inside() -> None:
    network = untrained(open_body(), NARROW)
    assert start_from(network.lifter, "pose2mesh", COCO) == []
    whole = read_onnx_weights(SHIPPED / "pose2mesh.onnx")["pose_net.input.weight"].unflatten(1, (-1, 3))
    inside = network.lifter.pose_net.input.weight.unflatten(1, (-1, 3))
    for row, name in enumerate(COCO.names):
        assert torch.equal(inside[:, row], whole[:, POINTS.names.index(name)])


def test_shipped_i2l_has_all_that_training_needs() -> None:
    network = untrained(open_body(), CompactI2LConfig())
    # How deviations grow outside of the crop, and how they are calibrated, is younger than these weights.
    younger = tuple(n for n in network.state_dict() if n.endswith((".doubt.share", "_calibration")))
    assert len(younger) == 5
    assert all(name.startswith(UNUSED + younger) for name in start_from(network, "i2l-body"))
    names = {t.name for t in onnx.load(SHIPPED / "i2l-body.onnx").graph.initializer}
    norms = {n.rsplit(".", 1)[0] for n, _ in network.named_buffers() if n.endswith("running_var")}
    assert norms and all(
        f"{n}.{k}" in names for n in norms for k in ("running_mean", "running_var", "weight")
    )


@pytest.mark.parametrize("content", [None, b"", b"\xff\xd8\xff\xe0", b"half"])
def test_what_is_no_onnx_model_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "net.onnx"
    if content == b"half":
        whole = (SHIPPED / "pose2mesh.onnx").read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"net\.onnx is missing or no ONNX model"):
        read_onnx_weights(path)


def test_a_start_that_is_not_there_names_what_is(tmp_path: Path) -> None:
    with pytest.raises(
        InputError,
        match=r"no weights at .*gone; give a shipped model \(.*i2l-body, pose2mesh-mano, pose2mesh\)",
    ):
        start_from(nn.Linear(1, 1), tmp_path / "gone")


def test_a_start_of_another_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no tensor of pose2mesh fits this network"):
        start_from(nn.Linear(1, 1), "pose2mesh")
