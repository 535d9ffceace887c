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

from openhmr.errors import InputError
from openhmr.lab.training.schedule import Schedule
from openhmr.lab.training.tensorboard import EventFile, masked_crc
from openhmr.lab.training.trainer import Trainer, train
from tests.tiny_recipe import SumRecipe


def losses(folder: Path, until: int | None = None, **running) -> list[float]:
    """Those of the steps that are taken in ``folder``."""
    recipe = SumRecipe(**running)
    train(recipe, folder, until)
    return recipe.losses


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_autocast_stays_near_float32_and_resumes(precision, tmp_path) -> None:
    exact = losses(tmp_path / "exact")
    found = losses(tmp_path / "half", precision=precision)
    assert found != exact and found == pytest.approx(exact, rel=0.05)
    head = losses(tmp_path / "cut", 4, precision=precision, checkpoint_every=1)
    tail = SumRecipe(precision=precision)
    again = Trainer(tail, tmp_path / "cut")
    assert again.resume()
    again.run()
    assert head + tail.losses == found
    if precision == "fp16":  # it overflows at first; the smaller scale that was found is part of the state
        assert again.scaler.get_scale() < 65536


def test_clipping_bounds_the_gradient(tmp_path) -> None:
    norms = {}
    for clip in (0.0, 0.5):
        loop = train(SumRecipe(clip_norm=clip), tmp_path / str(clip), 1)
        norms[clip] = torch.stack([p.grad.norm() for p in loop.network.parameters()]).norm().item()
    assert norms[0.0] > 1 and norms[0.5] == pytest.approx(0.5, rel=1e-4)


def test_compiled_network_learns_the_same(tmp_path) -> None:
    compiled = losses(tmp_path / "compiled", 3, compile="aot_eager")
    assert compiled == pytest.approx(losses(tmp_path / "plain", 3), rel=1e-5)


def test_damaged_states_end_in_one_sentence(tmp_path) -> None:
    """Whatever a byte of the header becomes: the state is refused by name, or read."""
    train(SumRecipe(plan=Schedule(steps=2, batch=1, average=0.5)), tmp_path, 1)
    path = tmp_path / "state.safetensors"
    good, refused = path.read_bytes(), 0
    rng = np.random.default_rng(0)
    for _ in range(400):
        content = bytearray(good)
        content[rng.integers(8 + int.from_bytes(good[:8], "little"))] = rng.integers(256)
        path.write_bytes(bytes(content))
        try:
            Trainer(SumRecipe(plan=Schedule(steps=2, batch=1, average=0.5)), tmp_path).resume()
        except InputError as error:
            assert str(error).startswith(str(path))
            refused += 1
    assert refused > 200


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
    from torch import distributed

    from openhmr.joints import COCO
    from openhmr.lab.config import build
    from openhmr.lab.training.official_configs import Pose2MeshConfig
    from openhmr.lab.training.official_pose2mesh import Pose2MeshRecipe
    from tests.conftest import make_tiny_body
    from tests.official_items import LiftItems

    torch.set_num_threads(1)
    data = {
        "DATASET": {"train_list": ["COCO"], "target_joint_set": "coco", "workers": 0},
        "MODEL": {"name": "posenet", "posenet_hidden": 8},
        "TRAIN": {"batch_size": 4, "end_epoch": 2, "lr_step": [1]},
    }
    body, found = make_tiny_body(), []

    class Watched(Pose2MeshRecipe):
        def loss(self, model: nn.Module, step: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
            terms = super().loss(model, step, generator)
            value = terms["lift"].detach().clone()
            if distributed.is_initialized():
                distributed.all_reduce(value)
                value /= distributed.get_world_size()
            found.append(value.item())
            return terms

    recipe = Watched(build(Pose2MeshConfig, data), body, [LiftItems(body, COCO, COCO, 8)], None)
    for module in recipe.network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.Dropout):
            module.forward = lambda x: x  # type: ignore[method-assign]
    train(recipe, folder)
    return found


def test_two_processes_take_the_steps_of_one(tmp_path) -> None:
    """torchrun with gloo: the same losses as one process with the same global batch."""
    import json

    script = tmp_path / "script.py"
    script.write_text(CODE)
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
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
