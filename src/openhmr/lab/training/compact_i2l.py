"""Recipe: the compact I2L-MeshNet on rendered pictures. Both of the original's stages train at once, since no
gradient of the parameter regressor reaches what comes before it (there the regressor trains on a network that
stands still)."""

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from openhmr.bodies.body import Body
from openhmr.bodies.shipped import open_body
from openhmr.errors import InputError
from openhmr.joints import COCO, HUMAN36, SMPL
from openhmr.lab.config import at_least
from openhmr.lab.device import is_first, rank_and_world
from openhmr.lab.metrics.errors import mpjpe, pa_mpjpe
from openhmr.lab.models.i2l_meshnet.compact import CompactI2L, CompactI2LConfig
from openhmr.lab.models.pose2mesh.compact import CompactPose2Mesh
from openhmr.lab.synth.crops import NONE, Augmentation, CropBatch, CropSource, Pictures, cut
from openhmr.lab.synth.pairs import Skeleton
from openhmr.lab.training.compact import start_from
from openhmr.lab.training.trainer import Schedule, Trainer
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
class CompactI2LRecipe:
    """Everything that defines a run; ``pictures`` and ``validation`` are folders of shards of rendered
    pictures."""

    pictures: str
    validation: str
    recipe: str = "i2l"
    seed: int = 1
    model: CompactI2LConfig = field(default_factory=CompactI2LConfig)
    augmentation: Augmentation = field(default_factory=Augmentation)
    loss: LossWeights = field(default_factory=LossWeights)
    schedule: Schedule = field(
        default_factory=lambda: Schedule(steps=6000, batch=32, lr=5e-4, warmup=200, evaluate_every=500)
    )
    validation_crops: int = 400
    trunk_step: float = 0.4
    """Relative size of the trunk's steps (:meth:`CompactI2L.damp`); measured: 4 unlearns, 1 and 0 (frozen)
    learn alike at first."""
    lifter: str | None = None
    """Folder with the weights of the compact Pose2Mesh for coco that lifts inside; needed unless
    ``start_from`` has it."""
    start_from: str | None = None
    """Folder with weights that initialise the network wherever shapes agree; without it the trunk starts from
    BlazePose."""

    def __post_init__(self) -> None:
        at_least(self, validation_crops=1, trunk_step=0)


def fresh(body: Body, config: CompactI2LConfig) -> CompactI2L:
    """The network with random weights."""
    return CompactI2L(body, config, CompactPose2Mesh(COCO.flip_permutation, body, SMPL.flip_permutation))


def restore(lixel: Tensor, scale_m: Tensor, batch: CropBatch) -> Tensor:
    """Lixels ``(B,N,3)`` as metres in the rolled virtual camera ``(B,N,3)``: the ray of each pixel at its
    depth."""
    affine, K = batch.affine, batch.K
    xy = (lixel[..., :2] * (PATCH / LIXELS) - affine[:, None, :, 2]) @ torch.linalg.inv(affine[:, :, :2]).mT
    centre = torch.linalg.solve(affine[:, :, :2], PATCH / 2 - affine[:, :, 2])
    normalised = lambda pixel: (pixel - K[:, None, :2, 2]) / K[:, None, (0, 1), (0, 1)]
    rays = torch.cat([normalised(xy), torch.ones_like(xy[..., :1])], -1) @ batch.virtual.mT
    focal = K[:, 0, 0] * (1 + normalised(centre[:, None])[:, 0].square().sum(1)).sqrt()
    side = PATCH / affine[:, :, :2].det().sqrt()
    depth = (scale_m * focal * LIXELS / side)[:, None, None] + (lixel[..., 2:] / LIXELS - 0.5) * DEPTH_M
    return rays / rays[..., 2:].clamp(min=0.05) * depth


class CompactI2LTraining:
    """Data, network and losses of one :class:`CompactI2LRecipe`."""

    def __init__(self, recipe: CompactI2LRecipe, device: torch.device) -> None:
        self.recipe, self.device = recipe, device
        body = open_body()
        torch.manual_seed(recipe.seed)
        tensor = lambda a: torch.as_tensor(np.ascontiguousarray(a), dtype=torch.float32)
        human36 = coarse_regressor(body, body.joint_regressors["human36"])
        coco = coarse_regressor(body, body.joint_regressor(COCO))
        self.skeleton = Skeleton(body).to(device)
        self.human36, self.regressor = (
            tensor(human36).to(device),
            tensor(np.concatenate([human36, coco])).to(device),
        )
        # Targets are made on the CPU, while the device trains.
        own = Skeleton(body)
        source = lambda folder, a: CropSource(
            Pictures(folder), own, tensor(human36), SMPL.flip_permutation, a
        )
        self.source, held = source(recipe.pictures, recipe.augmentation), source(recipe.validation, NONE)
        ids = held.pictures.usable[: recipe.validation_crops]
        rng = np.random.default_rng(0)
        self.held = held.targets(ids, [cut(held.pictures, int(i), NONE, rng) for i in ids])
        self.network = fresh(body, recipe.model)
        if recipe.start_from:
            missing = start_from(self.network, Path(recipe.start_from))
            if any(name.startswith(("trunk.", "lifter.")) for name in missing):
                raise InputError(
                    f"start_from {recipe.start_from} is no compact I2L-MeshNet (no {missing[0]}); try "
                    f"checkpoints/compact_i2l"
                )
            if missing:
                log.warning(
                    "%d tensors are not in %s and start at random: %s ...",
                    len(missing),
                    recipe.start_from,
                    missing[0],
                )
        elif not recipe.lifter:
            raise InputError(
                "a Pose2Mesh lifts inside; set start_from=checkpoints/compact_i2l or "
                "lifter=checkpoints/compact_coco"
            )
        else:
            self.network.load_pretrained()
        if recipe.lifter:
            missing = start_from(self.network.lifter, Path(recipe.lifter))
            if missing:
                raise InputError(
                    f"lifter {recipe.lifter} is no compact coco Pose2Mesh (no {missing[0]}); try "
                    f"checkpoints/compact_coco"
                )
        if recipe.schedule.batch % rank_and_world()[1]:
            raise InputError(
                f"a batch of {recipe.schedule.batch} cannot be shared by {rank_and_world()[1]} processes; "
                f"make it a multiple"
            )
        self.network.trunk.freeze(recipe.model.frozen_blocks)
        self.network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network.damp(recipe.trunk_step)
        faces = body.level("coarse").faces.astype(np.int64)
        edges = np.unique(
            np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [0, 2]]]), 1), axis=0
        )
        self.edges = torch.as_tensor(edges, device=device)
        self.pool = ThreadPoolExecutor(1)
        self.ahead: dict[int, Future[CropBatch]] = {}

    def batch(self, step: int) -> CropBatch:
        """This process's share of the batch of ``step``; the next one is made meanwhile."""
        rank, world = rank_and_world()
        draw = lambda s: self.source.draw(
            self.recipe.schedule.batch // world, self.recipe.seed * world + rank, s
        )
        now = self.ahead.pop(step, None) or self.pool.submit(draw, step)
        self.ahead = {step + 1: self.pool.submit(draw, step + 1)}
        batch = now.result()
        moved = {k: v.to(self.device, non_blocking=True) for k, v in vars(batch).items()}
        return CropBatch(**moved)

    def loss(self, model: torch.nn.Module, step: int) -> dict[str, Tensor]:
        """Lixel losses where the target lies in or near the crop's volume, metric joints, scale, likelihood,
        and the parameters'."""
        w, batch = self.recipe.loss, self.batch(step)
        out = model(batch.image.to(memory_format=torch.channels_last))
        inside = lambda x: ((x >= -MARGIN) & (x < LIXELS + MARGIN)).all(-1, keepdim=True).float()
        seen, seen_joints = inside(batch.vertices), inside(batch.joints)
        difference = lambda name, target: (out[f"{name}_lixel"] - target).abs()
        error, joint_error = difference("vertices", batch.vertices), difference("joints", batch.joints)
        mean = lambda value, mask: (value * mask).mean()
        regressed = self.regressor @ batch.vertices
        mesh_joint = mean((self.regressor @ out["vertices_lixel"] - regressed).abs(), inside(regressed))
        restored = self.human36 @ restore(out["vertices_lixel"], out["scale_m"], batch)
        whole = (seen.mean((1, 2)) > 0.95)[:, None, None].float()
        a, b = self.edges.unbind(1)
        length = lambda x: (x.index_select(1, a) - x.index_select(1, b)).square().sum(-1).add(1e-6).sqrt()
        nll = lambda error, sigma: sigma.log() + 2**0.5 * error.detach() / sigma
        r, t = self.skeleton.transforms(out["rotations"], out["betas"])
        skinned = self.skeleton.vertices(r, t, out["betas"])
        skinned = skinned - self.human36[:1] @ skinned
        return {
            "joint": mean(joint_error, seen_joints),
            "first": w.first * mean(difference("first", batch.joints), seen_joints),
            "lifted": w.lifted * mean(difference("lifted", batch.vertices), seen),
            "mesh": mean(error, seen),
            "mesh_joint": mesh_joint,
            "edge": w.edge
            * mean(
                (length(out["vertices_lixel"]) - length(batch.vertices)).abs()[..., None],
                seen[:, a] * seen[:, b],
            ),
            "joint3d": w.joint3d
            * LIXELS
            / DEPTH_M
            * mean((restored - restored[:, :1] - batch.human36_m).abs(), whole),
            "scale": w.scale * (out["scale_m"].log() - batch.scale_m.log()).abs().mean(),
            "likelihood": w.likelihood
            * (
                mean(nll(error, out["vertices_sigma"]), seen)
                + mean(nll(joint_error, out["joints_sigma"]), seen_joints)
            ),
            "rotation": w.rotation * (out["rotations"] - batch.rotations).abs().mean(),
            "param_mesh": LIXELS / DEPTH_M * (skinned - batch.points_m).abs().mean(),
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


def train(work: CompactI2LTraining, folder: Path, until: int | None = None) -> None:
    """Run the schedule in ``folder``; called again it continues from the last checkpoint, bit for bit."""
    recipe = work.recipe
    trainer = Trainer(work.network, recipe.schedule, folder, recipe.seed, work.device)
    if trainer.resume():
        log.info("continuing at step %d", trainer.step)
    trainer.run(lambda step, _: work.loss(trainer.model, step), work.evaluate, until)
    work.network.load_state_dict(trainer.average)
    # Also where the run is at its end already: it may have been stopped in between.
    if trainer.step >= recipe.schedule.steps:
        refresh_statistics(work)
        trainer.average = {k: v.detach().clone() for k, v in work.network.state_dict().items()}
        if is_first():
            trainer.save()
    work.network.eval()


def refresh_statistics(work: CompactI2LTraining, batches: int = 40) -> None:
    """Measure BatchNorm's statistics anew for the averaged weights: those of the moving average lag behind
    (by 10 mm and more)."""
    network = work.network.train()
    norms = [
        m for m in network.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm) and m.training
    ]
    momenta = [m.momentum for m in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
    with torch.no_grad():
        for i in range(batches):
            network(
                work.source.draw(work.recipe.schedule.batch, work.recipe.seed + 1, i).image.to(work.device)
            )
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
