"""The official I2L-MeshNet recipe on tiny data: both stages, the hand-over between them, resuming."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from openhmr.errors import InputError
from openhmr.lab.config import build, override, read_yaml
from openhmr.lab.models.official_files import I2L_KEY, export_official, trained_epoch
from openhmr.lab.training.official_configs import I2LConfig
from openhmr.lab.training.official_i2l import I2LRecipe
from openhmr.lab.training.schedule import EpochPlan
from openhmr.lab.training.trainer import train
from tests.official_items import ImageItems

SMALL = {
    "resnet_type": 18,
    "head_channels": 4,
    "train_batch_size": 2,
    "num_thread": 0,
    "test_batch_size": 2,
    "lr": 1e-3,
}


def work(tiny_body, test: ImageItems | None = None, **changes) -> I2LRecipe:
    config = build(I2LConfig, SMALL | changes)
    return I2LRecipe(
        config,
        tiny_body,
        [ImageItems(tiny_body, 2)],
        [ImageItems(tiny_body, 1, 0.0)],
        test or ImageItems(tiny_body, 1),
    )


def test_both_stages(tiny_body, tmp_path: Path) -> None:
    lixel = {"end_epoch": 1, "lr_dec_epoch": [1]}
    whole = work(tiny_body, **lixel)
    before = {k: v.clone() for k, v in whole.network.state_dict().items()}
    train(whole, tmp_path / "whole")
    for until in (1, None):
        part = work(tiny_body, **lixel, RUN={"checkpoint_every": 1})
        train(part, tmp_path / "cut", until)
    after = part.network.state_dict()
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, after[name]), name
    changed = {name.split(".")[0] for name, value in before.items() if not torch.equal(value, after[name])}
    assert changed == {"pose_backbone", "pose_net", "pose2feat", "mesh_backbone", "mesh_net"}
    assert trained_epoch(tmp_path / "whole" / "final.safetensors") == 0
    rows = [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    assert {
        "joint_fit",
        "joint_orig",
        "mesh_fit",
        "mesh_joint_orig",
        "mesh_joint_fit",
        "mesh_normal",
        "mesh_edge",
    } <= rows[0].keys()

    param = work(
        tiny_body, stage="param", end_epoch=2, lr_dec_epoch=[5], continue_from=str(tmp_path / "whole")
    )
    assert param.plan.first == 1 and param.plan.steps == 2
    train(param, tmp_path / "param")
    later = param.network.state_dict()
    trained = {
        n.split(".")[0]
        for n, v in after.items()
        if not torch.equal(v, later[n]) and "running" not in n and "num_b" not in n
    }
    assert trained == {"param_regressor"}
    # Official: the frozen part's batch statistics move on.
    assert not torch.equal(after["pose_backbone.bn1.running_mean"], later["pose_backbone.bn1.running_mean"])
    assert (tmp_path / "param" / "samples" / "epoch-002.png").exists()

    export_official(tmp_path / "snapshot_1.pth.tar", param.network, I2L_KEY, 1)
    again = work(
        tiny_body,
        stage="param",
        end_epoch=3,
        lr_dec_epoch=[5],
        continue_from=str(tmp_path / "snapshot_1.pth.tar"),
    )
    again.initialise()
    assert again.plan.first == 2
    for name, value in again.network.state_dict().items():
        assert torch.equal(value, later[name]), name


class Truthless(ImageItems):
    def errors(self, index: int, item: dict, prediction: dict) -> dict[str, float]:
        return {}


def test_a_test_set_without_truth_makes_no_best(tiny_body, tmp_path: Path) -> None:
    """FreiHAND's truth is its server's: there are no errors to compare, after the first epoch as after the
    second."""
    lixel = work(tiny_body, Truthless(tiny_body, 1), end_epoch=2, lr_dec_epoch=[5])
    train(lixel, tmp_path)
    assert (tmp_path / "final.safetensors").exists() and not (tmp_path / "best.safetensors").exists()


def test_a_param_stage_without_a_lixel_stage_is_refused(tiny_body, tmp_path) -> None:
    alone = work(tiny_body, stage="param")
    with pytest.raises(InputError, match="set continue_from"):
        alone.initialise()
    work(tiny_body, stage="param", QUIRKS={"param_on_untrained": True}).initialise()
    with pytest.raises(InputError, match="hands and bodies"):
        work(tiny_body, testset="FreiHAND")
    other = tmp_path / "resnet.pth"
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7)}, other)
    with pytest.raises(InputError, match="not the weights of this ResNet"):
        work(tiny_body, backbone_weights=str(other)).initialise()


@pytest.mark.parametrize("name", ["body_lixel", "body_param", "hand_lixel", "hand_param"])
def test_recorded_schedule(name, data) -> None:
    rates = json.loads((data / "i2l" / "schedule.json").read_text())["lr_per_epoch"][name]
    kind, stage = name.split("_")
    config = build(
        I2LConfig,
        override(read_yaml(f"i2l_{stage}_train_{'freihand' if kind == 'hand' else 'human36_muco_coco'}"), []),
    )
    assert (config.stage, config.kind) == (stage, kind)
    plan = EpochPlan(config.end_epoch, 1, config.lr, config.lr_dec_epoch, 1 / config.lr_dec_factor, "adam")
    assert [plan.lr_at(step) for step in range(plan.steps)] == pytest.approx(rates, rel=1e-9)


def test_masked_terms_count_in_the_means(tiny_body) -> None:
    """The recipe's scalars are the plain means of the element-wise terms, with the configured weight of the
    normals."""
    lixel = work(tiny_body, normal_loss_weight=0.2, dataset_joint_losses=False)

    lixel.network.eval()
    with torch.no_grad():
        terms = lixel.loss(lixel.network, 0, torch.Generator())
        batch = lixel.batches(0)
        out = lixel.network(batch["img"])
    assert "joint_orig" not in terms
    error = (out["joint_coord_img"] - batch["fit_joint_img"]).abs()
    assert terms["joint_fit"].item() == pytest.approx(error.mean().item(), rel=1e-5)
    assert np.isfinite(sum(t.item() for t in terms.values()))
