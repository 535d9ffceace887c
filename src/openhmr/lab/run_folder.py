"""The folder of a run: ``config.json``, which says what is trained there, and the files of its weights."""

import json
import logging
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from openhmr.bodies.body import Body
from openhmr.bodies.content import same_body
from openhmr.errors import InputError
from openhmr.io.atomic import atomic_path
from openhmr.lab.config import MAX_BYTES
from openhmr.lab.device import rank_and_world

log = logging.getLogger(__name__)

STATE = "state.safetensors"
"""The whole state of a training: weights, their average, optimiser, random generators."""
WEIGHTS = ("final.safetensors", "best.safetensors", "last.safetensors")
"""Weights alone, as the official recipes keep them; the first that exists counts."""

NETWORK_KEYS = {
    "compact_pose2mesh": ("joint_set", "model"),
    "compact_pose2mesh_hand": ("joint_set", "model"),
    "compact_i2l": ("model",),
    "pose2mesh": ("MODEL.name", "MODEL.posenet_hidden", "DATASET.input_joint_set"),
    "i2l_meshnet": ("stage", "resnet_type", "head_channels"),
}
"""Of each system, what in its config decides which network the weights belong to."""


@dataclass(frozen=True)
class Run:
    """Content of ``config.json``: the ``system`` (a key of :data:`NETWORK_KEYS`), its resolved ``config``,
    and ``facts``, such as the body, the versions and the machine."""

    system: str
    config: dict[str, Any]
    facts: dict[str, Any] = field(default_factory=dict)


def read_run(folder: Path) -> Run:
    """What a run folder says of itself. Raises :class:`InputError` if it says nothing, or the file is
    damaged."""
    file = folder / "config.json"
    if not file.is_file():
        raise InputError(
            f"{folder} is not a run folder: it has no config.json; give the folder that training wrote"
        )
    try:
        data = json.loads(file.read_bytes()) if file.stat().st_size <= MAX_BYTES else None
    except (ValueError, RecursionError):
        data = None
    if isinstance(data, dict) and not {"system", "config"} & data.keys():
        # Older runs of the compact models hold the keys of their config alone.
        system = "compact_i2l" if data.get("recipe") == "i2l" else "compact_pose2mesh"
        return Run(system, data)
    if not isinstance(data, dict) or not isinstance(data.get("config"), dict):
        raise InputError(
            f"{file} is damaged: it is no JSON object with a config; train again, or restore it from a copy"
        )
    facts = {k: v for k, v in data.items() if k not in ("system", "config")}
    if not isinstance(data.get("system"), str) or data["system"] not in NETWORK_KEYS:
        raise InputError(
            f"{folder} is a run of system {data.get('system')!r}; known are {', '.join(NETWORK_KEYS)}"
        )
    return Run(data["system"], data["config"], facts)


def begin_run(folder: Path, system: str, config: Any, body: Body, **facts: Any) -> None:
    """Write ``config.json`` of a run that begins or goes on: the dataclass ``config``, the network's body by
    its hash, ``facts``, versions, machine and the commit of a checkout.

    Settings that differ from those the run began with are logged. Raises :class:`InputError` if the folder
    is the run of another network, which would be overwritten.
    """
    new = Run(system, json.loads(json.dumps(asdict(config))), {"body": body.content_hash()} | facts)
    if (folder / "config.json").is_file():
        old = read_run(folder)
        changed = _check_same_network(folder, old, new)
        if changed and any(folder.rglob(STATE)):
            log.warning("%s goes on with changed settings: %s", folder, ", ".join(changed))
    content = {
        "system": system,
        "config": new.config,
        **new.facts,
        "versions": {name: version(name) for name in ("openhmr", "numpy", "scipy", "torch")},
        "python": platform.python_version(),
        "commit": commit(),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, {rank_and_world()[1]} "
        f"processes, {torch.cuda.device_count()} GPUs",
    }
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / "config.json") as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")


def _check_same_network(folder: Path, old: Run, new: Run) -> list[str]:
    """The settings that changed, as text. Raises :class:`InputError` if the network is one of them."""
    said = [f"system {old.system!r}, not {new.system!r}"] if old.system != new.system else []
    changed, before = [], dict(_leaves(old.config))
    for key, value in _leaves(new.config):
        # A key that the older file does not have yet is no change.
        if key in before and before[key] != value:
            changed.append(f"{key} {before[key]!r} -> {value!r}")
            if any(f"{key}.".startswith(f"{name}.") for name in NETWORK_KEYS[new.system]):
                said.append(f"{key} {before[key]!r}, not {value!r}")
    body, known = new.facts["body"], old.facts.get("body")
    if known is not None and not (isinstance(known, str) and same_body(known, body)):
        said.append(f"body {known!r}, not {body!r}")
    if said:
        raise InputError(f"{folder} is a run of another network ({said[0]:.300}); choose another folder")
    return changed


def _leaves(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """``(a.b, value)`` of nested mappings."""
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def weights_file(path: str | Path, names: Sequence[str] = WEIGHTS) -> Path:
    """The file that ``path`` means: itself, or a run folder's final (else best, else last) weights. Raises
    :class:`InputError`."""
    path = Path(path)
    if not path.is_dir():
        if not path.is_file():
            raise InputError(
                f"{path} does not exist; give a run folder, a .safetensors checkpoint or an official "
                f".pth.tar file"
            )
        return path
    found = next((path / name for name in names if (path / name).is_file()), None)
    if found is None:
        if (path / "data.pkl").is_file() or any(path.glob("*/data.pkl")):
            raise InputError(f"{path} is an unpacked checkpoint; give the .pth.tar file that it came from")
        raise InputError(
            f"run folder {path} holds none of {', '.join(names)}; train to the end of an epoch, or give a "
            f"checkpoint file"
        )
    return found


def commit() -> str:
    """The commit of the checkout that this code runs from, ``+`` if it was changed since; empty outside of
    one."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return ""
