"""Checkpoints: our own format, and a reader of the two official ones."""

import json
import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from openhmr.errors import InputError
from openhmr.io.atomic import atomic_path

FORMAT = "openhmr-checkpoint-1"
MAX_BYTES = 8 * 2**30
"""Official files hold at most 0.7 GB; a compressed file can claim any size."""


@dataclass(frozen=True)
class CheckpointInfo:
    """What weights belong to: network ``family`` and its ``config``, joint set by name, body and mesh graph
    by hash."""

    family: str
    joint_set: str
    body: str
    graph: str = ""
    config: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(path: str | Path, module: nn.Module, info: CheckpointInfo, epoch: int = -1) -> None:
    """Write a module's state_dict, ``info`` and the ``epoch`` it was trained to (from 0) to a safetensors
    file, atomically."""
    state = {key: value.detach().contiguous() for key, value in module.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(
            state,
            temporary,
            {"format": FORMAT, "info": json.dumps(asdict(info), sort_keys=True), "epoch": str(epoch)},
        )


def trained_epoch(path: str | Path) -> int:
    """The epoch (from 0) that a checkpoint, ours or an official I2L-MeshNet one, was trained to; -1 if it
    does not say."""
    if Path(path).suffix == ".tar":
        epoch = _content(Path(path)).get("epoch", -1)
        return epoch if isinstance(epoch, int) else -1
    read_checkpoint(path)  # for its errors
    with safe_open(path, "pt") as file:
        epoch = (file.metadata() or {}).get("epoch", "-1")
    if not epoch.removeprefix("-").isdecimal():
        raise InputError(f"{path} is no readable checkpoint (its epoch is {epoch!r}); copy it again")
    return int(epoch)


def read_checkpoint(path: str | Path) -> tuple[dict[str, Tensor], CheckpointInfo]:
    """Tensors and what they belong to. Raises :class:`InputError` if the file is missing, damaged or of
    another format."""
    if not Path(path).is_file():
        raise InputError(f"{path} does not exist; give the path of a .safetensors checkpoint")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise InputError(
                    f"{path} has format {metadata.get('format')}, not {FORMAT}; save it with save_checkpoint"
                )
            info = CheckpointInfo(**json.loads(metadata["info"]))
            return {key: file.get_tensor(key) for key in file.keys()}, info
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise InputError(f"{path} is no readable checkpoint ({error}); copy or download it again") from None


def load_checkpoint(path: str | Path, module: nn.Module, expected: CheckpointInfo) -> None:
    """Load a file into ``module`` strictly. Raises :class:`InputError` where its info or its tensors are not
    those expected."""
    state, info = read_checkpoint(path)
    for f in fields(CheckpointInfo):
        found, wanted = getattr(info, f.name), getattr(expected, f.name)
        if found != wanted:
            raise InputError(
                f"{path} was made for {f.name} {found}, not {wanted}; use the checkpoint that belongs to "
                f"it, or train one"
            )
    _load_strictly(path, module, state)


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
    PoseNet or of the lixel heads; ``backbone`` of the last."""

    family: str
    joints: int
    epoch: int
    width: int
    backbone: int = 0


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
            return OfficialFile("i2l_meshnet", points, epoch, width, depth)
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


def import_official_i2l(path: str | Path, module: nn.Module) -> None:
    """Load an official I2L-MeshNet ``snapshot_N.pth.tar`` into the network of the same body.

    The body model's arrays that the file carries are dropped. Raises :class:`InputError`.
    """
    state = {k: v for k, v in read_official(path, I2L_KEY).items() if not k.startswith(BODY_ARRAYS)}
    take_state(path, module, state)


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


POSE2MESH_KEY, I2L_KEY = "model_state_dict", "network"
"""Where the two originals keep their weights in a file."""

BODY_ARRAYS = "human_model_layer."
"""Prefix of the (licensed) body model in official I2L-MeshNet files."""


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
    _load_strictly(path, module, state)


def read_torchvision(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a weights file of torchvision (a plain state_dict). Raises :class:`InputError`."""
    state = _content(Path(path))
    if not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items()):
        raise InputError(
            f"{path} is no state_dict of tensors; give an unchanged weights file of torchvision's ResNet"
        )
    return dict(state)


def read_official(path: str | Path, key: str) -> dict[str, Tensor]:
    """The weights under ``key`` of an official file, without ``module.`` before their names. Raises
    :class:`InputError`."""
    state = _content(Path(path)).get(key)
    if not isinstance(state, Mapping) or not all(
        isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items()
    ):
        raise InputError(
            f"{path} holds no state_dict of tensors under {key}; give an unchanged .pth.tar file"
        )
    return {k.removeprefix("module."): v for k, v in state.items()}


def _content(path: Path) -> Mapping[str, Any]:
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
        with torch.serialization.safe_globals(_harmless()):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (
        Exception
    ):  # damaged files fail in every way there is, and what torch advises for the others would run their code
        raise InputError(
            f"{path} is no official checkpoint: it is damaged, or holds objects that could run code; give "
            f"an unchanged .pth.tar file"
        ) from None
    if not isinstance(content, Mapping):
        raise InputError(
            f"{path} is no official checkpoint (it holds {type(content).__name__}); give an unchanged "
            f".pth.tar file"
        )
    return content


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


def _load_strictly(path: str | Path, module: nn.Module, state: Mapping[str, Tensor]) -> None:
    own = module.state_dict()
    missing, unknown = [k for k in own if k not in state], [k for k in state if k not in own]
    if missing or unknown:
        raise InputError(
            f"{path} does not fit the network: {len(missing)} tensors are missing (first: {missing[:1]}), "
            f"{len(unknown)} unknown "
            f"(first: {unknown[:1]}); use the network it was made by"
        )
    for key, value in own.items():
        if value.shape != state[key].shape:
            found, wanted = tuple(state[key].shape), tuple(value.shape)
            raise InputError(
                f"{path} has {key} of shape {found}, the network {wanted}; use the network it was made by"
            )
    module.load_state_dict(state)


AVERAGE = "average."
"""How names of the averaged weights begin in the training state of a run folder."""


def read_average(state: Path) -> tuple[dict[str, Tensor], dict[str, int]]:
    """The averaged weights in a run's ``state.safetensors``, and the ``step`` and ``seconds`` they took.

    Raises :class:`InputError` if the file is missing or damaged.
    """
    if not state.is_file():
        raise InputError(f"{state} does not exist; give the folder of a run, which holds it")
    try:
        with safe_open(state, "pt") as file:
            facts = {name: round(float((file.metadata() or {}).get(name, 0))) for name in ("step", "seconds")}
            weights = {k[len(AVERAGE) :]: file.get_tensor(k) for k in file.keys() if k.startswith(AVERAGE)}
    except (SafetensorError, OSError, ValueError, OverflowError) as error:
        raise InputError(
            f"{state} is no readable training state ({error}); copy it again, or train again"
        ) from None
    return weights, facts


def load_average(state: Path, module: nn.Module) -> dict[str, int]:
    """Load :func:`read_average` into ``module`` strictly; returns the facts."""
    weights, facts = read_average(state)
    _load_strictly(state, module, weights)
    return facts
