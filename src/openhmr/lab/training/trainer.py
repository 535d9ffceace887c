"""The training loop of every system: one optimiser, one schedule, checkpoints that resume to the bit, metrics
and plots."""

import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, distributed, nn
from tqdm import tqdm

from openhmr.errors import InputError
from openhmr.io.atomic import atomic_path
from openhmr.lab.config import at_least
from openhmr.lab.device import is_first
from openhmr.lab.training.tensorboard import EventFile

log = logging.getLogger(__name__)


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
    def lr_at(self, step: int) -> float: ...
    def optimizer(self, network: nn.Module) -> torch.optim.Optimizer: ...


@dataclass(frozen=True)
class Running:
    """How the loop runs, which results should depend on by no more than rounding."""

    seed: int = 123
    precision: Literal["float32", "bf16", "fp16"] = "float32"
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


@dataclass(frozen=True)
class Schedule:
    """AdamW with a linear warm-up and a cosine decay to zero; ``average`` is the decay of the weights' moving
    average. A parameter with an attribute ``step_scale`` (a tensor that broadcasts to it) moves by so much of
    its step, and does not decay."""

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

    def lr_at(self, step: int) -> float:
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        return (
            self.lr * 0.5 * (1 + math.cos(math.pi * (step - self.warmup) / max(1, self.steps - self.warmup)))
        )

    def optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        trained = [p for p in network.parameters() if p.requires_grad]
        decay = [p for p in trained if p.ndim > 1 and not hasattr(p, "step_scale")]
        plain = [p for p in trained if p.ndim <= 1 or hasattr(p, "step_scale")]
        groups = [
            {"params": decay, "weight_decay": self.weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self.lr)


LossFunction = Callable[[int, torch.Generator], dict[str, Tensor]]


class Trainer:
    """Trains ``network`` with ``loss(step, generator) -> named scalars``, whose sum is minimised.

    The run folder holds ``state.safetensors`` (weights, their average, optimiser, random generator: resuming
    continues bit for bit), ``metrics.jsonl``, ``metrics.png`` and TensorBoard events. ``evaluate`` is called
    with the averaged network and returns named numbers. Losses call ``model``, which is the network, compiled
    and distributed as ``running`` and torchrun have it, inside :meth:`autocast`. Of several processes the
    first alone writes and evaluates; each has batch statistics of its own.
    """

    def __init__(
        self,
        network: nn.Module,
        schedule: Plan,
        folder: Path,
        seed: int,
        device: torch.device,
        running: Running = PLAIN,
    ) -> None:
        self.network, self.schedule, self.folder, self.running = network.to(device), schedule, folder, running
        self.device = device
        self.model = self._wrapped()
        self.optimizer = schedule.optimizer(network)
        self.scaler = torch.amp.GradScaler(device.type, enabled=running.precision == "fp16")
        self.generator = torch.Generator(device=device).manual_seed(seed)
        self.average = {
            k: v.detach().clone() if schedule.average else v for k, v in network.state_dict().items()
        }
        self.step, self.seconds = 0, 0.0
        self.sums: dict[str, tuple[Tensor, int]] = {}

    def _wrapped(self) -> nn.Module:
        model = self.network
        if distributed.is_initialized():
            # Constant matrices of graphs are sparse, which cannot be sent around.
            constant = [name for name, buffer in model.named_buffers() if buffer.layout != torch.strided]
            nn.parallel.DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, constant)
            # Official networks carry layers that nothing uses.
            devices = [self.device] if self.device.type == "cuda" else None
            model = nn.parallel.DistributedDataParallel(model, devices, find_unused_parameters=True)
        if self.running.compile:
            model = torch.compile(model, backend=self.running.compile)  # type: ignore[assignment]
        return model

    def autocast(self) -> torch.autocast:
        """The context that ``running.precision`` asks of a forward pass."""
        precision = self.running.precision
        kind = torch.float16 if precision == "fp16" else torch.bfloat16
        return torch.autocast(self.device.type, kind, enabled=precision != "float32")

    @property
    def state_path(self) -> Path:
        return self.folder / "state.safetensors"

    @cached_property
    def events(self) -> EventFile:
        """TensorBoard's file of this start, in the run folder."""
        return EventFile(self.folder)

    def save(self) -> None:
        """Write the whole training state to one file, atomically."""
        tensors = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        if self.schedule.average:
            tensors |= {f"average.{k}": v for k, v in self.average.items()}
        for i, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{i}.{k}": v for k, v in state.items()}
        tensors["generator"] = self.generator.get_state()
        tensors["torch_rng"] = torch.get_rng_state()
        metadata = {
            "step": str(self.step),
            "seconds": repr(self.seconds),
            "scaler": json.dumps(self.scaler.state_dict()),
        }
        with atomic_path(self.state_path) as temporary:
            save_file({k: v.contiguous() for k, v in tensors.items()}, temporary, metadata)

    def resume(self) -> bool:
        """Continue from the state in the run folder, if there is one. Raises :class:`InputError` if it is of
        another network."""
        if not self.state_path.exists():
            return False
        try:
            with safe_open(self.state_path, "pt") as file:
                tensors = {k: file.get_tensor(k) for k in file.keys()}
                metadata = file.metadata()
            self.step, self.seconds = int(metadata["step"]), float(metadata["seconds"])
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{self.state_path} is no readable training state ({error}); delete it, or choose another "
                f"folder"
            ) from None
        refused = f"{self.state_path} belongs to another network or config"
        part = lambda name: {k[len(name) + 1 :]: v for k, v in tensors.items() if k.startswith(name + ".")}
        try:
            self.network.load_state_dict(part("network"))
        except RuntimeError as error:
            raise InputError(f"{refused} ({error}); choose another run folder") from None
        average, trained = (
            part("average"),
            [p for group in self.optimizer.param_groups for p in group["params"]],
        )
        if (self.schedule.average and average.keys() != self.average.keys()) or "generator" not in tensors:
            raise InputError(f"{refused} (no average, or another one); choose another run folder")
        if self.schedule.average:
            self.average = {k: v.to(self.average[k].device) for k, v in average.items()}
        states: dict[int, dict[str, Tensor]] = {}
        for key, value in part("optimizer").items():
            index, name = key.split(".", 1)
            states.setdefault(int(index), {})[name] = value
            if int(index) >= len(trained) or (value.ndim and value.shape != trained[int(index)].shape):
                raise InputError(f"{refused} (it trained other layers); choose another run folder")
        self.optimizer.load_state_dict(
            {"state": states, "param_groups": self.optimizer.state_dict()["param_groups"]}
        )
        self.generator.set_state(tensors["generator"])
        torch.set_rng_state(tensors["torch_rng"])
        self.scaler.load_state_dict(json.loads(metadata.get("scaler", "{}")))
        return True

    def _update_average(self) -> None:
        if not self.schedule.average:
            return
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
        self.scaler.scale(torch.stack(list(losses.values())).sum()).backward()
        if self.running.clip_norm:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.network.parameters(), self.running.clip_norm)
        damped = [
            (p, p.detach().clone())
            for p in self.network.parameters()
            if hasattr(p, "step_scale") and p.grad is not None
        ]
        self.scaler.step(self.optimizer)
        self.scaler.update()
        with torch.no_grad():
            for p, before in damped:
                p.sub_(before).mul_(p.step_scale).add_(before)  # type: ignore[attr-defined]
        self.step += 1
        for name, value in losses.items():
            total, count = self.sums.get(name, (torch.zeros((), device=self.device), 0))
            self.sums[name] = total + value.detach(), count + 1
        self._update_average()

    def run(
        self, loss: LossFunction, evaluate: Callable[[], dict[str, float]], until: int | None = None
    ) -> None:
        """Train up to step ``until`` (default: the schedule's end), writing checkpoints and metrics on the
        way."""
        first = is_first()
        self.folder.mkdir(parents=True, exist_ok=True)
        end = min(self.schedule.steps, until or self.schedule.steps)
        # An error leaves the bar, so that its message has a line of its own.
        with tqdm(
            total=end, initial=self.step, desc=self.folder.name, mininterval=5, disable=not first
        ) as bar:
            while self.step < end:
                started = time.perf_counter()
                self.network.train()
                losses = loss(self.step, self.generator)
                self.optimise(losses)
                self.seconds += time.perf_counter() - started
                bar.update()
                if not first:
                    continue
                if self.schedule.log_every and self.step % self.schedule.log_every == 0:
                    self.events.scalars({f"step/{k}": v.item() for k, v in losses.items()}, self.step)
                if self.step % self.schedule.evaluate_every == 0 or self.step == end:
                    numbers = self.mean_losses() | self.evaluate_average(evaluate)
                    self._record(numbers)
                    bar.set_postfix({k: f"{v:.4g}" for k, v in numbers.items()})
                if self.step % self.schedule.checkpoint_every == 0 or self.step == end:
                    self.save()

    def mean_losses(self) -> dict[str, float]:
        """Means of the losses since the last call."""
        means = {name: (total / count).item() for name, (total, count) in self.sums.items()}
        self.sums = {}
        return means

    def evaluate_average(self, evaluate: Callable[[], dict[str, float]]) -> dict[str, float]:
        """Run ``evaluate`` with the averaged weights in the network, in evaluation mode; the training weights
        come back after."""
        averaged = self.schedule.average > 0
        current = {k: v.clone() for k, v in self.network.state_dict().items()} if averaged else {}
        if averaged:
            self.network.load_state_dict(self.average)
        self.network.eval()
        with torch.no_grad():
            numbers = evaluate()
        if averaged:
            self.network.load_state_dict(current)
        return numbers

    def history(self) -> list[dict[str, float]]:
        """The rows recorded so far, up to this step: a run that stopped after its last checkpoint repeats
        some."""
        return [row for row in read_metrics(self.folder) if row["step"] < self.step]

    def _record(self, numbers: dict[str, float]) -> None:
        row = {"step": self.step, "seconds": round(self.seconds, 1)} | {
            k: round(v, 6) for k, v in numbers.items()
        }
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
        self.events.scalars(numbers | {"lr": self.optimizer.param_groups[0]["lr"]}, self.step)
        plot_metrics(self.folder)


def read_metrics(folder: Path) -> list[dict[str, float]]:
    """Rows of ``metrics.jsonl``, but those that a killed process left unfinished."""
    file, rows = folder / "metrics.jsonl", []
    for line in file.read_bytes().splitlines() if file.exists() else ():
        try:
            rows.append(json.loads(line))
        except ValueError:
            log.warning("%s has a line that cannot be read: %.40r", file, line)
    return rows


def plot_metrics(folder: Path) -> None:
    """Draw every column of ``metrics.jsonl`` against the step into ``metrics.png``."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = read_metrics(folder)
    names = [k for k in rows[-1] if k not in ("step", "seconds")]
    figure, axes = pyplot.subplots(1, len(names), figsize=(3 * len(names), 2.6), squeeze=False)
    for axis, name in zip(axes[0], names, strict=True):
        axis.plot([r["step"] for r in rows if name in r], [r[name] for r in rows if name in r])
        axis.set_title(name, fontsize=8)
        axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(folder / "metrics.png", dpi=80)
    pyplot.close(figure)
