"""Recipe: the compact I2L-MeshNet on rendered pictures. Both of the original's stages train at once, since no
gradient of the parameter regressor reaches what comes before it (there the regressor trains on a network that
stands still)."""

import logging
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from openhmr.bodies.body import Body
from openhmr.bodies.shipped import open_body
from openhmr.errors import InputError
from openhmr.joints import COCO, HUMAN36, SMPL
from openhmr.lab.config import at_least
from openhmr.lab.device import is_first, rank_and_world
from openhmr.lab.metrics.errors import mpjpe, pa_mpjpe
from openhmr.lab.models.i2l_meshnet.compact import CompactI2L, CompactI2LConfig
from openhmr.lab.models.pose2mesh.compact import CompactPose2Mesh
from openhmr.lab.precision import Wish, choose_precision
from openhmr.lab.synth.crops import NONE, Augmentation, CropBatch, CropSource, Pictures, cut
from openhmr.lab.synth.pairs import Skeleton
from openhmr.lab.training.compact_pose2mesh import start_from
from openhmr.lab.training.recipe import Loop, Recipe, Running, initial_weights
from openhmr.lab.training.schedule import Schedule
from openhmr.predict.coarse_mesh import coarse_regressor
from openhmr.predict.person_crop import DEPTH_M, LIXELS, PATCH

log = logging.getLogger(__name__)

MARGIN = 16
"""Lixels outside of the crop up to which points are still learned."""


@dataclass(frozen=True)
class LossWeights:
    """Weights of the terms; those in lixels are the original's (its normals are left out: they cost more than
    they gave)."""

    first: float = 0.5
    lifted: float = 0.5
    edge: float = 1.0
    joint3d: float = 0.5
    scale: float = 5.0
    likelihood: float = 0.05
    rotation: float = 5.0
    betas: float = 0.1


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
    """Folder with the weights of the compact Pose2Mesh for coco that lifts inside; needed unless
    ``start_from`` has it."""
    start_from: str | None = None
    """Folder with weights that initialise the network wherever shapes agree; without it the trunk starts from
    BlazePose."""

    def __post_init__(self) -> None:
        at_least(self, validation_crops=1, trunk_step=0)


def untrained(body: Body, config: CompactI2LConfig) -> CompactI2L:
    """The network with random weights."""
    return CompactI2L(body, config, CompactPose2Mesh(COCO.flip_permutation, body, SMPL.flip_permutation))


def restore(lixel: Tensor, scale_m: Tensor, batch: CropBatch) -> Tensor:
    """Lixels ``(B,N,3)`` as metres in the rolled virtual camera ``(B,N,3)``: the ray of each pixel at its
    depth."""
    affine, K = batch.affine, batch.K
    xy = (lixel[..., :2] * (PATCH / LIXELS) - affine[:, None, :, 2]) @ torch.linalg.inv(affine[:, :, :2]).mT
    centre = torch.linalg.solve(affine[:, :, :2], PATCH / 2 - affine[:, :, 2])

    def normalised(pixel: Tensor) -> Tensor:
        return (pixel - K[:, None, :2, 2]) / K[:, None, (0, 1), (0, 1)]

    plane = normalised(xy)
    rays = torch.cat([plane, torch.ones_like(plane[..., :1])], -1) @ batch.virtual.mT
    focal = K[:, 0, 0] * (1 + normalised(centre[:, None])[:, 0].square().sum(1)).sqrt()
    side = PATCH / affine[:, :, :2].det().sqrt()
    depth = (scale_m * focal * LIXELS / side)[:, None, None] + (lixel[..., 2:] / LIXELS - 0.5) * DEPTH_M
    return rays / rays[..., 2:].clamp(min=0.05) * depth


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
        human36 = coarse_regressor(body, body.joint_regressors["human36"])
        coco = coarse_regressor(body, body.joint_regressor(COCO))
        self.skeleton = Skeleton(body).to(device)
        self.human36 = _tensor(human36).to(device)
        self.regressor = _tensor(np.concatenate([human36, coco])).to(device)
        # Targets are made on the CPU, while the device trains.
        common = Skeleton(body), _tensor(human36), SMPL.flip_permutation
        self.source = CropSource(Pictures(config.pictures), *common, config.augmentation)
        held = CropSource(Pictures(config.validation), *common, NONE)
        ids = held.pictures.usable[: config.validation_crops]
        rng = np.random.default_rng(0)
        self.held = held.targets(ids, [cut(held.pictures, int(i), NONE, rng) for i in ids])
        self.network = self._network(body)
        self.step_scales = self.network.step_scales(config.trunk_step)
        self.edges = torch.as_tensor(_edges(body.level("coarse").faces), device=device)
        self.pool = ThreadPoolExecutor(1)
        self.ahead: dict[int, Future[CropBatch]] = {}

    def _network(self, body: Body) -> CompactI2L:
        """The network with the weights that training begins with, which also say how far it may move."""
        config = self.config
        with initial_weights(config.seed):
            network = untrained(body, config.model)
        network.precision = self.precision
        if config.start_from:
            missing = start_from(network, Path(config.start_from))
            if any(name.startswith(("trunk.", "lifter.")) for name in missing):
                raise InputError(
                    f"start_from {config.start_from} is no compact I2L-MeshNet (no {missing[0]}); try "
                    f"checkpoints/compact_i2l"
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
            raise InputError(
                "a Pose2Mesh lifts inside; set start_from=checkpoints/compact_i2l or "
                "lifter=checkpoints/compact_coco"
            )
        if config.lifter and (missing := start_from(network.lifter, Path(config.lifter))):
            raise InputError(
                f"lifter {config.lifter} is no compact coco Pose2Mesh (no {missing[0]}); try "
                f"checkpoints/compact_coco"
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
        return self._lixel_losses(out, batch) | self._metric_losses(out, batch)

    def _lixel_losses(self, out: dict[str, Tensor], batch: CropBatch) -> dict[str, Tensor]:
        w, mesh = self.config.loss, out["vertices_lixel"]
        seen, seen_joints = _near(batch.vertices), _near(batch.joints)
        error, joint_error = (mesh - batch.vertices).abs(), (out["joints_lixel"] - batch.joints).abs()
        regressed = self.regressor @ batch.vertices
        a, b = self.edges.unbind(1)
        stretched = (_lengths(mesh, a, b) - _lengths(batch.vertices, a, b)).abs()[..., None]
        unlikely = _mean(_unlikely(error, out["vertices_sigma"]), seen)
        unlikely = unlikely + _mean(_unlikely(joint_error, out["joints_sigma"]), seen_joints)
        return {
            "joint": _mean(joint_error, seen_joints),
            "first": w.first * _mean((out["first_lixel"] - batch.joints).abs(), seen_joints),
            "lifted": w.lifted * _mean((out["lifted_lixel"] - batch.vertices).abs(), seen),
            "mesh": _mean(error, seen),
            "mesh_joint": _mean((self.regressor @ mesh - regressed).abs(), _near(regressed)),
            "edge": w.edge * _mean(stretched, seen[:, a] * seen[:, b]),
            "likelihood": w.likelihood * unlikely,
        }

    def _metric_losses(self, out: dict[str, Tensor], batch: CropBatch) -> dict[str, Tensor]:
        w, per_metre = self.config.loss, LIXELS / DEPTH_M
        restored = self.human36 @ restore(out["vertices_lixel"], out["scale_m"], batch)
        whole = (_near(batch.vertices).mean((1, 2)) > 0.95)[:, None, None].float()
        r, t = self.skeleton.transforms(out["rotations"], out["betas"])
        skinned = self.skeleton.vertices(r, t, out["betas"])
        skinned = skinned - self.human36[:1] @ skinned
        metric = _mean((restored - restored[:, :1] - batch.human36_m).abs(), whole)
        return {
            "joint3d": w.joint3d * per_metre * metric,
            "scale": w.scale * (out["scale_m"].log() - batch.scale_m.log()).abs().mean(),
            "rotation": w.rotation * (out["rotations"] - batch.rotations).abs().mean(),
            "param_mesh": per_metre * (skinned - batch.points_m).abs().mean(),
            "betas": w.betas * (out["betas"] - batch.betas).abs().mean(),
        }

    def evaluate(self) -> dict[str, float]:
        """MPJPE and PA-MPJPE (mm, 14 Human3.6M joints) of the lixel and the parametric mesh on plain
        validation crops."""
        held = self.held
        lixel, param = [], []
        numbers: dict[str, float] = {}
        for i in range(0, len(held.image), 50):
            part = CropBatch(**{k: v[i : i + 50].to(self.device) for k, v in vars(held).items()})
            out = self.network(part.image.to(memory_format=torch.channels_last))
            lixel.append(self.human36 @ restore(out["vertices_lixel"], out["scale_m"], part))
            r, t = self.skeleton.transforms(out["rotations"], out["betas"])
            param.append(self.human36 @ self.skeleton.vertices(r, t, out["betas"]))
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


def _tensor(array: NDArray) -> Tensor:
    return torch.as_tensor(np.ascontiguousarray(array), dtype=torch.float32)


def _edges(faces: NDArray) -> NDArray[np.int64]:
    """Edges ``(E,2)`` of a mesh, each once."""
    f = faces.astype(np.int64)
    return np.unique(np.sort(np.concatenate([f[:, [0, 1]], f[:, [1, 2]], f[:, [0, 2]]]), 1), axis=0)


def _near(lixels: Tensor) -> Tensor:
    """1 for points ``(B,N,3)`` in the crop's volume or at most ``MARGIN`` outside of it, else 0:
    ``(B,N,1)``."""
    return ((lixels >= -MARGIN) & (lixels < LIXELS + MARGIN)).all(-1, keepdim=True).float()


def _mean(value: Tensor, mask: Tensor) -> Tensor:
    """Masked elements count in the mean, as zeros."""
    return (value * mask).mean()


def _lengths(points: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return (points.index_select(1, a) - points.index_select(1, b)).square().sum(-1).add(1e-6).sqrt()


def _unlikely(error: Tensor, sigma: Tensor) -> Tensor:
    """Negative log likelihood under a Laplace distribution of standard deviation ``sigma``; only ``sigma``
    learns from it."""
    return sigma.log() + 2**0.5 * error.detach() / sigma
