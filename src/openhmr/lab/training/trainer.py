"""The one training loop: an optimiser, a schedule, checkpoints that resume to the bit, metrics and curves."""

import json
import logging
import time
from functools import cached_property
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, distributed, nn
from tqdm import tqdm

from openhmr.errors import InputError
from openhmr.io.atomic import atomic_path
from openhmr.lab.device import is_first
from openhmr.lab.run_folder import STATE
from openhmr.lab.training.metrics_file import append_metrics, plot_metrics, read_metrics
from openhmr.lab.training.recipe import Recipe
from openhmr.lab.training.tensorboard import EventFile

log = logging.getLogger(__name__)

PLOT_SECONDS = 60
"""Curves are drawn anew at most so often, and at the end."""


def train(recipe: Recipe, folder: Path, until: int | None = None) -> "Trainer":
    """Run a recipe in ``folder``, or go on where it stopped there, bit for bit, up to step ``until``
    (default: the end of its plan). The network ends in evaluation mode, with the averaged weights where its
    plan has an average. Raises :class:`InputError` if the folder holds the state of another network."""
    if is_first():
        recipe.precision.announce()
    loop = Trainer(recipe, folder)
    if loop.resume():
        log.info("%s goes on at step %d", folder, loop.step)
    else:
        recipe.initialise()
    loop.run(until)
    if loop.plan.average:
        loop.network.load_state_dict(loop.average)
    # Also where all steps were taken before: that run may have been stopped in between.
    if loop.step >= loop.plan.steps:
        recipe.finish(loop)
    loop.network.eval()
    return loop


class Trainer:
    """The state of a training and its steps.

    The run folder holds ``state.safetensors`` (weights, their average, optimiser, random generators: resuming
    goes on bit for bit), ``metrics.jsonl``, ``metrics.png`` and TensorBoard events. Errors are those of the
    averaged network. Of several processes only the first writes and evaluates; each has batch statistics of
    its own.
    """

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        self.recipe, self.folder = recipe, folder
        self.plan, self.device = recipe.plan, recipe.device
        self.network = recipe.network.to(self.device)
        self.model = self._wrapped()
        self.optimizer = self.plan.optimizer(self.network, recipe.step_scales)
        parameters = dict(self.network.named_parameters())
        self.scaled = [(parameters[name], scale) for name, scale in recipe.step_scales.items()]
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=recipe.precision.name == "fp16")
        self.generator = torch.Generator(device=self.device).manual_seed(recipe.running.seed)
        self.average = {
            k: v.detach().clone() if self.plan.average else v for k, v in self.network.state_dict().items()
        }
        self.step, self.seconds = 0, 0.0
        self.sums: dict[str, tuple[Tensor, int]] = {}
        self.plotted = float("-inf")

    def _wrapped(self) -> nn.Module:
        model = self.network
        if distributed.is_initialized():
            # Constant matrices of graphs are sparse, which cannot be sent around.
            constant = [name for name, buffer in model.named_buffers() if buffer.layout != torch.strided]
            nn.parallel.DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, constant)
            # Official networks carry layers that nothing uses.
            devices = [self.device] if self.device.type == "cuda" else None
            model = nn.parallel.DistributedDataParallel(model, devices, find_unused_parameters=True)
        if self.recipe.running.compile:
            model = torch.compile(model, backend=self.recipe.running.compile)  # type: ignore[assignment]
        return model

    @property
    def state_path(self) -> Path:
        return self.folder / STATE

    @cached_property
    def events(self) -> EventFile:
        """TensorBoard's file of this start, in the run folder."""
        return EventFile(self.folder)

    def save(self) -> None:
        """Write the whole training state to one file, atomically."""
        tensors = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        if self.plan.average:
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
        """Take the state in the run folder over, if there is one. Raises :class:`InputError` if it is damaged
        or of another network."""
        if not self.state_path.exists():
            return False
        try:
            with safe_open(self.state_path, "pt") as file:
                tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118 (not a dict)
                metadata = file.metadata()
            self.step, self.seconds = int(metadata["step"]), float(metadata["seconds"])
            self._take_over(tensors)
            self.scaler.load_state_dict(json.loads(metadata.get("scaler", "{}")))
        except InputError:
            raise
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{self.state_path} is no readable training state ({error}); delete it, or choose another "
                f"folder"
            ) from None
        return True

    def _take_over(self, tensors: dict[str, Tensor]) -> None:
        refused = f"{self.state_path} belongs to another network or config"

        def part(name: str) -> dict[str, Tensor]:
            return {k[len(name) + 1 :]: v for k, v in tensors.items() if k.startswith(f"{name}.")}

        try:
            self.network.load_state_dict(part("network"))
        except RuntimeError as error:
            raise InputError(f"{refused} ({error}); choose another run folder") from None
        average = part("average")
        if (self.plan.average and average.keys() != self.average.keys()) or "generator" not in tensors:
            raise InputError(f"{refused} (no average, or another one); choose another run folder")
        if self.plan.average:
            self.average = {k: v.to(self.average[k].device) for k, v in average.items()}
        groups = self.optimizer.state_dict()["param_groups"]
        trained = [p for group in self.optimizer.param_groups for p in group["params"]]
        states: dict[int, dict[str, Tensor]] = {}
        for key, value in part("optimizer").items():
            index, name = key.split(".", 1)
            states.setdefault(int(index), {})[name] = value
            if int(index) >= len(trained) or (value.ndim and value.shape != trained[int(index)].shape):
                raise InputError(f"{refused} (it trained other layers); choose another run folder")
        self.optimizer.load_state_dict({"state": states, "param_groups": groups})
        self.generator.set_state(tensors["generator"])
        torch.set_rng_state(tensors["torch_rng"])

    def optimise(self, losses: dict[str, Tensor]) -> None:
        """One optimiser step on the sum of ``losses``."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.lr_at(self.step)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(torch.stack(list(losses.values())).sum()).backward()
        if self.recipe.running.clip_norm:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.running.clip_norm)
        scaled = [(p, p.detach().clone(), scale) for p, scale in self.scaled if p.grad is not None]
        self.scaler.step(self.optimizer)
        self.scaler.update()
        with torch.no_grad():
            for p, before, scale in scaled:
                p.sub_(before).mul_(scale).add_(before)
        self.step += 1
        for name, value in losses.items():
            total, count = self.sums.get(name, (torch.zeros((), device=self.device), 0))
            self.sums[name] = total + value.detach(), count + 1
        self._update_average()

    def _update_average(self) -> None:
        if not self.plan.average:
            return
        # Early averages forget quickly, so that the random initial weights do not linger.
        decay = min(self.plan.average, (1 + self.step) / (10 + self.step))
        for k, v in self.network.state_dict().items():
            if v.dtype.is_floating_point:
                self.average[k].lerp_(v, 1 - decay)
            else:
                self.average[k].copy_(v)

    def run(self, until: int | None = None) -> None:
        """Train up to step ``until`` (default: the plan's end), with checkpoints and metrics on the way."""
        first, plan = is_first(), self.plan
        self.folder.mkdir(parents=True, exist_ok=True)
        end, before = min(plan.steps, until or plan.steps), self.seconds
        # An error leaves the bar, so that its message has a line of its own.
        with tqdm(
            total=end, initial=self.step, desc=self.folder.name, mininterval=5, disable=not first
        ) as bar:
            while self.step < end:
                started = time.perf_counter()
                self.network.train()
                losses = self.recipe.loss(self.model, self.step, self.generator)
                self.optimise(losses)
                self.seconds += time.perf_counter() - started
                bar.update()
                if not first:
                    continue
                if plan.log_every and self.step % plan.log_every == 0:
                    self.events.scalars({f"step/{k}": v.item() for k, v in losses.items()}, self.step)
                if self.step % plan.evaluate_every == 0 or self.step == end:
                    numbers = self.mean_losses() | self.evaluate(self.seconds - before)
                    self._record(numbers, last=self.step == end)
                    bar.set_postfix({k: f"{v:.4g}" for k, v in numbers.items()})
                if self.step % plan.checkpoint_every == 0 or self.step == end:
                    self.save()

    def mean_losses(self) -> dict[str, float]:
        """Means of the losses since the last call."""
        means = {name: (total / count).item() for name, (total, count) in self.sums.items()}
        self.sums = {}
        return means

    def evaluate(self, seconds: float) -> dict[str, float]:
        """The recipe's errors with the averaged weights in the network, in evaluation mode; the training
        weights come back after. Of the ``seconds`` since the start is said which share waited for data."""
        averaged = self.plan.average > 0
        current = {k: v.clone() for k, v in self.network.state_dict().items()} if averaged else {}
        if averaged:
            self.network.load_state_dict(self.average)
        self.network.eval()
        epoch, waited = self.plan.epoch(self.step - 1), self.recipe.seconds_waited()
        numbers: dict[str, float] = {} if epoch is None else {"epoch": epoch + 1}
        if waited is not None:
            numbers["waiting"] = waited / max(seconds, 1e-9)
        with torch.no_grad():
            numbers |= self.recipe.evaluate()
            self.recipe.keep(self, numbers)
        if averaged:
            self.network.load_state_dict(current)
        return numbers

    def history(self) -> list[dict[str, float]]:
        """The rows recorded so far, up to this step: a run that stopped after its last checkpoint repeats
        some."""
        return [row for row in read_metrics(self.folder) if row["step"] < self.step]

    def _record(self, numbers: dict[str, float], last: bool) -> None:
        row = {"step": self.step, "seconds": round(self.seconds, 1)}
        append_metrics(self.folder, row | {k: round(v, 6) for k, v in numbers.items()})
        self.events.scalars(numbers | {"lr": self.optimizer.param_groups[0]["lr"]}, self.step)
        if last or time.monotonic() - self.plotted > PLOT_SECONDS:
            self.plotted = time.monotonic()
            plot_metrics(self.folder)
