"""Pose2Mesh's losses against recorded values and gradients, and against plain arithmetic."""

import numpy as np
import pytest
import torch

from openhmr.lab.models.pose2mesh import losses

CASES = ["human36_ico642", "mano_hand"]


@pytest.fixture(scope="module")
def recorded(data):
    return {k: torch.as_tensor(v) for k, v in np.load(data / "pose2mesh" / "losses.npz").items()}


@pytest.fixture(scope="module")
def meshes(data):
    return np.load(data / "pose2mesh" / "meshes.npz")


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ["coord", "normal", "edge"])
def test_recorded_values_and_gradients(recorded, meshes, case, name):
    faces = torch.as_tensor(meshes[case.split("_")[1] + "_f"]).long()
    target, valid = recorded[f"{case}_gt"], recorded[f"{case}_valid"]
    predicted = recorded[f"{case}_pred"].clone().requires_grad_()
    functions = {
        "coord": lambda: losses.coordinate_loss(predicted, target, valid),
        "normal": lambda: losses.normal_loss(predicted, target, faces),
        "edge": lambda: losses.edge_loss(predicted, target, faces),
    }
    value = functions[name]()
    value.backward()
    assert value.item() == pytest.approx(recorded[f"{case}_{name}"].item(), rel=1e-6)
    assert predicted.grad.norm().item() == pytest.approx(recorded[f"{case}_{name}_gradnorm"].item(), rel=1e-6)
    torch.testing.assert_close(
        predicted.grad[0, :8], recorded[f"{case}_{name}_grad_first8"], rtol=1e-5, atol=1e-8
    )


@pytest.mark.parametrize("case", CASES)
def test_recorded_joint_loss(recorded, case):
    joints = recorded[f"{case}_jreg"] @ (recorded[f"{case}_pred"] * 1000)
    value = losses.coordinate_loss(joints, recorded[f"{case}_gtjoint"], recorded[f"{case}_jvalid"])
    assert value.item() == pytest.approx(recorded[f"{case}_joint_mm"].item(), rel=1e-6)


def test_a_perfect_mesh_costs_nothing(meshes):
    mesh, faces = (
        torch.as_tensor(meshes["ico642_v"])[None].double(),
        torch.as_tensor(meshes["ico642_f"]).long(),
    )
    assert losses.edge_loss(mesh, mesh, faces) == 0
    assert losses.normal_loss(mesh, mesh, faces) < 1e-12


def test_losses_by_hand():
    triangle = torch.tensor([[[0.0, 0, 0], [3, 0, 0], [0, 4, 0]]])
    upright = torch.tensor([[[0.0, 0, 0], [3, 0, 0], [0, 0, 5]]])
    faces = torch.tensor([[0, 1, 2]])
    assert losses.edge_loss(upright, triangle, faces).item() == pytest.approx((0 + 1 + abs(34**0.5 - 5)) / 3)
    assert losses.normal_loss(upright, triangle, faces).item() == pytest.approx((0 + 1 + 5 / 34**0.5) / 3)
    valid = torch.tensor([[[1.0], [1], [0]]])
    assert losses.coordinate_loss(triangle + 1, triangle, valid).item() == pytest.approx(2 / 3), (
        "masked points count in the mean"
    )


def test_edge_of_length_zero_has_a_finite_gradient():
    mesh = torch.zeros(1, 3, 3, requires_grad=True)
    losses.edge_loss(mesh, torch.rand(1, 3, 3), torch.tensor([[0, 1, 2]])).backward()
    assert torch.isfinite(mesh.grad).all()


def test_total_loss_starts_the_edge_term_after_its_epoch():
    rng = torch.Generator().manual_seed(0)

    def random(*shape):
        return torch.rand(*shape, generator=rng)

    target = {"mesh": random(2, 4, 3), "reg_pose3d": random(2, 2, 3), "lift_pose3d": random(2, 5, 3)}
    target |= {f"{k}_valid": torch.ones(2, v.shape[1], 1) for k, v in list(target.items())}
    vertices, pose, faces, regressor = (
        random(2, 4, 3),
        random(2, 5, 3),
        torch.tensor([[0, 1, 2], [0, 2, 3]]),
        random(2, 4),
    )
    terms = {
        e: losses.pose2mesh_loss(vertices, pose, target, faces, regressor, e, losses.LossConfig())
        for e in (7, 8)
    }
    assert set(terms[8]) - set(terms[7]) == {"edge"}
    assert terms[8]["edge"] == 20 * losses.edge_loss(vertices, target["mesh"], faces)
    assert terms[7]["joint"].item() == pytest.approx(
        1e-3 * (1000 * regressor @ vertices - target["reg_pose3d"]).abs().mean().item()
    )
