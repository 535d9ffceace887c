"""The parts of the compact I2L-MeshNet, and of what trains and calibrates it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from openhmr.errors import InputError
from openhmr.lab.export.compact_i2l import variance_line
from openhmr.lab.models.i2l_meshnet.blazepose import BlazePose, SameConv
from openhmr.lab.models.i2l_meshnet.compact_parts import Doubt, JointVolume, VertexHead, near
from openhmr.lab.skinning import columns_to_rotation
from openhmr.lab.training.metrics_file import read_metrics
from openhmr.lab.training.schedule import Schedule
from openhmr.lab.training.trainer import Trainer
from tests.tiny_recipe import SumRecipe


def test_same_padding_puts_the_odd_pixel_last() -> None:
    conv = SameConv(1, 1, 3, 2, bias=False)
    torch.nn.init.ones_(conv.weight)
    x = torch.arange(16.0).view(1, 1, 4, 4)
    expected = torch.tensor(
        [
            [0 + 1 + 2 + 4 + 5 + 6 + 8 + 9 + 10, 2 + 3 + 6 + 7 + 10 + 11],
            [8 + 9 + 10 + 12 + 13 + 14, 10 + 11 + 14 + 15],
        ]
    )
    assert torch.equal(conv(x)[0, 0], expected.float())


def test_the_trunk_computes_what_mediapipe_does() -> None:
    """Against TensorFlow Lite's own interpreter on one picture."""
    pytest.importorskip("mediapipe")
    recorded = np.load(Path(__file__).parent / "data" / "blazepose.npz")
    trunk = BlazePose().eval()
    trunk.load_mediapipe()
    with torch.no_grad():
        seen = trunk(torch.as_tensor(recorded["image"]).permute(2, 0, 1)[None] / 255)
        heat = trunk.heat(seen["fine"])
    for name, tolerance in (("landmarks", 5e-3), ("world", 1e-4)):
        np.testing.assert_allclose(seen[name][0].numpy(), recorded[name], atol=tolerance)
    np.testing.assert_allclose(heat[0, :, ::8, ::8].numpy(), recorded["heat"], atol=5e-3)


def test_joint_volume_equals_the_convolution_over_the_volume() -> None:
    torch.manual_seed(0)
    module, joints = JointVolume(3, 4, 8, 2.5).double(), torch.rand(2, 3, 3, dtype=torch.float64) * 70 - 4
    centres = (torch.arange(8, dtype=torch.float64) + 0.5) * 8 - 0.5
    gx, gy, gz = torch.exp(-0.5 * ((centres - joints[..., None]) / 2.5) ** 2).unbind(2)
    volume = torch.einsum("bjz,bjy,bjx->bjzyx", gz, gy, gx).flatten(1, 2)
    weight = module.weight.view(3, 8, 4, 3, 3).permute(2, 0, 1, 3, 4).flatten(1, 2)
    torch.testing.assert_close(module(joints), torch.nn.functional.conv2d(volume, weight, padding=1))


def test_prior_is_a_gaussian_but_for_what_softmax_does_not_see() -> None:
    bins, guess, width = (
        torch.arange(64.0),
        torch.tensor([[3.0, 60.0, 31.0]]),
        torch.tensor([[0.1], [1.0], [2.0]]),
    )
    expected = torch.softmax(-0.5 * ((bins - guess[..., None]) / width.exp()) ** 2, -1)
    torch.testing.assert_close(near(bins, guess, width).softmax(-1), expected, atol=1e-5, rtol=1e-4)


def test_points_outside_of_the_crop_stay_where_they_were_lifted_to() -> None:
    """No bin of a heatmap lies there; guesses further out move the answer by as much, and its deviation
    grows."""
    torch.manual_seed(0)
    head, inside = VertexHead(8, 16, 2, 5), torch.rand(2, 5, 3) * 60
    edge = torch.where(torch.rand(2, 5, 3) < 0.3, 63.0, inside)
    features, pooled = torch.rand(2, 8, 32, 32), torch.rand(2, 16)
    with torch.no_grad():
        at_edge, spread = head.eval()(features, pooled, edge)
        beyond, same = head(features, pooled, edge + 20 * (edge == 63))
    torch.testing.assert_close(beyond, at_edge + 20 * (edge == 63))
    farther = 0.3 * 20 * (edge[..., :2] == 63).sum(-1, keepdim=True).sqrt()
    torch.testing.assert_close(same, (spread.square() + farther.square()).sqrt())


def test_two_columns_give_a_rotation_and_those_of_a_rotation_itself() -> None:
    matrix = columns_to_rotation(*torch.randn(2, 50, 3, dtype=torch.float64))
    torch.testing.assert_close(matrix.mT @ matrix, torch.eye(3, dtype=torch.float64).expand(50, 3, 3))
    torch.testing.assert_close(matrix.det(), torch.ones(50, dtype=torch.float64))
    torch.testing.assert_close(columns_to_rotation(matrix[..., 0], matrix[..., 1]), matrix)


def test_variance_line_finds_the_line_errors_were_drawn_from() -> None:
    generator = torch.Generator().manual_seed(0)
    spread2 = torch.rand(200_000, dtype=torch.float64, generator=generator) * 9
    error2 = (0.7 * spread2 + 0.4) * torch.randn(200_000, dtype=torch.float64, generator=generator) ** 2
    torch.testing.assert_close(variance_line(spread2, error2), torch.tensor([0.7, 0.4]), atol=0.02, rtol=0)


def test_a_state_of_other_layers_and_a_cut_line_of_metrics(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plan = Schedule(steps=4, batch=1, average=0.5)
    layers = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 1))
    first = Trainer(SumRecipe(layers, plan), tmp_path)
    first.optimise({"loss": layers(torch.ones(1, 3)).sum()})
    first.save()
    layers[0].requires_grad_(False)
    with pytest.raises(InputError, match="other layers"):
        Trainer(SumRecipe(layers, plan), tmp_path).resume()
    layers[0].requires_grad_(True)
    Trainer(SumRecipe(layers, Schedule(steps=4, batch=1, average=0)), tmp_path).save()
    with pytest.raises(InputError, match="no average"):
        Trainer(SumRecipe(layers, plan), tmp_path).resume()
    (tmp_path / "metrics.jsonl").write_bytes(b'{"step": 1, "a": 2}\n\xff\xfe\x00\n{"step": 2, "a"')
    assert read_metrics(tmp_path) == [{"step": 1, "a": 2}] and "cannot be read" in caplog.text


def test_a_damped_parameter_moves_by_its_share_of_the_step() -> None:
    """AdamW's first step is the learning rate in every entry, whatever the gradient."""
    layer, scale = torch.nn.Linear(4, 3), torch.tensor([[0.5], [0.0], [0.1]])
    recipe = SumRecipe(layer, Schedule(steps=9, batch=1, lr=0.01, warmup=0, average=0))
    recipe.step_scales = {"weight": scale}
    trainer = Trainer(recipe, Path("unused"))
    before, bias = layer.weight.detach().clone(), layer.bias.detach().clone()
    trainer.optimise({"loss": layer(torch.ones(2, 4)).sum() * 7})
    moved = (before - layer.weight).detach()
    torch.testing.assert_close(moved, 0.01 * scale.expand(3, 4), atol=1e-7, rtol=0)
    torch.testing.assert_close(bias - layer.bias, torch.full((3,), 0.01), atol=1e-7, rtol=0)


def test_who_lies_outside_of_the_crop_is_less_certain() -> None:
    doubt, spread = Doubt(2), torch.rand(3, 2, 3) + 0.5
    assert torch.equal(doubt(spread, torch.zeros(3, 2, 3)), spread)
    far = torch.tensor([3.0, -4.0, 7.0]).expand(3, 2, 3)  # depth has no edge
    torch.testing.assert_close(doubt(spread, far), (spread**2 + (0.3 * 5) ** 2).sqrt())
    doubt(spread, far).sum().backward()
    assert (doubt.share.grad != 0).all()
