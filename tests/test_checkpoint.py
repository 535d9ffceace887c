"""Checkpoints of this package and official ones, honest and hostile."""

import ast
import os
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import openhmr
from openhmr.errors import InputError
from openhmr.joints import COCO, HUMAN36
from openhmr.lab.graphs.mesh_graph import build
from openhmr.lab.models.checkpoint import (
    FORMAT,
    CheckpointInfo,
    is_official,
    load_checkpoint,
    read_checkpoint,
    save_checkpoint,
)
from openhmr.lab.models.official_files import (
    describe_official,
    import_official,
    plain_name,
    read_official,
    read_torchvision,
    trained_epoch,
)
from openhmr.lab.models.pose2mesh.meshnet import MeshNet
from openhmr.lab.run_folder import weights_file
from tests.conftest import make_tiny_body

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


def test_a_failed_save_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, nn.Linear(2, 2), INFO)
    before = path.read_bytes()
    tied = nn.ModuleList([nn.Linear(2, 2)] * 2)  # safetensors holds no tensor under two names
    with pytest.raises(RuntimeError, match="share memory"):
        save_checkpoint(path, tied, INFO)
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
        save_file({"x": torch.zeros(1)}, path, {"format": FORMAT, "info": info})
        with pytest.raises(InputError, match="no readable checkpoint"):
            read_checkpoint(path)


def test_bodies_are_compared_by_what_their_hashes_say(tmp_path):
    """A checkpoint of an older version knows template and faces alone; a regressor may be missing."""
    body = make_tiny_body()
    now = replace(INFO, body=body.content_hash())
    for saved, fits in (
        (now.body.split(":")[1], True),
        (replace(body, joint_regressors={}).content_hash(), True),
        (replace(body, shapedirs=body.shapedirs + 1).content_hash(), False),
        ("", False),
    ):
        save_checkpoint(tmp_path / "a.safetensors", nn.Linear(2, 2), replace(INFO, body=saved))
        if fits:
            load_checkpoint(tmp_path / "a.safetensors", nn.Linear(2, 2), now)
        else:
            with pytest.raises(InputError, match="made for body"):
                load_checkpoint(tmp_path / "a.safetensors", nn.Linear(2, 2), now)


PREFIXES = ["", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "module.module."]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("zipped", [True, False])
def test_official_import(tmp_path, data, wrapped, prefix, zipped):
    """In today's file format and in that of 2020; wrapped by DataParallel, by torch.compile, or by both."""
    torch.save(
        official_content(wrapped, prefix), tmp_path / "final.pth.tar", _use_new_zipfile_serialization=zipped
    )
    other = Wrapped(data)
    import_official(tmp_path / "final.pth.tar", other)
    assert_equal_states(wrapped, other)


def test_only_wrappers_are_taken_off_names():
    assert plain_name("module.net._orig_mod.fc.module.weight") == "net.fc.module.weight"
    assert plain_name("modules.fc") == "modules.fc" and plain_name("fc.weight") == "fc.weight"


def test_the_same_weights_twice_are_refused(tmp_path):
    state = {"module.fc.weight": torch.zeros(1), "fc.weight": torch.ones(1)}
    torch.save({"model_state_dict": state}, tmp_path / "final.pth.tar")
    with pytest.raises(InputError, match="the same weights twice"):
        read_official(tmp_path / "final.pth.tar", "model_state_dict")


@pytest.mark.parametrize("name", ["x.pth", "x.pt", "x.TAR", "x.safetensors", "x"])
def test_content_decides_not_the_name(tmp_path, name):
    path = tmp_path / name
    for zipped in (True, False):
        torch.save(
            {"epoch": 3, "model_state_dict": nn.Linear(2, 2).state_dict()},
            path,
            _use_new_zipfile_serialization=zipped,
        )
        assert is_official(path) and trained_epoch(path) == 3
        with pytest.raises(InputError, match=f"{name} is a file that PyTorch saved, not a .safetensors"):
            read_checkpoint(path)
    save_checkpoint(path, nn.Linear(2, 2), INFO, epoch=5)
    assert not is_official(path) and trained_epoch(path) == 5


def test_an_unpacked_checkpoint_is_named(tmp_path):
    torch.save({"model_state_dict": {}}, tmp_path / "final.pth.tar")
    with zipfile.ZipFile(tmp_path / "final.pth.tar") as archive:
        archive.extractall(tmp_path / "final")
    with pytest.raises(
        InputError, match=r"an unpacked checkpoint \(it holds .*data\.pkl\); give the .pth.tar"
    ):
        describe_official(tmp_path / "final")
    with pytest.raises(InputError, match="is an unpacked checkpoint; give the .pth.tar file"):
        weights_file(tmp_path / "final")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty is a folder; give the .pth.tar"):
        describe_official(tmp_path / "empty")


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


class Command:
    def __reduce__(self):
        return os.system, ("echo executed",)


HOSTILE = {
    "code": ({"model_state_dict": Evil()}, "it holds 'print', an object that could run code"),
    "a command": ({"args": Command()}, r"it holds '(posix|nt)\.system', an object that could run code"),
    "an object": (
        {"model_state_dict": {}, "args": Path("x")},
        r"it holds 'pathlib\.\w+', an object that could",
    ),
    "other keys": (
        {"state_dict": {}, "lr": 1},
        "no weights under 'model_state_dict' \\(it holds state_dict, lr",
    ),
    "a list": ([1], r"\(it holds a list\)"),
    "a number": (
        {"model_state_dict": {"fc.weight": 1}},
        "holds a int as 'fc.weight', where only tensors belong",
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_and_foreign_official_files_are_refused(tmp_path, wrapped, capsys, kind):
    content, cause = HOSTILE[kind]
    torch.save(content, tmp_path / "final.pth.tar")
    with pytest.raises(InputError, match=f"{cause}.*unchanged \\.pth\\.tar") as caught:
        import_official(tmp_path / "final.pth.tar", wrapped)
    assert "weights_only" not in str(caught.value), "no advice to run it"
    assert "executed" not in capsys.readouterr().out


def test_files_of_torchvision(tmp_path):
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "resnet.pth")
    assert set(read_torchvision(tmp_path / "resnet.pth")) == {"weight", "bias"}
    torch.save({"weight": torch.zeros(1), "epoch": 3}, tmp_path / "resnet.pth")
    with pytest.raises(InputError, match="holds a int as 'epoch', .* weights file of torchvision's ResNet"):
        read_torchvision(tmp_path / "resnet.pth")


def test_other_files_are_refused(tmp_path, wrapped):
    path = tmp_path / "final.pth.tar"
    with pytest.raises(InputError, match="does not exist"):
        import_official(path, wrapped)
    for content in (b"", b"hello", b"\x80\x02}q\x00."):
        path.write_bytes(content)
        with pytest.raises(InputError, match="no official checkpoint: it is damaged or of another kind"):
            import_official(path, wrapped)
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(3):
            archive.writestr(f"bomb{i}", b"0")
        for entry in archive.filelist:
            entry.file_size = 2**32 - 2
    with pytest.raises(InputError, match="unpacks to 12,884,901,882 bytes; at most 8,589,934,592"):
        import_official(path, wrapped)


def test_nothing_loads_pickles_of_code():
    """Every call of torch.load in the package says weights_only=True."""
    source = Path(openhmr.__file__).parent
    calls = [
        call
        for path in source.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "torch.load"
    ]
    assert calls
    for call in calls:
        assert any(k.arg == "weights_only" and ast.literal_eval(k.value) is True for k in call.keywords)
