"""Checkpoints of this package and official ones, honest and hostile."""

import zipfile
from collections import Counter

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from openhmr.errors import InputError
from openhmr.joints import COCO, HUMAN36
from openhmr.lab.graphs.mesh_graph import build
from openhmr.lab.models import checkpoint
from openhmr.lab.models.checkpoint import (
    CheckpointInfo,
    import_official,
    load_checkpoint,
    read_checkpoint,
    save_checkpoint,
)
from openhmr.lab.models.pose2mesh.meshnet import MeshNet

INFO = CheckpointInfo("pose2mesh", "human36", "b0d4", "96a7", {"levels": 9, "hidden": 4096})


class Wrapped(nn.Module):
    """A MeshNet under the name it has in the whole network, without the large PoseNet."""

    def __init__(self, data, joint_set=HUMAN36, mesh: str = "ico642") -> None:
        super().__init__()
        with np.load(data / "pose2mesh" / "meshes.npz") as meshes:
            self.pose2mesh = MeshNet(build(meshes[f"{mesh}_f"], joint_set, 9))


@pytest.fixture(scope="module")
def wrapped(data):
    return Wrapped(data)


def official_content(module: nn.Module, prefix: str = "") -> dict:
    return {
        "epoch": 15,
        "model_state_dict": {prefix + k: v for k, v in module.state_dict().items()},
        "optim_state_dict": {
            "state": {0: {"step": 3, "square_avg": torch.zeros(2)}},
            "param_groups": [{"lr": 1e-3, "params": [0]}],
        },
        "scheduler_state_dict": {"milestones": Counter({12: 1}), "gamma": 0.1, "last_epoch": 15},
        "train_log": [0.5, np.float64(0.25)],
        "test_log": {"surface": [np.float32(90.5)], "joint": [np.float64(60.0)]},
    }


def assert_equal_states(a: nn.Module, b: nn.Module) -> None:
    for (key, x), (other, y) in zip(a.state_dict().items(), b.state_dict().items(), strict=True):
        assert key == other and torch.equal(x, y)


def test_round_trip(tmp_path):
    module, other = nn.BatchNorm1d(4), nn.BatchNorm1d(4)
    module(torch.randn(8, 4))
    save_checkpoint(tmp_path / "a.safetensors", module, INFO)
    load_checkpoint(tmp_path / "a.safetensors", other, INFO)
    assert_equal_states(module, other)
    assert read_checkpoint(tmp_path / "a.safetensors")[1] == INFO
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, nn.Linear(2, 2), INFO)
    before = path.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(checkpoint, "save_file", fail)
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(path, nn.Linear(2, 2), INFO)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "change",
    [{"graph": "other"}, {"body": "other"}, {"joint_set": "coco"}, {"family": "i2l"}, {"config": {}}],
)
def test_another_networks_checkpoint_is_refused(tmp_path, change):
    save_checkpoint(tmp_path / "a.safetensors", nn.Linear(2, 2), INFO)
    with pytest.raises(InputError, match=f"made for {next(iter(change))}"):
        load_checkpoint(
            tmp_path / "a.safetensors", nn.Linear(2, 2), CheckpointInfo(**{**INFO.__dict__, **change})
        )


@pytest.mark.parametrize(
    ("module", "message"),
    [(nn.Linear(2, 3), "of shape"), (nn.Linear(2, 2, bias=False), "unknown"), (nn.BatchNorm1d(2), "missing")],
)
def test_loading_is_strict(tmp_path, module, message):
    save_checkpoint(tmp_path / "a.safetensors", nn.Linear(2, 2), INFO)
    with pytest.raises(InputError, match=message):
        load_checkpoint(tmp_path / "a.safetensors", module, INFO)


def test_damaged_and_foreign_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_checkpoint(tmp_path / "none.safetensors")
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, nn.Linear(2, 2), INFO)
    for content in (b"", path.read_bytes()[:-3], b"\xff" * 64):
        path.write_bytes(content)
        with pytest.raises(InputError, match="no readable checkpoint"):
            read_checkpoint(path)
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(InputError, match="format None"):
        read_checkpoint(path)
    for info in ("{]", "{}", "3"):
        save_file({"x": torch.zeros(1)}, path, {"format": checkpoint.FORMAT, "info": info})
        with pytest.raises(InputError, match="no readable checkpoint"):
            read_checkpoint(path)


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("zipped", [True, False])
def test_official_import(tmp_path, data, wrapped, prefix, zipped):
    """In today's file format and in that of 2020."""
    torch.save(
        official_content(wrapped, prefix), tmp_path / "final.pth.tar", _use_new_zipfile_serialization=zipped
    )
    other = Wrapped(data)
    import_official(tmp_path / "final.pth.tar", other)
    assert_equal_states(wrapped, other)


def test_official_import_refuses_another_graph_or_joint_set(tmp_path, data, wrapped):
    torch.save(official_content(wrapped), tmp_path / "final.pth.tar")
    with pytest.raises(InputError, match=r"graph of 8 coarse nodes, this body's graph has 40"):
        import_official(tmp_path / "final.pth.tar", Wrapped(data, mesh="body3k"))
    with pytest.raises(InputError, match=r"17 joints, this network for 19"):
        import_official(tmp_path / "final.pth.tar", Wrapped(data, COCO))
    with pytest.raises(InputError, match="missing"):
        import_official(tmp_path / "final.pth.tar", nn.Linear(2, 2))


class Evil:
    def __reduce__(self):
        return print, ("executed",)


@pytest.mark.parametrize(
    "content", [{"model_state_dict": Evil()}, {"state_dict": {}}, [1], {"model_state_dict": {"a": 1}}]
)
def test_hostile_and_foreign_official_files_are_refused(tmp_path, wrapped, capsys, content):
    torch.save(content, tmp_path / "final.pth.tar")
    with pytest.raises(InputError, match=r"unchanged \.pth\.tar") as caught:
        import_official(tmp_path / "final.pth.tar", wrapped)
    assert "weights_only" not in str(caught.value), "no advice to run it"
    assert "executed" not in capsys.readouterr().out


def test_other_files_are_refused(tmp_path, wrapped, monkeypatch):
    path = tmp_path / "final.pth.tar"
    with pytest.raises(InputError, match="does not exist"):
        import_official(path, wrapped)
    for content in (b"", b"hello", b"\x80\x02}q\x00."):
        path.write_bytes(content)
        with pytest.raises(InputError, match="no official checkpoint"):
            import_official(path, wrapped)
    monkeypatch.setattr(checkpoint, "MAX_BYTES", 10_000)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", b"0" * 10_001)
    with pytest.raises(InputError, match="at most 10,000"):
        import_official(path, wrapped)
