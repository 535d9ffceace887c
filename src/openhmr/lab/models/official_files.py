"""Weights as the two originals save them: PyTorch's own files, read without running what they may hold."""

import logging
import re
import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from openhmr.errors import InputError
from openhmr.io.atomic import atomic_path
from openhmr.lab.models.checkpoint import is_official, load_strictly, read_epoch

log = logging.getLogger(__name__)

MAX_BYTES = 8 * 2**30
"""Official files hold at most 0.7 GB; a compressed file can claim any size."""

POSE2MESH_KEY, I2L_KEY = "model_state_dict", "network"
"""Where the two originals keep their weights in a file."""

BODY_ARRAYS = "human_model_layer."
"""Prefix of the (licensed) body model in official I2L-MeshNet files."""


def trained_epoch(path: str | Path) -> int:
    """The epoch (from 0) that a checkpoint, ours or an official I2L-MeshNet one, was trained to; -1 if it
    does not say."""
    if not is_official(path):
        return read_epoch(path)
    epoch = _content(Path(path)).get("epoch", -1)
    return epoch if isinstance(epoch, int) else -1


def import_official(path: str | Path, module: nn.Module) -> None:
    """Load an official Pose2Mesh ``.pth.tar`` file into the network (or the PoseNet) of the same joint set
    and mesh.

    The file says nothing of its graph but the number of coarse nodes: an equal number in another order loads
    and predicts garbage, so the mesh must be the very one of the official training. Raises
    :class:`InputError`.
    """
    take_state(path, module, read_official(path, POSE2MESH_KEY))


@dataclass(frozen=True)
class OfficialFile:
    """What an official file tells by its tensors: ``family`` posenet, pose2mesh or i2l_meshnet; ``width`` of
    PoseNet or of the lixel heads; ``backbone`` and ``stage`` (lixel or param) of the last."""

    family: str
    joints: int
    epoch: int
    width: int
    backbone: int = 0
    stage: str = ""


BACKBONES: dict[tuple[int, ...], int] = {
    (2, 2, 2, 2): 18,
    (3, 4, 6, 3): 50,
    (3, 4, 23, 3): 101,
    (3, 8, 36, 3): 152,
}
"""Blocks of a ResNet's stages; 34 has those of 50, in blocks of two convolutions."""


def describe_official(path: str | Path) -> OfficialFile:
    """Look at an official file before its network exists. Raises :class:`InputError` for anything else."""
    content = _content(Path(path))
    epoch = content.get("epoch", -1)
    epoch = epoch if isinstance(epoch, int) else -1
    if I2L_KEY in content:
        state = read_official(path, I2L_KEY)
        if "pose_net.conv_x.0.weight" in state:
            stages = tuple(
                len({k.split(".")[2] for k in state if k.startswith(f"pose_backbone.layer{i}.")})
                for i in (1, 2, 3, 4)
            )
            deep = "pose_backbone.layer1.0.conv3.weight" in state
            depth = 34 if stages == (3, 4, 6, 3) and not deep else BACKBONES.get(stages, 0)
            points, width, _ = state["pose_net.conv_x.0.weight"].shape
            stage = "param" if has_parameters(state) else "lixel"
            return OfficialFile("i2l_meshnet", points, epoch, width, depth, stage)
    else:
        state = read_official(path, POSE2MESH_KEY)
        for prefix, family in (("pose_lifter.", "pose2mesh"), ("", "posenet")):
            if f"{prefix}w2.weight" in state:
                rows, width = state[f"{prefix}w2.weight"].shape
                return OfficialFile(family, rows // 3, epoch, width)
    raise InputError(
        f"{path} holds the weights of neither Pose2Mesh nor I2L-MeshNet; give an unchanged .pth.tar file of "
        f"one of them"
    )


def has_parameters(state: Mapping[str, Tensor]) -> bool:
    """Whether the weights of an I2L-MeshNet were trained to its second stage, which regresses parameters.

    Snapshots of the first stage hold that regressor too, as it was drawn: its batch statistics have never
    moved.
    """
    counts = [
        v for k, v in state.items() if k.startswith("param_regressor.") and k.endswith("batches_tracked")
    ]
    means = [v for k, v in state.items() if k.startswith("param_regressor.") and k.endswith("running_mean")]
    return any(bool((v != 0).any()) for v in (*counts, *means))


def import_official_i2l(path: str | Path, module: nn.Module) -> None:
    """Load an official I2L-MeshNet ``snapshot_N.pth.tar`` into the network of the same body.

    The body model's arrays that the file carries are dropped. Weights of the lixel stage may go into a
    network of the param stage, whose training begins there; a warning is logged. Raises
    :class:`InputError`.
    """
    state = {k: v for k, v in read_official(path, I2L_KEY).items() if not k.startswith(BODY_ARRAYS)}
    take_state(path, module, state)
    if getattr(module, "stage", None) == "param" and not has_parameters(state):
        log.warning(
            "%s was trained to the lixel stage: pose and shape parameters mean nothing before training", path
        )


def export_official(path: str | Path, module: nn.Module, key: str, epoch: int) -> None:
    """Write the official format: weights under ``key`` (I2L-MeshNet's with ``module.`` before each name) and
    the epoch.

    Optimiser, schedule and logs are left empty: the originals read them only to go on training, which neither
    can.
    """
    rest: dict[str, Any]
    prefix, rest = (
        ("module.", {"optimizer": {}})
        if key == I2L_KEY
        else ("", {"optim_state_dict": {}, "scheduler_state_dict": {}})
    )
    state = {prefix + k: v.detach().cpu().contiguous() for k, v in module.state_dict().items()}
    with atomic_path(path) as temporary:
        torch.save({"epoch": epoch, key: state, **rest}, temporary)


def take_state(path: str | Path, module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load ``state``, which came from ``path``, strictly. Raises :class:`InputError`, with both sizes if the
    mesh is another."""
    own = module.state_dict()
    weight, key = state.get("pose2mesh.fc.weight"), "pose2mesh.fc.weight"
    if weight is not None and key in own and weight.ndim == 2 and weight.shape != own[key].shape:
        features = own["pose2mesh.cl.3.weight"].shape[1] // 3
        (found, found_joints), (wanted, joints) = (
            [n // features for n in w.shape] for w in (weight, own[key])
        )
        if found_joints != joints:
            raise InputError(
                f"{path} is for {found_joints} joints, this network for {joints}; choose the joint set it "
                f"was trained with"
            )
        raise InputError(
            f"{path} belongs to a mesh graph of {found} coarse nodes, this body's graph has {wanted}; use "
            f"the body it was trained with"
        )
    weight, key = state.get("mesh_net.conv_x.0.weight"), "mesh_net.conv_x.0.weight"
    if weight is not None and key in own and weight.shape != own[key].shape:
        raise InputError(
            f"{path} is for a mesh of {len(weight)} vertices, this body has {len(own[key])}; use the body "
            f"it was trained with"
        )
    load_strictly(path, module, state)


def read_torchvision(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a weights file of torchvision (a plain state_dict). Raises :class:`InputError`."""
    return _tensors(path, _content(Path(path)), "unchanged weights file of torchvision's ResNet")


def read_official(path: str | Path, key: str) -> dict[str, Tensor]:
    """The weights under ``key`` of an official file, without the prefixes that wrappers put before names.
    Raises :class:`InputError`."""
    content = _content(Path(path))
    if not isinstance(content.get(key), Mapping):
        found = f"holds {', '.join(map(str, list(content)[:5])) or 'nothing'}"
        raise InputError(f"{path} has no weights under {key!r} (it {found}); give an unchanged .pth.tar file")
    return _tensors(path, content[key], "unchanged .pth.tar file")


def _tensors(path: str | Path, state: Mapping[Any, Any], needed: str) -> dict[str, Tensor]:
    out: dict[str, Tensor] = {}
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            what = f"a {type(value).__name__} as {str(key)[:60]!r}"
            raise InputError(f"{path} holds {what}, where only tensors belong; give an {needed}")
        out[plain_name(key)] = value
    if len(out) < len(state):
        raise InputError(f"{path} holds the same weights twice, with and without a prefix; give an {needed}")
    return out


def plain_name(key: str) -> str:
    """A tensor's name without what DataParallel ("module." in front) and torch.compile ("_orig_mod.") put
    into it."""
    parts = [part for part in key.split(".") if part != "_orig_mod"]
    while parts[:1] == ["module"]:
        parts = parts[1:]
    return ".".join(parts)


def _content(path: Path) -> Mapping[str, Any]:
    if path.is_dir():
        unpacked = next(iter(sorted(path.glob("**/data.pkl"))), None)
        what = f"an unpacked checkpoint (it holds {unpacked.relative_to(path)})" if unpacked else "a folder"
        raise InputError(f"{path} is {what}; give the .pth.tar file itself, which must not be unpacked")
    if not path.is_file():
        raise InputError(f"{path} does not exist; give the path of an official .pth.tar checkpoint")
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > MAX_BYTES:
            raise InputError(
                f"{path} unpacks to {size:,} bytes; at most {MAX_BYTES:,} are read: give an official "
                f"checkpoint"
            )
    try:
        # An open file: PyTorch would take one that is called .safetensors for that.
        with path.open("rb") as file, torch.serialization.safe_globals(_harmless()):
            content = torch.load(file, map_location="cpu", weights_only=True)
    # Damaged files fail in every way there is, and what PyTorch advises for the others would run their code.
    except Exception as error:
        raise InputError(
            f"{path} is no official checkpoint: {_reason(error)}; give an unchanged .pth.tar file"
        ) from None
    if not isinstance(content, Mapping):
        raise InputError(
            f"{path} is no official checkpoint (it holds a {type(content).__name__}); give an unchanged "
            f".pth.tar file"
        )
    return content


def _reason(error: Exception) -> str:
    """Why PyTorch refused a file: the name of the object that it would have had to run, if it says one."""
    found = re.search(r"GLOBAL ([\w.]+)", str(error))
    if found is not None:
        return f"it holds {found[1]!r}, an object that could run code"
    return f"it is damaged or of another kind ({type(error).__name__})"


def _harmless() -> list[Any]:
    """What official files hold besides tensors: the scheduler's Counter and NumPy numbers of the logs, under
    old and new names."""
    scalar = np.float64(0).__reduce__()[0]
    types = [type(np.dtype(t)) for t in (np.float64, np.float32, np.int64)]
    return [
        Counter,
        (scalar, "numpy.core.multiarray.scalar"),
        (scalar, "numpy._core.multiarray.scalar"),
        np.dtype,
        *types,
    ]
