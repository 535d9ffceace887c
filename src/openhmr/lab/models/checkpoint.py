"""Checkpoints in our own format: safetensors, with what the weights belong to."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from openhmr.bodies.content import same_body
from openhmr.errors import InputError
from openhmr.io.atomic import atomic_path

FORMAT = "openhmr-checkpoint-1"


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


def read_checkpoint(path: str | Path) -> tuple[dict[str, Tensor], CheckpointInfo]:
    """Tensors and what they belong to. Raises :class:`InputError` if the file is missing, damaged or of
    another format."""
    _check_file(path)
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise InputError(
                    f"{path} has format {metadata.get('format')}, not {FORMAT}; save it with save_checkpoint"
                )
            info = CheckpointInfo(**json.loads(metadata["info"]))
            return {key: file.get_tensor(key) for key in file.keys()}, info  # noqa: SIM118 (not a dict)
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise InputError(f"{path} is no readable checkpoint ({error}); copy or download it again") from None


def read_epoch(path: str | Path) -> int:
    """The epoch (from 0) that a checkpoint was trained to, -1 if it does not say. Raises :class:`InputError`
    like :func:`read_checkpoint`."""
    read_checkpoint(path)  # for its errors
    with safe_open(path, "pt") as file:
        epoch = (file.metadata() or {}).get("epoch", "-1")
    if not epoch.removeprefix("-").isdecimal():
        raise InputError(f"{path} is no readable checkpoint (its epoch is {epoch!r}); copy it again")
    return int(epoch)


def _check_file(path: str | Path) -> None:
    if not Path(path).is_file():
        raise InputError(f"{path} does not exist; give the path of a .safetensors checkpoint")
    if is_official(path):
        raise InputError(
            f"{path} is a file that PyTorch saved, not a .safetensors checkpoint; import it first, or give "
            f"it where official weights are taken"
        )


def is_official(path: str | Path) -> bool:
    """Whether a file was saved by PyTorch, as the originals' are: its first bytes decide, not its name."""
    try:
        with Path(path).open("rb") as file:
            start = file.read(9)
    except OSError:
        return False
    # A safetensors file begins with the length of its header and a brace; PyTorch's with a zip or a pickle.
    return start[8:] != b"{" and start.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04"))


def load_checkpoint(path: str | Path, module: nn.Module, expected: CheckpointInfo) -> None:
    """Load a file into ``module`` strictly. Raises :class:`InputError` where its info or its tensors are not
    those expected."""
    state, info = read_checkpoint(path)
    for f in fields(CheckpointInfo):
        found, wanted = getattr(info, f.name), getattr(expected, f.name)
        if not (found == wanted or (f.name == "body" and same_body(found, wanted))):
            raise InputError(
                f"{path} was made for {f.name} {found}, not {wanted}; use the checkpoint that belongs to "
                f"it, or train one"
            )
    load_strictly(path, module, state)


def load_strictly(path: str | Path, module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load ``state``, which came from ``path``: the module's own tensors and no others. Raises
    :class:`InputError` that names the first that is missing, unknown or of another shape."""
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
            names = [k for k in file.keys() if k.startswith(AVERAGE)]  # noqa: SIM118 (not a dict)
            weights = {k[len(AVERAGE) :]: file.get_tensor(k) for k in names}
    except (SafetensorError, OSError, ValueError, OverflowError) as error:
        raise InputError(
            f"{state} is no readable training state ({error}); copy it again, or train again"
        ) from None
    return weights, facts


def load_average(state: Path, module: nn.Module) -> dict[str, int]:
    """Load :func:`read_average` into ``module`` strictly; returns the facts."""
    weights, facts = read_average(state)
    load_strictly(state, module, weights)
    return facts
