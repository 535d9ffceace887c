"""The parts of I2L-MeshNet: recorded units and steps, and small networks in float64 against their slow
twins."""

import json

import numpy as np
import pytest
import torch

from openhmr.bodies.mano import mano_joints21
from openhmr.bodies.smpl import smpl_face_regressor
from openhmr.errors import InputError
from openhmr.lab.models.i2l_meshnet import losses, official
from openhmr.lab.models.i2l_meshnet.heads import LixelHead, soft_argmax
from openhmr.lab.models.i2l_meshnet.param import (
    matrix_to_quaternion,
    quaternion_to_axis_angle,
    rotation_6d_to_matrix,
)
from openhmr.lab.models.i2l_meshnet.pose2feat import Pose2Feat, gaussian_profiles
from openhmr.lab.models.i2l_meshnet.resnet import ResNet
from openhmr.lab.skinning import SkinningLayer, axis_angle_to_matrix
from tests.i2l_networks import recorded, recorded_body
from tests.pose2mesh_weights import fill, scale_matrices
from tests.twins import PlainLixelHead, PlainPose2Feat, PlainResNet, gaussian_volume


def read(data, name: str) -> dict[str, torch.Tensor]:
    with np.load(data / "i2l" / name) as file:
        return {k: torch.as_tensor(v) for k, v in file.items() if v.dtype.kind != "U"}


def test_recorded_units(data):
    unit = read(data, "units.npz")
    assert (soft_argmax(unit["softargmax_in"]) - unit["softargmax_out"][..., 0]).abs().max() < 5e-5
    volume = gaussian_volume(unit["gauss_coord"])
    assert (volume[:, :, ::4, ::4, ::4] - unit["gauss_heatmap_s4"]).abs().max() < 1e-6
    torch.testing.assert_close(volume.double().sum((2, 3, 4)), unit["gauss_sum"], rtol=1e-6, atol=0)
    x, y, z = gaussian_profiles(unit["gauss_coord"]).unbind(2)
    assert (z[..., :, None, None] * y[..., None, :, None] * x[..., None, None, :] - volume).abs().max() < 1e-6
    matrices = rotation_6d_to_matrix(unit["rot6d_in"])
    assert (matrices - unit["rot6d_mat"]).abs().max() < 1e-6
    quaternions = matrix_to_quaternion(unit["rot6d_mat"])
    assert (quaternions - unit["rotmat_quat_wxyz"]).abs().max() < 1e-6
    assert (quaternion_to_axis_angle(unit["rotmat_quat_wxyz"]) - unit["rotmat_axisangle"]).abs().max() < 1e-6
    assert (axis_angle_to_matrix(unit["rodrigues_in"]).flatten(1) - unit["rodrigues_out"]).abs().max() < 1e-6


def test_gradients_of_the_rotations():
    x = torch.randn(
        20, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True
    )
    assert torch.autograd.gradcheck(
        lambda x: quaternion_to_axis_angle(matrix_to_quaternion(rotation_6d_to_matrix(x))), x
    )
    identity = torch.tensor([[1.0, 0, 0, 1, 0, 0]], requires_grad=True)
    quaternion_to_axis_angle(matrix_to_quaternion(rotation_6d_to_matrix(identity))).sum().backward()
    assert identity.grad.isnan().any(), "as officially"


@pytest.mark.parametrize("kind", ["body", "hand"])
def test_recorded_skinning(data, kind):
    recording, layer = read(data, f"layer_{kind}.npz"), SkinningLayer(recorded_body(kind))
    unit, atol = (1000, 1e-2) if kind == "hand" else (1, 1e-5)
    pose, shape, trans = recording["pose"], recording["shape"], recording["trans"]
    for name, betas, shift in (
        ("pst", shape, trans),
        ("ps", shape, None),
        ("p0", torch.zeros_like(shape), None),
    ):
        vertices, joints = layer(pose, betas, shift)
        joints = (
            torch.as_tensor(mano_joints21(vertices.numpy(), joints.numpy())) if kind == "hand" else joints
        )
        assert (vertices[:, ::5] * unit - recording[f"verts_{name}_s5"]).abs().max() < atol
        assert (joints * unit - recording[f"joints_{name}"]).abs().max() < atol


def test_recorded_body_regressor(data):
    recording, regressor = read(data, "layer_body.npz"), smpl_face_regressor(recorded_body("body"))
    assert np.array_equal(regressor.argmax(1), recording["joint_regressor_argmax"])
    np.testing.assert_allclose(regressor.sum(1), recording["joint_regressor_rowsum"], rtol=1e-6)


def test_skinning_without_pose_blendshapes_has_a_gradient(tiny_body):
    layer = SkinningLayer(tiny_body).double()
    pose = torch.randn(2, 72, dtype=torch.float64, requires_grad=True)
    betas = torch.randn(2, 10, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p, b: layer(p, b)[0][:, ::7], (pose, betas))
    layer.posedirs = layer.posedirs[..., :0]
    assert layer(pose, betas)[0].shape == (2, 42, 3)


def test_recorded_losses(data):
    r = read(data, "losses.npz")
    out, gt, valid, faces = r["coord_out"], r["coord_gt"], r["valid"], r["face"]
    found = {
        "coord_loss": losses.coordinate_loss(out, gt, valid),
        "coord_loss_is3D": losses.coordinate_loss(out, gt, valid, r["is_3D"]),
        "normal_loss": losses.normal_loss(out, gt, valid, faces),
        "edge_loss": losses.edge_loss(out, gt, valid, faces),
        "param_loss": losses.coordinate_loss(r["param_out"], r["param_gt"], r["param_valid"]),
    }
    for name, value in found.items():
        torch.testing.assert_close(value, r[name], rtol=1e-5, atol=1e-6, msg=lambda m, n=name: f"{n}: {m}")


def test_dataset_joints_can_be_left_out(tiny_body):
    generator = torch.Generator().manual_seed(0)
    points = {"joint_coord_img": 29, "mesh_coord_img": 42, "joint_img_from_mesh": 29}
    out = {k: torch.rand(2, n, 3, generator=generator) for k, n in points.items()}
    target = {k: torch.zeros(2, 29, 3) for k in ("fit_joint_img", "orig_joint_img")} | {
        "fit_mesh_img": torch.rand(2, 42, 3)
    }
    target |= {
        k: torch.ones(2, n, 1)
        for k, n in (("fit_joint_trunc", 29), ("orig_joint_trunc", 29), ("fit_mesh_trunc", 42))
    }
    target |= {"is_valid_fit": torch.ones(2), "is_3D": torch.ones(2)}
    faces = torch.tensor(tiny_body.faces).long()
    every, some = (
        losses.lixel_losses(out, target, faces),
        losses.lixel_losses(out, target, faces, dataset_joints=False),
    )
    assert every.keys() - some.keys() == {"joint_orig", "mesh_joint_orig"}
    assert losses.total_loss(every).item() == pytest.approx(sum(t.mean().item() for t in every.values()))


def grad_norm(parameter: torch.Tensor) -> float:
    return parameter.grad.double().norm().item()


def test_recorded_head_step(data):
    r, expected = (
        read(data, "head_step.npz"),
        json.loads((data / "i2l" / "head_step.json").read_text())["float32"],
    )
    with torch.device("meta"):
        head = LixelHead(2048, 29)
    fill(head.to_empty(device="cpu"), "pose_net.")
    scale_matrices(head, 1.2)
    x = torch.as_tensor(
        np.random.default_rng(41).standard_normal((8, 2048, 8, 8)).astype(np.float32)
    ).requires_grad_()
    assert [x.double().sum().item(), x.double().abs().sum().item()] == pytest.approx(r["x_check"].tolist())
    out = head.train()(x)
    assert (out - r["coord_out"]).abs().max() < 1e-3
    loss = losses.coordinate_loss(out, r["gt"], r["valid"], r["is_3D"]).mean()
    loss.backward()
    assert loss.item() == pytest.approx(expected["loss"], rel=1e-5)
    assert grad_norm(x) == pytest.approx(expected["input_grad_norm"], rel=1e-3)
    torch.testing.assert_close(
        x.grad[:, ::64], r["input_grad_s"], rtol=1e-2, atol=1e-3 * r["input_grad_s"].abs().max().item()
    )
    for name, parameter in head.named_parameters():
        # A bias before softmax or normalisation has no effect: its true gradient is 0.
        if not (name.startswith("conv_") and name.endswith("0.bias")):
            assert grad_norm(parameter) == pytest.approx(expected["grad_norm"][name], rel=1e-3), name


@pytest.mark.parametrize("kind", ["body", "hand"])
def test_recorded_regressor_step(data, kind):
    r, expected = (
        read(data, f"param_step_{kind}.npz"),
        json.loads((data / "i2l" / f"param_step_{kind}.json").read_text())["float32"],
    )
    network = recorded(kind, recorded_body(kind), 1.2, ("param_regressor",)).train()
    regressor = network.param_regressor
    out = network.parameters_of(r["joints_lixel"])
    mesh_atol = 5e-3 if kind == "hand" else 1e-4
    for name, found, atol in (
        ("pose_out", out["pose_param"], 1e-4),
        ("shape_out", out["shape_param"], 1e-4),
        ("joint_cam_out", out["joint_coord_cam"], mesh_atol),
        ("mesh_cam_out_s10", out["mesh_coord_cam"][:, ::10], mesh_atol),
    ):
        assert (found - r[name]).abs().max() < atol, name
    target = {"pose_param": r["pose_gt"], "shape_param": r["shape_gt"], "orig_joint_valid": r["orig_valid"]}
    target |= {"orig_joint_cam": r["joint_orig_cam"], "fit_joint_cam": r["joint_fit_cam"]}
    terms = losses.param_losses(out, r | target)
    losses.total_loss(terms).backward()
    for name, value in expected["losses"].items():
        assert terms[name].mean().item() == pytest.approx(value, rel=1e-4), name
    before = {k: p.detach().clone() for k, p in regressor.named_parameters()}
    torch.optim.Adam(regressor.parameters(), 1e-4).step()
    for name, parameter in regressor.named_parameters():
        if name in ("fc.0.bias", "fc.3.bias"):
            continue
        assert grad_norm(parameter) == pytest.approx(expected["grad_norm"][name], rel=1e-4), name
        moved = (parameter.detach() - before[name]).double().abs().sum().item()
        assert moved == pytest.approx(expected["adam_update_l1"][name], rel=1e-3), name
    norm = regressor.fc[1]
    torch.testing.assert_close(norm.running_mean, r["fc0_bn_running_mean_after"], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(norm.running_var, r["fc0_bn_running_var_after"], rtol=1e-4, atol=1e-4)
    for parameter, name in (
        (regressor.fc_pose[0].weight, "fc_pose_weight_grad_s8"),
        (regressor.fc[0].weight, "fc0_weight_grad_s8"),
    ):
        torch.testing.assert_close(
            parameter.grad[::8, ::8], r[name], rtol=1e-3, atol=1e-4 * r[name].abs().max().item()
        )


SPREAD = torch.Generator().manual_seed(0)


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=SPREAD)


PARTS = {
    "basic": (lambda: ResNet(18), lambda: PlainResNet(18), (normal(3, 64, 16, 16),)),
    "bottleneck": (lambda: ResNet(50), lambda: PlainResNet(50), (normal(3, 64, 16, 16),)),
    "head": (lambda: LixelHead(8, 5), lambda: PlainLixelHead(8, 5), (normal(2, 8, 3, 3),)),
    "pose2feat": (
        lambda: Pose2Feat(3, 8),
        lambda: PlainPose2Feat(3, 8),
        (normal(2, 8, 64, 64), normal(2, 3, 3) * 9 + 30),
    ),
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("part", PARTS)
def test_fast_parts_equal_plain_ones(part, training):
    """Output, statistics and every gradient, in float64; a few joints lie outside of the grid."""
    make_fast, make_plain, inputs = PARTS[part]
    fast, plain = make_fast().double().train(training), make_plain().double().train(training)
    fill(fast)
    plain.load_state_dict(fast.state_dict())
    results = []
    for network in (fast, plain):
        given = [x.clone().requires_grad_() for x in inputs]
        out = network(*given)
        (out * torch.linspace(-1, 1, out.numel(), dtype=torch.float64).view_as(out)).sum().backward()
        gradients = {k: p.grad for k, p in network.named_parameters()} | {"input": given[0].grad}
        results.append(({"output": out} | dict(network.named_buffers()), gradients))
    (values, gradients), (expected_values, expected_gradients) = results
    for key, value in values.items():
        torch.testing.assert_close(
            value, expected_values[key], rtol=1e-9, atol=1e-9, msg=lambda m, k=key: f"{k}: {m}"
        )
    largest = max(g.abs().max().item() for g in expected_gradients.values() if g is not None)
    for key, gradient in gradients.items():
        torch.testing.assert_close(
            gradient,
            expected_gradients[key],
            rtol=1e-6,
            atol=1e-9 * largest,
            msg=lambda m, k=key: f"{k}: {m}",
        )


@pytest.mark.parametrize("part", PARTS)
def test_folded_parts_follow_their_parameters(part):
    """Evaluation in float32 without gradients, where folded weights are kept."""
    make_fast, make_plain, inputs = PARTS[part]
    fast, plain, given = make_fast().eval(), make_plain().eval(), [x.float() for x in inputs]
    for seed in ("", "other"):
        fill(fast, seed)
        plain.load_state_dict(fast.state_dict())
        for context in (torch.no_grad, torch.inference_mode):
            with context():
                for x in (given, [x[:1] for x in given]):
                    expected = plain(*x)
                    torch.testing.assert_close(
                        fast(*x), expected, rtol=1e-4, atol=1e-5 * expected.abs().max().item()
                    )
    assert fast.state_dict().keys() == plain.state_dict().keys()


def test_initialisation():
    torch.manual_seed(0)
    head = official("hand", "lixel", recorded_body("hand"), 18)
    assert head.pose2feat.conv[0].weight.std().item() == pytest.approx(0.001, rel=0.01)
    assert head.pose_net.deconv[0].weight.std().item() == pytest.approx(0.001, rel=0.01)
    assert head.param_regressor.fc[0].weight.std().item() == pytest.approx(0.01, rel=0.02)
    assert head.pose_backbone.layer1[0].conv1.weight.std().item() == pytest.approx(0.001, rel=0.02)
    # One-dimensional convolutions keep PyTorch's: uniform within 1 / sqrt(inputs).
    assert head.pose_net.conv_x[0].weight.abs().max().item() == pytest.approx(256**-0.5, rel=0.01)
    assert not head.pose2feat.conv[0].bias.any() and not head.param_regressor.fc_pose[0].bias.any()


@pytest.mark.parametrize(
    ("depth", "channels", "keys"),
    [(18, 512, 120), (34, 512, 216), (50, 2048, 318), (101, 2048, 624), (152, 2048, 930)],
)
def test_backbones(depth, channels, keys):
    with torch.device("meta"):
        backbone = ResNet(depth)
        state = backbone.state_dict()
        assert backbone.channels == channels and len(state) == keys
        assert backbone(backbone.stem(torch.zeros(1, 3, 256, 256))).shape == (1, channels, 8, 8)
        backbone.load_imagenet(
            state | {"fc.weight": torch.zeros(1000, channels), "fc.bias": torch.zeros(1000)}
        )
        with pytest.raises(InputError, match="not the weights of this ResNet"):
            backbone.load_imagenet({k: v for k, v in state.items() if k != "conv1.weight"})


def test_wrong_arguments(tiny_body):
    with pytest.raises(InputError, match="kind 'foot' is unknown; choose one of body, hand"):
        official("foot", "lixel", tiny_body)
    with pytest.raises(InputError, match="stage 'both' is unknown; choose one of lixel, param"):
        official("body", "both", tiny_body)
    with pytest.raises(InputError, match="0 head channels are given; there must be 1 or more"):
        official("body", "lixel", tiny_body, head_channels=0)
    with torch.device("meta"), pytest.raises(InputError, match=r"\[18, 34, 50, 101, 152\]"):
        official("body", "lixel", tiny_body, 20)
    with pytest.raises(InputError, match="778"):
        official("hand", "lixel", tiny_body)
