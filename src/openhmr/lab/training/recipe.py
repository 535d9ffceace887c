"""What the training loop asks of a recipe."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from openhmr.lab.config import at_least
from openhmr.lab.precision import FLOAT32, Precision, Wish
from openhmr.lab.training.schedule import Plan
from openhmr.lab.training.tensorboard import EventFile


@dataclass(frozen=True)
class Running:
    """How the loop runs, which results should depend on by no more than rounding."""

    seed: int = 123
    precision: Wish = "float32"
    """Autocast of the network's forward pass; losses and weights stay float32."""
    clip_norm: float = 0.0
    """Largest norm of the gradient; 0 clips nothing, as officially."""
    compile: str = ""
    """Backend of torch.compile (inductor, aot_eager); empty: not compiled."""
    checkpoint_every: int = 0
    """Steps between checkpoints; 0: after every epoch."""
    skip_bad: bool = False
    """Report a sample that cannot be read and take another one, instead of stopping."""
    limit: int = 0
    """Samples to use of each data set, to try things out; 0: all."""

    def __post_init__(self) -> None:
        at_least(self, clip_norm=0, checkpoint_every=0, limit=0)


PLAIN = Running()


class Loop(Protocol):
    """What a recipe may ask of the loop that runs it: the run folder, the steps taken, the averaged weights,
    the rows of earlier evaluations."""

    folder: Path
    step: int
    average: dict[str, Tensor]

    @property
    def events(self) -> EventFile: ...
    def history(self) -> list[dict[str, float]]: ...
    def save(self) -> None: ...


class Recipe(Protocol):
    """Network, data, losses and errors of one stage of training; :func:`openhmr.lab.training.trainer.train`
    runs it. What has a body here need not be defined."""

    network: nn.Module
    plan: Plan
    device: torch.device = torch.device("cpu")
    running: Running = PLAIN
    precision: Precision = FLOAT32
    """What ``running.precision`` means on ``device``; losses run the model inside its autocast."""
    step_scales: Mapping[str, Tensor] = {}
    """Parameters by name that move by only so much of each step (tensors that broadcast to them)."""

    def initialise(self) -> None:
        """Load the weights that training begins with; not called where a run goes on."""
        return None

    def loss(self, model: nn.Module, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """The named scalars of a step, whose sum is minimised. ``model`` is the network, compiled and
        distributed as the run asks; ``generator`` is part of the run's state."""
        ...

    def evaluate(self) -> dict[str, float]:
        """Named errors of the network as it is, in evaluation mode and without gradients."""
        ...

    def seconds_waited(self) -> float | None:
        """How long losses waited for data so far; None where they make it themselves."""
        return None

    def keep(self, loop: Loop, numbers: Mapping[str, float]) -> None:
        """Write what belongs to an evaluation that gave ``numbers``; called before they are recorded."""
        return None

    def finish(self, loop: Loop) -> None:
        """What is left to do after the last step, with the averaged weights in the network."""
        return None


@contextmanager
def initial_weights(seed: int) -> Iterator[None]:
    """Layers made inside, on the CPU, draw their weights from ``seed``; the global generator stays as it
    was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
