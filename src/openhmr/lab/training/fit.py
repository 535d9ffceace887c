"""The training loop of every system: one optimiser, one schedule, checkpoints that resume to the bit, metrics and plots."""

import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import tqdm

from openhmr.errors import InputError
from openhmr.io.atomic import atomic_path

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Schedule:
    """AdamW with a linear warm-up and a cosine decay to zero; ``average`` is the decay of the weights' moving average."""

    steps: int
    batch: int
    lr: float = 1e-3
    warmup: int = 500
    weight_decay: float = 0.01
    average: float = 0.999
    evaluate_every: int = 1000
    checkpoint_every: int = 500

    def lr_at(self, step: int) -> float:
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        return self.lr * 0.5 * (1 + math.cos(math.pi * (step - self.warmup) / max(1, self.steps - self.warmup)))


LossFunction = Callable[[int, torch.Generator], dict[str, Tensor]]


class Trainer:
    """Trains ``network`` with ``loss(step, generator) -> named scalars``, whose sum is minimised.

    The run folder holds ``state.safetensors`` (weights, their average, optimiser, random generator: resuming continues bit for
    bit), ``metrics.jsonl`` and ``metrics.png``. ``evaluate`` is called with the averaged network and returns named numbers.
    """

    def __init__(self, network: nn.Module, schedule: Schedule, folder: Path, seed: int, device: torch.device) -> None:
        self.network, self.schedule, self.folder = network.to(device), schedule, folder
        trained = [p for p in network.parameters() if p.requires_grad]
        decay, plain = [p for p in trained if p.ndim > 1], [p for p in trained if p.ndim <= 1]
        groups = [{"params": decay, "weight_decay": schedule.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=schedule.lr)
        self.generator = torch.Generator(device=device).manual_seed(seed)
        self.average = {k: v.detach().clone() for k, v in network.state_dict().items()}
        self.step, self.seconds = 0, 0.0

    @property
    def state_path(self) -> Path:
        return self.folder / "state.safetensors"

    def save(self) -> None:
        """Write the whole training state to one file, atomically."""
        tensors = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.items()}
        for i, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{i}.{k}": v for k, v in state.items()}
        tensors["generator"] = self.generator.get_state()
        tensors["torch_rng"] = torch.get_rng_state()
        metadata = {"step": str(self.step), "seconds": repr(self.seconds)}
        with atomic_path(self.state_path) as temporary:
            save_file({k: v.contiguous() for k, v in tensors.items()}, temporary, metadata)

    def resume(self) -> bool:
        """Continue from the state in the run folder, if there is one. Raises :class:`InputError` if it is of another network."""
        if not self.state_path.exists():
            return False
        with safe_open(self.state_path, "pt") as file:
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118 (not a dict)
            metadata = file.metadata()
        part = lambda name: {k[len(name) + 1 :]: v for k, v in tensors.items() if k.startswith(name + ".")}  # noqa: E731
        try:
            self.network.load_state_dict(part("network"))
        except RuntimeError as error:
            raise InputError(f"{self.state_path} belongs to another network or config ({error}); choose another run folder") from None
        self.average = {k: v.to(self.average[k].device) for k, v in part("average").items()}
        states: dict[int, dict[str, Tensor]] = {}
        for key, value in part("optimizer").items():
            index, name = key.split(".", 1)
            states.setdefault(int(index), {})[name] = value
        self.optimizer.load_state_dict({"state": states, "param_groups": self.optimizer.state_dict()["param_groups"]})
        self.generator.set_state(tensors["generator"])
        torch.set_rng_state(tensors["torch_rng"])
        self.step, self.seconds = int(metadata["step"]), float(metadata["seconds"])
        return True

    def _update_average(self) -> None:
        # Early averages forget quickly, so that the random initial weights do not linger.
        decay = min(self.schedule.average, (1 + self.step) / (10 + self.step))
        for k, v in self.network.state_dict().items():
            if v.dtype.is_floating_point:
                self.average[k].lerp_(v, 1 - decay)
            else:
                self.average[k].copy_(v)

    def optimise(self, losses: dict[str, Tensor]) -> None:
        """One optimiser step on the sum of ``losses``."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.lr_at(self.step)
        self.optimizer.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()
        self.optimizer.step()
        self.step += 1
        self._update_average()

    def run(self, loss: LossFunction, evaluate: Callable[[], dict[str, float]], until: int | None = None) -> None:
        """Train up to step ``until`` (default: the schedule's end), writing checkpoints and metrics on the way."""
        self.folder.mkdir(parents=True, exist_ok=True)
        end = min(self.schedule.steps, until or self.schedule.steps)
        bar = tqdm(total=end, initial=self.step, desc=self.folder.name, mininterval=5)
        while self.step < end:
            started = time.perf_counter()
            self.network.train()
            losses = loss(self.step, self.generator)
            self.optimise(losses)
            self.seconds += time.perf_counter() - started
            bar.update()
            if self.step % self.schedule.evaluate_every == 0 or self.step == end:
                numbers = {k: v.item() for k, v in losses.items()} | self.evaluate_average(evaluate)
                self._record(numbers)
                bar.set_postfix({k: f"{v:.4g}" for k, v in numbers.items()})
            if self.step % self.schedule.checkpoint_every == 0 or self.step == end:
                self.save()
        bar.close()

    def evaluate_average(self, evaluate: Callable[[], dict[str, float]]) -> dict[str, float]:
        """Run ``evaluate`` with the averaged weights in the network, in evaluation mode; the training weights come back after."""
        current = {k: v.clone() for k, v in self.network.state_dict().items()}
        self.network.load_state_dict(self.average)
        self.network.eval()
        with torch.no_grad():
            numbers = evaluate()
        self.network.load_state_dict(current)
        return numbers

    def _record(self, numbers: dict[str, float]) -> None:
        row = {"step": self.step, "seconds": round(self.seconds, 1)} | {k: round(v, 6) for k, v in numbers.items()}
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
        plot_metrics(self.folder)


def plot_metrics(folder: Path) -> None:
    """Draw every column of ``metrics.jsonl`` against the step into ``metrics.png``."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    names = [k for k in rows[-1] if k not in ("step", "seconds")]
    figure, axes = pyplot.subplots(1, len(names), figsize=(3 * len(names), 2.6), squeeze=False)
    for axis, name in zip(axes[0], names, strict=True):
        axis.plot([r["step"] for r in rows if name in r], [r[name] for r in rows if name in r])
        axis.set_title(name, fontsize=8)
        axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(folder / "metrics.png", dpi=80)
    pyplot.close(figure)
