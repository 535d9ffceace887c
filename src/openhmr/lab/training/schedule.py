"""How many steps a stage has, at which rate, and what happens between them; the optimisers."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from openhmr.errors import InputError
from openhmr.lab.config import at_least

OPTIMISERS = {
    "rmsprop": torch.optim.RMSprop,  # alpha 0.99, eps 1e-8, no momentum: PyTorch's defaults, as officially
    "adam": torch.optim.Adam,
}


class Plan(Protocol):
    """What the loop asks of a schedule; ``average`` 0 keeps no average of the weights, ``log_every`` 0 logs
    no single steps."""

    @property
    def steps(self) -> int: ...
    @property
    def average(self) -> float: ...
    @property
    def evaluate_every(self) -> int: ...
    @property
    def checkpoint_every(self) -> int: ...
    @property
    def log_every(self) -> int: ...
    def epoch(self, step: int) -> int | None: ...
    def lr_at(self, step: int) -> float: ...
    def optimizer(self, network: nn.Module, scaled: Collection[str] = ()) -> torch.optim.Optimizer: ...


@dataclass(frozen=True)
class Schedule:
    """AdamW with a linear warm-up and a cosine decay to zero; ``average`` is the decay of the weights' moving
    average. Weights decay but for vectors and the parameters named as ``scaled``."""

    steps: int
    batch: int
    lr: float = 1e-3
    warmup: int = 500
    weight_decay: float = 0.01
    average: float = 0.999
    evaluate_every: int = 1000
    checkpoint_every: int = 500

    log_every = 0

    def __post_init__(self) -> None:
        at_least(self, steps=1, batch=1, evaluate_every=1, checkpoint_every=1, warmup=0, weight_decay=0)
        if not (0 < self.lr < 1 and 0 <= self.average < 1):
            raise InputError(
                f"config keys lr {self.lr} and average {self.average} of a schedule must lie between 0 and 1"
            )

    def epoch(self, step: int) -> None:
        """There are no epochs: every sample is a new one."""
        return None

    def lr_at(self, step: int) -> float:
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        share = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.lr * 0.5 * (1 + math.cos(math.pi * share))

    def optimizer(self, network: nn.Module, scaled: Collection[str] = ()) -> torch.optim.Optimizer:
        trained = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
        decay = [p for name, p in trained if p.ndim > 1 and name not in scaled]
        plain = [p for name, p in trained if p.ndim <= 1 or name in scaled]
        groups = [
            {"params": decay, "weight_decay": self.weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self.lr)


@dataclass(frozen=True)
class EpochPlan:
    """The official schedule: epochs ``first``..``epochs - 1`` (from 0) of ``per_epoch`` steps; the rate is
    multiplied by ``factor`` at each of ``decays``.

    A decay at n acts from epoch n on, counted from 0: what PyTorch's MultiStepLR does when stepped after
    every epoch.
    """

    epochs: int
    per_epoch: int
    lr: float
    decays: tuple[int, ...]
    factor: float
    optimiser: str
    first: int = 0
    saves: int = 0
    """Steps between checkpoints; 0: after every epoch."""
    log_every: int = 10

    # The official recipes evaluate and save after every epoch and keep no average of the weights.
    average: float = 0.0

    @property
    def steps(self) -> int:
        return max(0, self.epochs - self.first) * self.per_epoch

    @property
    def evaluate_every(self) -> int:
        return self.per_epoch

    @property
    def checkpoint_every(self) -> int:
        return self.saves or self.per_epoch

    def epoch(self, step: int) -> int:
        """The epoch, from 0, that ``step`` (from 0) lies in."""
        return self.first + step // self.per_epoch

    def lr_at(self, step: int) -> float:
        return self.lr * self.factor ** sum(self.epoch(step) >= d for d in self.decays)

    def optimizer(self, network: nn.Module, scaled: Collection[str] = ()) -> torch.optim.Optimizer:
        trained = [p for p in network.parameters() if p.requires_grad]
        return OPTIMISERS[self.optimiser](trained, lr=self.lr)
