"""What the official recipes share: a run from start to end, and the files of its folder."""

import json
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from openhmr.errors import InputError
from openhmr.io.atomic import atomic_path
from openhmr.lab.device import is_first
from openhmr.lab.training.batches import Batches, ItemSet
from openhmr.lab.training.optim import EpochPlan
from openhmr.lab.training.trainer import Running, Trainer

WEIGHTS = ("final.safetensors", "best.safetensors", "last.safetensors")


class Work(Protocol):
    """A recipe: network, data, losses and errors. ``best`` names the error whose smallest value makes
    ``best.safetensors``."""

    @property
    def network(self) -> nn.Module: ...
    @property
    def device(self) -> torch.device: ...
    @property
    def batches(self) -> Batches | None: ...
    @property
    def test(self) -> ItemSet | None: ...
    @property
    def best(self) -> str: ...
    @property
    def plan(self) -> EpochPlan: ...
    @property
    def running(self) -> Running: ...
    def initialise(self) -> None: ...
    def loss(self, trainer: Trainer, step: int) -> dict[str, Tensor]: ...
    def errors(self) -> dict[str, float]: ...
    def save_sample(self, folder: Path, epoch: int) -> NDArray[np.uint8]: ...
    def save(self, path: Path, epoch: int) -> None: ...


def train(work: Work, folder: Path, until: int | None = None) -> float:
    """Run or resume the schedule in ``folder``: ``last``, ``best`` (from the second epoch on) and at the end
    ``final.safetensors``. Returns which share of the time training waited for its data.

    After every epoch the errors on the test set and one sample are written too, where there is a test set.
    Epochs in ``metrics.jsonl`` count from 1. Raises :class:`InputError` without training data.
    """
    if work.batches is None:
        raise InputError("there is nothing to train on; give the folder of the data sets")
    plan, batches = work.plan, work.batches
    trainer = Trainer(work.network, plan, folder, work.running.seed, work.device, work.running)
    if not trainer.resume():
        work.initialise()
    before = trainer.seconds
    waiting = lambda: batches.waited / max(trainer.seconds - before, 1e-9)

    def evaluate() -> dict[str, float]:
        epoch = plan.epoch(trainer.step - 1) + 1
        numbers: dict[str, float] = {"epoch": epoch, "waiting": waiting()}
        if work.test is not None:
            numbers |= work.errors()
            best = min(
                (row[work.best] for row in trainer.history() if work.best in row), default=float("inf")
            )
            # A hand's error is zero or unknown, and makes no best.
            if epoch > 1 and 0 < numbers.get(work.best, 0) < best:
                work.save(folder / "best.safetensors", epoch - 1)
            trainer.events.picture("sample", work.save_sample(folder / "samples", epoch), trainer.step)
        work.save(folder / "last.safetensors", epoch - 1)
        return numbers

    trainer.run(lambda step, _: work.loss(trainer, step), evaluate, until)
    if is_first() and trainer.step >= plan.steps:
        work.save(folder / "final.safetensors", plan.epochs - 1)
    return waiting()


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
        raise InputError(
            f"run folder {path} holds none of {', '.join(names)}; train to the end of an epoch, or give a "
            f"checkpoint file"
        )
    return found


def write_run_config(folder: Path, config: Any, more: dict[str, Any]) -> None:
    """``config.json``: the resolved config, ``more``, the versions, the machine and the commit of a
    checkout."""
    packages = {name: version(name) for name in ("openhmr", "numpy", "scipy", "torch")}
    facts = {
        "config": asdict(config),
        **more,
        "versions": packages,
        "python": platform.python_version(),
        "commit": commit(),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, {torch.cuda.device_count()} "
        f"GPUs",
    }
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / "config.json") as temporary:
        temporary.write_text(json.dumps(facts, indent=1) + "\n")


def read_run_config(folder: Path) -> dict[str, Any]:
    """What :func:`write_run_config` wrote. Raises :class:`InputError` where there is no such file."""
    try:
        facts = json.loads((folder / "config.json").read_text())
        assert isinstance(facts["config"], dict)
    except (OSError, ValueError, KeyError, TypeError, AssertionError, RecursionError):
        raise InputError(
            f"{folder} is no run folder of an official config (no readable config.json); train or import "
            f"one there"
        ) from None
    return dict(facts)


def commit() -> str:
    """The commit of the checkout that this code runs from, ``+`` if it was changed since; empty outside of
    one."""
    here = Path(__file__).parent
    try:
        run = lambda *words: (
            subprocess.run(
                ["git", "-C", str(here), *words], capture_output=True, text=True, check=True
            ).stdout
        )
        return run("rev-parse", "HEAD").strip() + (
            "+" if run("status", "--porcelain", "--untracked-files=no").strip() else ""
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
