"""Recipe: the compact I2L-MeshNet on rendered pictures. Both of the original's stages train at once, since no
gradient of the parameter regressor reaches what comes before it (there the regressor trains on a network that
stands still)."""

import logging
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from openhmr.bodies.body import Body
from openhmr.bodies.shipped import open_body
from openhmr.errors import InputError
from openhmr.joints import COCO, HUMAN36, SMPL
from openhmr.lab.config import at_least
from openhmr.lab.device import is_first, rank_and_world
from openhmr.lab.metrics.errors import mpjpe, pa_mpjpe
from openhmr.lab.models.i2l_meshnet.compact import UNUSED, CompactI2L, CompactI2LConfig
from openhmr.lab.models.onnx_weights import start_from
from openhmr.lab.models.pose2mesh.compact import CompactPose2Mesh
from openhmr.lab.precision import Wish, choose_precision
from openhmr.lab.synth.augment import NONE, Augmentation
from openhmr.lab.synth.crops import CropBatch, CropSource, Pictures, cut
from openhmr.lab.synth.pairs import Skeleton
from openhmr.lab.training.compact_i2l_losses import CompactI2LLosses, LossWeights, restore
from openhmr.lab.training.recipe import Loop, Recipe, Running, initial_weights
from openhmr.lab.training.schedule import Schedule
from openhmr.predict.coarse_mesh import coarse_regressor

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CompactI2LRun:
    """Everything that defines a run; ``pictures`` and ``validation`` are folders of shards of rendered
    pictures."""

    pictures: str
    validation: str
    recipe: str = "i2l"
    seed: int = 1
    precision: Wish = "auto"
    """Of convolutions while training; auto: bf16 where the hardware has it, else float32."""
    model: CompactI2LConfig = field(default_factory=CompactI2LConfig)
    augmentation: Augmentation = field(default_factory=Augmentation)
    loss: LossWeights = field(default_factory=LossWeights)
    schedule: Schedule = field(
        default_factory=lambda: Schedule(steps=6000, batch=32, lr=5e-4, warmup=200, evaluate_every=500)
    )
    validation_crops: int = 400
    trunk_step: float = 0.4
    """Relative size of the trunk's steps (:meth:`CompactI2L.step_scales`); measured: 4 unlearns, 1 and 0
    (frozen) learn alike at first."""
    lifter: str | None = None
    """Weights of the compact Pose2Mesh, of all points or of coco, that lifts inside (a shipped model by name,
    an ONNX file, or the folder of a run's stage); needed unless ``start_from`` has it."""
    start_from: str | None = None
    """Weights that initialise the network wherever names and shapes agree (as ``lifter``); without them the
    trunk starts from BlazePose."""

    def __post_init__(self) -> None:
        at_least(self, validation_crops=1, trunk_step=0)


def untrained(body: Body, config: CompactI2LConfig) -> CompactI2L:
    """The network with random weights."""
    return CompactI2L(body, config, CompactPose2Mesh(COCO.flip_permutation, body, SMPL.flip_permutation))


class CompactI2LRecipe(Recipe):
    """Data, network and losses of one :class:`CompactI2LRun`.

    Raises :class:`InputError` where the folders that it starts from hold other networks, or where the
    processes cannot share a batch.
    """

    network: CompactI2L
    plan: Schedule

    def __init__(self, config: CompactI2LRun, device: torch.device) -> None:
        self.config, self.device, self.plan = config, device, config.schedule
        self.running = Running(config.seed, config.precision)
        self.precision = choose_precision(config.precision, device.type)
        if config.schedule.batch % rank_and_world()[1]:
            raise InputError(
                f"a batch of {config.schedule.batch} cannot be shared by {rank_and_world()[1]} processes; "
                f"make it a multiple"
            )
        body = open_body()
        self.losses = CompactI2LLosses(body, config.loss).to(device)
        # Targets are made on the CPU, while the device trains.
        human36 = torch.as_tensor(coarse_regressor(body, body.joint_regressor("human36")))
        common = Skeleton(body), human36, SMPL.flip_permutation
        self.source = CropSource(Pictures(config.pictures), *common, config.augmentation)
        held = CropSource(Pictures(config.validation), *common, NONE)
        ids = held.pictures.usable[: config.validation_crops]
        rng = np.random.default_rng(0)
        self.held = held.targets(ids, [cut(held.pictures, int(i), NONE, rng) for i in ids])
        self.network = self._network(body)
        self.step_scales = self.network.step_scales(config.trunk_step)
        self.pool = ThreadPoolExecutor(1)
        self.ahead: dict[int, Future[CropBatch]] = {}

    def _network(self, body: Body) -> CompactI2L:
        """The network with the weights that training begins with, which also say how far it may move."""
        config = self.config
        with initial_weights(config.seed):
            network = untrained(body, config.model)
        network.precision = self.precision
        if config.start_from:
            missing = [n for n in start_from(network, config.start_from) if not n.startswith(UNUSED)]
            if any(name.startswith(("trunk.", "lifter.")) for name in missing):
                raise InputError(
                    f"start_from {config.start_from} is no compact I2L-MeshNet (no {missing[0]}); try "
                    f"i2l-body"
                )
            if missing:
                log.warning(
                    "%d tensors are not in %s and start at random: %s ...",
                    len(missing),
                    config.start_from,
                    missing[0],
                )
        elif config.lifter:
            network.load_pretrained()
        else:
            raise InputError("a Pose2Mesh lifts inside; set start_from=i2l-body or lifter=pose2mesh")
        if config.lifter and (missing := start_from(network.lifter, config.lifter, COCO)):
            raise InputError(
                f"lifter {config.lifter} is no compact Pose2Mesh of all points or of coco (no {missing[0]}); "
                f"try pose2mesh"
            )
        network.trunk.freeze(config.model.frozen_blocks)
        return network.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def batch(self, step: int) -> CropBatch:
        """This process's share of the batch of ``step``; the next one is made meanwhile."""
        now = self.ahead.pop(step, None) or self.pool.submit(self._draw, step)
        self.ahead = {step + 1: self.pool.submit(self._draw, step + 1)}
        batch = now.result()
        moved = {k: v.to(self.device, non_blocking=True) for k, v in vars(batch).items()}
        return CropBatch(**moved)

    def _draw(self, step: int) -> CropBatch:
        rank, world = rank_and_world()
        return self.source.draw(self.plan.batch // world, self.config.seed * world + rank, step)

    def loss(self, model: nn.Module, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Lixel losses where the target lies in or near the crop's volume, metric joints, scale, likelihood,
        and the parameters'."""
        batch = self.batch(step)
        out = model(batch.image.to(memory_format=torch.channels_last))
        return self.losses(out, batch)

    def evaluate(self) -> dict[str, float]:
        """MPJPE and PA-MPJPE (mm, 14 Human3.6M joints) of the lixel and the parametric mesh on plain
        validation crops."""
        held, human36, skeleton = self.held, self.losses.human36, self.losses.skeleton
        lixel, param = [], []
        numbers: dict[str, float] = {}
        for i in range(0, len(held.image), 50):
            part = CropBatch(**{k: v[i : i + 50].to(self.device) for k, v in vars(held).items()})
            out = self.network(part.image.to(memory_format=torch.channels_last))
            lixel.append(human36 @ restore(out["vertices_lixel"], out["scale_m"], part))
            r, t = skeleton.transforms(out["rotations"], out["betas"])
            param.append(human36 @ skeleton.vertices(r, t, out["betas"]))
        target = (held.human36_m * 1000).numpy()
        for name, joints in (("lixel", lixel), ("param", param)):
            mm = (torch.cat(joints) * 1000).cpu().numpy()
            for metric, error in (("mpjpe", mpjpe), ("pa", pa_mpjpe)):
                numbers[f"{name}_{metric}"] = float(error(mm, target, HUMAN36).mean())
        return numbers

    def finish(self, loop: Loop) -> None:
        """Measure BatchNorm's statistics anew for the averaged weights: those of the moving average lag
        behind (by 10 mm and more)."""
        self.refresh_statistics()
        loop.average = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        if is_first():
            loop.save()

    def refresh_statistics(self, batches: int = 40) -> None:
        """BatchNorm's statistics become plain means over as many batches."""
        network = self.network.train()
        norms = [m for m in network.modules() if isinstance(m, _BatchNorm) and m.training]
        momenta = [m.momentum for m in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a plain mean over the batches
        with torch.no_grad():
            for i in range(batches):
                network(self.source.draw(self.plan.batch, self.config.seed + 1, i).image.to(self.device))
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def stages(
    config: CompactI2LRun, sources: object, device: torch.device
) -> Iterator[tuple[str, CompactI2LRecipe]]:
    """One, on the open body alone."""
    yield "", CompactI2LRecipe(config, device)
