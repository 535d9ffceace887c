"""Recipes: the compact Pose2Mesh on open motion, in two stages: the skinned mesh first, then everything with
graph refinement."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from openhmr.bodies.shipped import open_body
from openhmr.errors import InputError
from openhmr.joints import HUMAN36, SMPL, JointSet, get_joint_set, point_indices
from openhmr.lab.config import at_least
from openhmr.lab.device import rank_and_world
from openhmr.lab.metrics.errors import mpjpe, pa_mpjpe
from openhmr.lab.models.onnx_weights import start_from
from openhmr.lab.models.pose2mesh.compact import CompactConfig, CompactPose2Mesh
from openhmr.lab.models.pose2mesh.losses import LossConfig, edge_loss, normal_loss
from openhmr.lab.precision import Precision, Wish, choose_precision
from openhmr.lab.synth.bvh import makehuman_poses
from openhmr.lab.synth.motion import TEST_SUBJECTS, VALIDATION_SUBJECTS, Motion, load_motion
from openhmr.lab.synth.noise2d import CLEAN, NOISY, TRAINING, NoiseLevel
from openhmr.lab.synth.pairs import Batch, Cameras, PairSource, Skeleton
from openhmr.lab.synth.poses import AS_RECORDED, PoseSampler, Widening, even_weights
from openhmr.lab.training.recipe import Recipe, Running, initial_weights
from openhmr.lab.training.schedule import Schedule
from openhmr.predict.coarse_mesh import coarse_regressor

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CompactPose2MeshRun:
    """Everything that defines a run of the compact model."""

    joint_set: str
    motion: str
    more_motion: str | None = None
    """A second motion pack, all of which is trained on."""
    recipe: str = "pose2mesh"
    """Which system a YAML file is for; the other one is ``i2l``."""
    seed: int = 1
    precision: Wish = "auto"
    """Of forward passes while training; auto: bf16 where the hardware has it, else float32."""
    model: CompactConfig = field(default_factory=CompactConfig)
    widening: Widening = field(default_factory=Widening)
    noise: NoiseLevel = TRAINING
    skeletons: tuple[str, ...] = ()
    """Joint sets that the 2D poses have, each as often as it is named; by default the network's own alone."""
    mixed: float = 0.15
    """Share of the poses that have the points of two of the skeletons."""
    definition_mm: float = 40.0
    """Largest standard deviation of where a person's points lie about their definition; the smallest is
    0."""
    cameras: Cameras = field(default_factory=Cameras)
    stage1: Schedule = field(default_factory=lambda: Schedule(steps=20_000, batch=1024))
    stage2: Schedule = field(default_factory=lambda: Schedule(steps=3_000, batch=512, lr=3e-4))
    edge_weight: float = 1.0
    """Weight of the edge lengths in stage 2; the original's 20 costs the joints 1.5 mm here, since uncertain
    limbs are short."""
    likelihood: float = 0.01
    """Weight of how likely the errors are under the predicted deviations."""
    single_poses: str | None = None
    """Folder of one-frame BVH poses of the MakeHuman rig to draw from as well."""
    single_pose_share: float = 0.03
    start_from: str | None = None
    """Weights that initialise this network wherever names and shapes agree: a shipped model by name, an ONNX
    file, or the folder of a run's stage. Those of a network of all points are cut to the points of the joint
    set, which changes nothing."""
    evaluation_poses: int = 4096

    def __post_init__(self) -> None:
        at_least(self, evaluation_poses=1, definition_mm=0)
        for name in self.skeletons:
            point_indices(get_joint_set(name))


class Evaluator:
    """MPJPE and PA-MPJPE (mm, 14 Human3.6M joints, from the mesh) on held-out subjects, recorded poses, fixed
    seed."""

    def __init__(self, network: CompactPose2Mesh, batch: Batch, regressor: Tensor) -> None:
        self.network, self.batch, self.regressor = network, batch, regressor

    def __call__(self) -> dict[str, float]:
        vertices = torch.cat([self.network(chunk)[0] for chunk in self.batch.pose2d.split(512)])
        joints, target = ((x * 1000).cpu().numpy() for x in (self.regressor @ vertices, self.batch.joints))
        return {
            "mpjpe": float(mpjpe(joints, target, HUMAN36).mean()),
            "pa_mpjpe": float(pa_mpjpe(joints, target, HUMAN36).mean()),
        }


class CompactPose2MeshTraining:
    """Network, data and errors of one :class:`CompactPose2MeshRun`, which both stages share."""

    def __init__(self, config: CompactPose2MeshRun, device: torch.device) -> None:
        if rank_and_world()[1] > 1:
            raise InputError("recipe pose2mesh trains in one process; start it without torchrun")
        self.config, self.device = config, device
        self.precision = choose_precision(config.precision, device.type)
        self.body = open_body()
        self.joint_set = get_joint_set(config.joint_set)
        self.skeleton = Skeleton(self.body).to(device)
        with initial_weights(config.seed):
            self.network = CompactPose2Mesh(
                self.joint_set.flip_permutation, self.body, SMPL.flip_permutation, config.model
            ).to(device)
        regressor = coarse_regressor(self.body, self.body.joint_regressor(HUMAN36))
        self.regressor = torch.as_tensor(regressor, device=device)
        self.faces = torch.as_tensor(self.body.level("coarse").faces.astype(np.int64), device=device)

    @cached_property
    def motion(self) -> Motion:
        """Read when the first batch is drawn."""
        return load_motion(self.config.motion, self.body)

    @cached_property
    def source(self) -> PairSource:
        """Training pairs."""
        config = self.config
        train = self.motion.of(VALIDATION_SUBJECTS + TEST_SUBJECTS, others=True).rotations
        if config.more_motion:
            train = np.concatenate([train, load_motion(config.more_motion, self.body).rotations])
        poses = PoseSampler(*self._with_single_poses(train), config.widening, self.device)
        return PairSource(
            self.skeleton,
            poses,
            self.joint_set,
            config.noise,
            config.cameras,
            skeletons=config.skeletons,
            mixed=config.mixed,
            definition_m=config.definition_mm / 1000,
        )

    @cached_property
    def evaluators(self) -> dict[str, Evaluator]:
        """Errors on the validation subjects, by skeleton and noise."""
        config, out = self.config, {}
        held = self.motion.of(VALIDATION_SUBJECTS).rotations
        poses = PoseSampler(held, np.full(len(held), 1 / len(held)), AS_RECORDED, self.device)
        # Three skeletons tell how training goes, and only the first costs the time of noisy poses.
        for i, shown in enumerate(list(dict.fromkeys(config.skeletons or (config.joint_set,)))[:3]):
            for name, noise, seed in (("true", CLEAN, 7), ("noisy", NOISY, 8))[: 2 - bool(i)]:
                source = PairSource(
                    self.skeleton, poses, self.joint_set, noise, config.cameras, skeletons=(shown,)
                )
                generator = torch.Generator(device=self.device).manual_seed(seed)
                batch = source(config.evaluation_poses, generator)
                out[f"{shown}_{name}"] = Evaluator(self.network, batch, self.regressor)
        return out

    def _with_single_poses(self, rotations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rotations to draw from, and how often each is drawn."""
        weights = even_weights(rotations)
        if not self.config.single_poses:
            return rotations, weights
        extra, share = makehuman_poses(Path(self.config.single_poses)), self.config.single_pose_share
        single = np.full(len(extra), share / len(extra))
        return np.concatenate([rotations, extra]), np.concatenate([weights * (1 - share), single])

    def evaluate(self) -> dict[str, float]:
        return {f"{name}_{k}": v for name, e in self.evaluators.items() for k, v in e().items()}


def unlikely(vertices: Tensor, target: Tensor, sigma: Tensor) -> Tensor:
    """Negative log-likelihood of the errors of ``vertices (B,V,3)`` under deviations ``sigma``, which alone
    it trains."""
    return ((vertices.detach() - target).square() / sigma.square() / 2 + sigma.log()).mean()


class Settings(Protocol):
    """What both stages read of a config."""

    @property
    def seed(self) -> int: ...
    @property
    def precision(self) -> Wish: ...
    @property
    def stage1(self) -> Schedule: ...
    @property
    def stage2(self) -> Schedule: ...
    @property
    def edge_weight(self) -> float: ...
    @property
    def likelihood(self) -> float: ...
    @property
    def start_from(self) -> str | None: ...


class Work(Protocol):
    """Network, data and errors that both stages share: of bodies, or of hands."""

    device: torch.device
    precision: Precision
    joint_set: JointSet
    skeleton: Skeleton
    network: CompactPose2Mesh
    regressor: Tensor
    faces: Tensor

    @property
    def config(self) -> Settings: ...
    @property
    def source(self) -> Callable[[int, torch.Generator], Batch]: ...
    def evaluate(self) -> dict[str, float]: ...


class _Stage(Recipe):
    network: CompactPose2Mesh

    def __init__(self, work: Work, plan: Schedule, seed: int) -> None:
        self.work, self.network, self.device, self.plan = work, work.network, work.device, plan
        self.running = Running(seed, work.config.precision)
        self.precision, self.batch_size = work.precision, plan.batch

    def evaluate(self) -> dict[str, float]:
        return self.work.evaluate()


class SkinnedStage(_Stage):
    """Stage 1: the 3D pose, and the mesh as it is skinned."""

    def __init__(self, work: Work) -> None:
        super().__init__(work, work.config.stage1, work.config.seed)

    def initialise(self) -> None:
        weights = self.work.config.start_from
        if weights:
            left = start_from(self.network, weights, self.work.joint_set)
            log.info("not taken from %s: %s", weights, left)

    def loss(self, model: nn.Module, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """L1 on the 3D pose, on the joints of the skinned mesh and on every fourth of its vertices
        (metres)."""
        batch = self.work.source(self.batch_size, generator)
        mesh, ids = self.network.mesh_net, slice(step % 4, None, 4)
        with self.precision.autocast():
            features, pose3d = self.network.pose_net(batch.pose2d)
        target = self.work.skeleton.vertices(batch.rotations, batch.translations, batch.betas, ids)
        transforms = mesh.transforms(features.float()).unflatten(1, (3, mesh.joints * 4))
        joints = (transforms @ (mesh.decode @ self.work.regressor.T)).mT
        vertices = (transforms @ mesh.decode[:, ids]).mT
        sigma = mesh.blend[:, ids].T @ mesh.sigma(features.detach().float())
        return {
            "pose": (pose3d.float() - batch.pose3d).abs().mean(),
            "joint": (joints - batch.joints).abs().mean(),
            "vertex": (vertices - target).abs().mean(),
            "likelihood": self.work.config.likelihood * unlikely(vertices, target, sigma),
        }


class RefinedStage(_Stage):
    """Stage 2: the mesh after graph refinement; PoseNet stays as stage 1 left it, as the original too lets no
    gradient of the mesh reach it."""

    def __init__(self, work: Work) -> None:
        super().__init__(work, work.config.stage2, work.config.seed + 1)

    def loss(self, model: nn.Module, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Mesh losses of Pose2Mesh (its weights but for the edges, in metres)."""
        work, batch = self.work, self.work.source(self.batch_size, generator)
        self.network.pose_net.eval()
        with torch.no_grad(), self.precision.autocast():
            direct, mirrored, _ = self.network.features(batch.pose2d)
        direct, mirrored = direct.float(), None if mirrored is None else mirrored.float()
        vertices, mesh = self.network.mesh_net(direct, mirrored), self.network.mesh_net
        sigma = mesh.blend.T @ mesh.sigma(direct, mirrored)
        target = work.skeleton.vertices(batch.rotations, batch.translations, batch.betas)
        return {
            "vertex": (vertices - target).abs().mean(),
            "normal": LossConfig().normal * normal_loss(vertices, target, work.faces),
            "edge": work.config.edge_weight * edge_loss(vertices, target, work.faces),
            "joint": (work.regressor @ vertices - batch.joints).abs().mean(),
            "likelihood": work.config.likelihood * unlikely(vertices, target, sigma),
        }


def stages(
    config: CompactPose2MeshRun, sources: object, device: torch.device
) -> Iterator[tuple[str, Recipe]]:
    """Both, on the open body alone; the second stands on what the first has trained."""
    yield from two_stages(CompactPose2MeshTraining(config, device))


def two_stages(work: Work) -> Iterator[tuple[str, Recipe]]:
    """The skinned mesh, then its refinement."""
    yield "stage1", SkinnedStage(work)
    work.network.pose_net.requires_grad_(False)
    yield "stage2", RefinedStage(work)
