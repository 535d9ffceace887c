"""Optimisers and schedules of the official recipes, as plans for the one training loop (``fit.py``)."""

from dataclasses import dataclass

import torch
from torch import nn

OPTIMISERS = {
    "rmsprop": torch.optim.RMSprop,  # alpha 0.99, eps 1e-8, no momentum: PyTorch's defaults, as officially
    "adam": torch.optim.Adam,
}


@dataclass(frozen=True)
class EpochPlan:
    """Epochs ``first``..``epochs - 1`` (from 0) of ``per_epoch`` steps; the rate is multiplied by ``factor``
    at each of ``decays``.

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

    def optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        trained = [p for p in network.parameters() if p.requires_grad]
        return OPTIMISERS[self.optimiser](trained, lr=self.lr)
