"""What the recipes of the two originals share: epochs, an evaluation and checkpoints after each, and how
weights are kept."""

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from openhmr.bodies.body import Body
from openhmr.lab.device import is_first
from openhmr.lab.models.checkpoint import CheckpointInfo, is_official, load_checkpoint, save_checkpoint
from openhmr.lab.precision import choose_precision
from openhmr.lab.run_folder import weights_file
from openhmr.lab.training.batches import Batches, ItemSet
from openhmr.lab.training.recipe import Loop, Recipe, Running
from openhmr.lab.training.schedule import EpochPlan


class OfficialRecipe(Recipe):
    """A recipe on data sets, in epochs. ``best`` names the error whose smallest value makes
    ``best.safetensors``.

    ``batches`` and ``plan`` exist where there are training sets, ``test`` where there is a test set. The run
    folder receives ``last`` and, from the second epoch on, ``best.safetensors`` and one sample after every
    epoch, and at the end ``final.safetensors``. Epochs in ``metrics.jsonl`` count from 1.
    """

    plan: EpochPlan
    body: Body
    info: CheckpointInfo
    best: str
    batches: Batches | None
    test: ItemSet | None

    def __init__(self, body: Body, running: Running, device: torch.device | None) -> None:
        self.body, self.running, self.device = body, running, device or torch.device("cpu")
        self.precision = choose_precision(running.precision, self.device.type)
        self.batches = None
        self.faces = torch.as_tensor(body.faces.astype(np.int64), device=self.device)

    @abstractmethod
    def errors(self) -> dict[str, float]:
        """Mean errors (mm) on the test set by name."""

    @abstractmethod
    def save_sample(self, folder: Path, epoch: int) -> NDArray[np.uint8]:
        """Picture (and mesh) of the first test sample; also returned."""

    @abstractmethod
    def take_official(self, path: Path) -> None:
        """Load an official file into the network, strictly."""

    @property
    @abstractmethod
    def weight_path(self) -> str:
        """What the config says to test."""

    def limited(self, count: int) -> int:
        """How many of ``count`` samples are used."""
        return min(count, self.running.limit or count)

    def seconds_waited(self) -> float | None:
        return None if self.batches is None else self.batches.waited

    def batch(self, step: int) -> dict[str, Tensor]:
        assert self.batches is not None
        return self.batches(step)

    def evaluate(self) -> dict[str, float]:
        return {} if self.test is None else self.errors()

    def keep(self, loop: Loop, numbers: Mapping[str, float]) -> None:
        epoch = int(numbers["epoch"])
        if self.test is not None:
            earlier = [row[self.best] for row in loop.history() if self.best in row]
            # A hand's error is zero or unknown, and makes no best.
            if epoch > 1 and 0 < numbers.get(self.best, 0) < min(earlier, default=float("inf")):
                self.save(loop.folder / "best.safetensors", epoch - 1)
            loop.events.picture("sample", self.save_sample(loop.folder / "samples", epoch), loop.step)
        self.save(loop.folder / "last.safetensors", epoch - 1)

    def finish(self, loop: Loop) -> None:
        if is_first():
            self.save(loop.folder / "final.safetensors", self.plan.epochs - 1)

    def save(self, path: Path, epoch: int = -1) -> None:
        save_checkpoint(path, self.network, self.info, epoch)

    def load(self, path: str | Path) -> None:
        """Weights of a run folder, a checkpoint or an official file, strictly."""
        file = weights_file(path)
        if is_official(file):
            self.take_official(file)
        else:
            load_checkpoint(file, self.network, self.info)
