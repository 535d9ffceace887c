"""What the official recipes brought into the one training loop: several processes, autocast, clipping,
compiling, TensorBoard."""

import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from openhmr.lab.training.optim import EpochPlan
from openhmr.lab.training.tensorboard import EventFile, masked_crc
from openhmr.lab.training.trainer import Running, Trainer


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr("openhmr.lab.training.trainer.plot_metrics", lambda folder: None)


def trainer(folder: Path, **running) -> Trainer:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    return Trainer(
        network, EpochPlan(2, 4, 1e-2, (1,), 0.1, "adam"), folder, 1, torch.device("cpu"), Running(**running)
    )


def run(t: Trainer, until: int | None = None) -> list[float]:
    """Learn the sum of three numbers; the losses of the steps."""
    losses = []

    def loss(step: int, _: torch.Generator) -> dict[str, torch.Tensor]:
        x = torch.randn(16, 3, generator=torch.Generator().manual_seed(step))
        with t.autocast():
            out = t.model(x)
        value = (out.float() - 5 * x.sum(1, keepdim=True)).square().mean()
        losses.append(value.item())
        return {"square": value}

    t.run(loss, dict, until)
    return losses


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_autocast_stays_near_float32_and_resumes(precision, tmp_path) -> None:
    exact = run(trainer(tmp_path / "exact"))
    found = run(trainer(tmp_path / "half", precision=precision))
    assert found != exact and found == pytest.approx(exact, rel=0.05)
    first = trainer(tmp_path / "cut", precision=precision, checkpoint_every=1)
    head = run(first, 4)
    again = trainer(tmp_path / "cut", precision=precision)
    assert again.resume() and head + run(again) == found
    if precision == "fp16":  # it overflows at first; the smaller scale that was found is part of the state
        assert again.scaler.get_scale() <= first.scaler.get_scale() < 65536


def test_clipping_bounds_the_gradient(tmp_path) -> None:
    norms = {}
    for clip in (0.0, 0.5):
        t = trainer(tmp_path / str(clip), clip_norm=clip)
        run(t, 1)
        norms[clip] = torch.stack([p.grad.norm() for p in t.network.parameters()]).norm().item()
    assert norms[0.0] > 1 and norms[0.5] == pytest.approx(0.5, rel=1e-4)


def test_compiled_network_learns_the_same(tmp_path) -> None:
    assert run(trainer(tmp_path / "compiled", compile="aot_eager"), 3) == pytest.approx(
        run(trainer(tmp_path / "plain"), 3), rel=1e-5
    )


CODE = """
import sys, json
from pathlib import Path
import torch
from torch import distributed
from tests.test_official_loop import two_sets
if len(sys.argv) > 2:
    distributed.init_process_group("gloo")
print(json.dumps(two_sets(Path(sys.argv[1]))))
if len(sys.argv) > 2:
    distributed.destroy_process_group()
"""


def two_sets(folder: Path) -> list[float]:
    """Losses of four steps of stage 1 without what depends on the process (batch statistics, dropout),
    averaged over processes."""
    from unittest.mock import patch

    from torch import distributed

    from openhmr.joints import COCO
    from openhmr.lab.config import build
    from openhmr.lab.training.official import train
    from openhmr.lab.training.official_configs import Pose2MeshConfig
    from openhmr.lab.training.pose2mesh import Pose2MeshTraining
    from tests.conftest import make_tiny_body
    from tests.official_items import LiftItems

    torch.set_num_threads(1)
    data = {
        "DATASET": {"train_list": ["COCO"], "target_joint_set": "coco", "workers": 0},
        "MODEL": {"name": "posenet", "posenet_hidden": 8},
    }
    config = build(Pose2MeshConfig, data | {"TRAIN": {"batch_size": 4, "end_epoch": 2, "lr_step": [1]}})
    body, losses = make_tiny_body(), []
    with (
        patch("openhmr.lab.training.trainer.plot_metrics", lambda _: None),
    ):
        work = Pose2MeshTraining(config, body, [LiftItems(body, COCO, COCO, 8)], None)
        for module in work.network.modules():
            if isinstance(module, nn.BatchNorm1d | nn.Dropout):
                module.forward = lambda x: x  # type: ignore[method-assign]
        original = work.loss

        def loss(trainer: Trainer, step: int) -> dict[str, torch.Tensor]:
            terms = original(trainer, step)
            value = terms["lift"].detach().clone()
            if distributed.is_initialized():
                distributed.all_reduce(value)
                value /= distributed.get_world_size()
            losses.append(value.item())
            return terms

        work.loss = loss  # type: ignore[method-assign]
        train(work, folder)
    return losses


def test_two_processes_take_the_steps_of_one(tmp_path) -> None:
    """torchrun with gloo: the same losses as one process with the same global batch."""
    import json

    script = tmp_path / "script.py"
    script.write_text(CODE)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    start += [str(script), str(tmp_path / "two"), "ddp"]
    done = subprocess.run(start, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    assert len(lines) == 2 and lines[0] == lines[1]
    assert lines[0] == pytest.approx(two_sets(tmp_path / "one"), rel=1e-5) and len(lines[0]) == 4
    assert (tmp_path / "two" / "final.safetensors").exists()


def records(path: Path) -> list[bytes]:
    data, out = path.read_bytes(), []
    while data:
        length, length_crc = struct.unpack("<QI", data[:12])
        message, crc = data[12 : 12 + length], struct.unpack("<I", data[12 + length : 16 + length])[0]
        assert length_crc == masked_crc(data[:8]) and crc == masked_crc(message)
        out.append(message)
        data = data[16 + length :]
    return out


def test_event_files(tmp_path) -> None:
    # The check value of CRC-32C (of the digits 1 to 9) is 0xE3069283.
    rotated = ((0xE3069283 >> 15) | (0xE3069283 << 17)) & 0xFFFFFFFF
    assert masked_crc(b"123456789") == (rotated + 0xA282EAD8) & 0xFFFFFFFF
    file = EventFile(tmp_path)
    file.scalars({"joint": 12.5}, 300)
    file.picture("sample", np.zeros((4, 6, 3), np.uint8), 300)
    version, scalars, picture = records(file.path)
    assert version.endswith(b"brain.Event:2")
    # Event: wall time; step 300 as a varint; summary { value { tag: "joint", simple_value: 12.5 } }
    assert scalars[9:] == b"\x10\xac\x02" + b"\x2a\x0e\x0a\x0c\x0a\x05joint\x15" + struct.pack("<f", 12.5)
    assert b"\x08\x04\x10\x06\x18\x03" in picture and b"\x89PNG" in picture
