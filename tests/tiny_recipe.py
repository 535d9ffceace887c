"""A recipe of two small layers, for tests of the loop itself."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from openhmr.lab.precision import choose_precision
from openhmr.lab.training.recipe import Recipe, Running
from openhmr.lab.training.schedule import EpochPlan, Plan


class SumRecipe(Recipe):
    """Learns five times the sum of three numbers; ``losses`` keeps those of the steps."""

    def __init__(self, network: nn.Module | None = None, plan: Plan | None = None, **running) -> None:
        self.network = network or nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
        if network is None:
            generator = torch.Generator().manual_seed(0)
            for p in self.network.parameters():
                nn.init.uniform_(p, -0.5, 0.5, generator=generator)
        self.plan = plan or EpochPlan(2, 4, 1e-2, (1,), 0.1, "adam")
        self.running = Running(1, **running)
        self.precision = choose_precision(self.running.precision, "cpu", hardware_bf16=True)
        self.step_scales: Mapping[str, Tensor] = {}
        self.losses: list[float] = []

    def loss(self, model: nn.Module, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        x = torch.randn(16, 3, generator=torch.Generator().manual_seed(step))
        with self.precision.autocast():
            out = model(x)
        value = (out.float() - 5 * x.sum(1, keepdim=True)).square().mean()
        self.losses.append(value.item())
        return {"square": value}

    def evaluate(self) -> dict[str, float]:
        return {}
