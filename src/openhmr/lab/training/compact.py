"""Recipe: the compact Pose2Mesh on open motion, in two stages (skinned mesh first, then everything with graph
refinement)."""

import logging
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from openhmr.bodies.shipped import open_body
from openhmr.joints import HUMAN36, SMPL, get_joint_set
from openhmr.lab.metrics.errors import mpjpe, pa_mpjpe
from openhmr.lab.models.checkpoint import read_average
from openhmr.lab.models.pose2mesh.compact import CompactConfig, CompactPose2Mesh
from openhmr.lab.models.pose2mesh.losses import LossConfig, edge_loss, normal_loss
from openhmr.lab.precision import autocast
from openhmr.lab.synth.bvh import makehuman_poses
from openhmr.lab.synth.motion import TEST_SUBJECTS, VALIDATION_SUBJECTS, load_motion
from openhmr.lab.synth.noise2d import CLEAN, NOISY, TRAINING, NoiseLevel
from openhmr.lab.synth.pairs import Cameras, PairSource, Skeleton
from openhmr.lab.synth.poses import AS_RECORDED, PoseSampler, Widening, even_weights
from openhmr.lab.training.trainer import Schedule, Trainer
from openhmr.predict.coarse_mesh import coarse_regressor

log = logging.getLogger(__name__)

EVALUATION_POSES = 4096


@dataclass(frozen=True)
class CompactRecipe:
    """Everything that defines a run of the compact model."""

    joint_set: str
    motion: str
    recipe: str = "pose2mesh"
    """Which recipe a YAML file is for; the other one is ``i2l``."""
    seed: int = 1
    model: CompactConfig = field(default_factory=CompactConfig)
    widening: Widening = field(default_factory=Widening)
    noise: NoiseLevel = TRAINING
    cameras: Cameras = field(default_factory=Cameras)
    stage1: Schedule = field(default_factory=lambda: Schedule(steps=20_000, batch=1024))
    stage2: Schedule = field(default_factory=lambda: Schedule(steps=3_000, batch=512, lr=3e-4))
    edge_weight: float = 1.0
    """Weight of the edge lengths in stage 2; the original's 20 costs the joints 1.5 mm here, since uncertain
    limbs are short."""
    single_poses: str | None = None
    """Folder of one-frame BVH poses of the MakeHuman rig to draw from as well."""
    single_pose_share: float = 0.03
    start_from: str | None = None
    """Folder with averaged weights that initialise this one wherever shapes agree: a run's stage1 or stage2,
    or a checkpoint."""


class Evaluator:
    """MPJPE and PA-MPJPE (mm, 14 Human3.6M joints, from the mesh) on held-out subjects, recorded poses, fixed
    seed."""

    def __init__(
        self, network: CompactPose2Mesh, source: PairSource, regressor: Tensor, noise: NoiseLevel, seed: int
    ) -> None:
        self.network, self.regressor = network, regressor
        generator = torch.Generator(device=source.poses.device).manual_seed(seed)
        quiet = PairSource(source.skeleton, source.poses, source.joint_set, noise, source.cameras)
        self.batch = quiet(EVALUATION_POSES, generator)

    def __call__(self) -> dict[str, float]:
        vertices = torch.cat([self.network(chunk)[0] for chunk in self.batch.pose2d.split(512)])
        joints, target = ((x * 1000).cpu().numpy() for x in (self.regressor @ vertices, self.batch.human36))
        return {
            "mpjpe": float(mpjpe(joints, target, HUMAN36).mean()),
            "pa_mpjpe": float(pa_mpjpe(joints, target, HUMAN36).mean()),
        }


class CompactTraining:
    """Data, network and losses of one :class:`CompactRecipe`."""

    def __init__(self, recipe: CompactRecipe, device: torch.device) -> None:
        self.recipe, self.device = recipe, device
        self.body = open_body()
        self.joint_set = get_joint_set(recipe.joint_set)
        motion = load_motion(recipe.motion, self.body)
        train = motion.of(VALIDATION_SUBJECTS + TEST_SUBJECTS, others=True)
        held = motion.of(VALIDATION_SUBJECTS)
        torch.manual_seed(recipe.seed)
        skeleton = Skeleton(self.body).to(device)
        rotations, weights = train.rotations, even_weights(train.rotations)
        if recipe.single_poses:
            extra, share = makehuman_poses(Path(recipe.single_poses)), recipe.single_pose_share
            rotations = np.concatenate([rotations, extra])
            weights = np.concatenate([weights * (1 - share), np.full(len(extra), share / len(extra))])
        poses = PoseSampler(rotations, weights, recipe.widening, device)
        self.source = PairSource(skeleton, poses, self.joint_set, recipe.noise, recipe.cameras)
        self.network = CompactPose2Mesh(
            self.joint_set.flip_permutation, self.body, SMPL.flip_permutation, recipe.model
        ).to(device)
        self.regressor = torch.as_tensor(
            coarse_regressor(self.body, self.body.joint_regressors["human36"]), device=device
        )
        uniform = np.full(len(held.rotations), 1 / len(held.rotations))
        held_source = PairSource(
            skeleton,
            PoseSampler(held.rotations, uniform, AS_RECORDED, device),
            self.joint_set,
            CLEAN,
            recipe.cameras,
        )
        self.evaluators = {
            "true": Evaluator(self.network, held_source, self.regressor, CLEAN, 7),
            "noisy": Evaluator(self.network, held_source, self.regressor, NOISY, 8),
        }
        faces = torch.as_tensor(self.body.level("coarse").faces.astype(np.int64), device=device)
        self.faces = faces

    def evaluate(self) -> dict[str, float]:
        return {f"{name}_{k}": v for name, e in self.evaluators.items() for k, v in e().items()}

    def stage1_loss(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """L1 on the 3D pose, on the joints of the skinned mesh and on every fourth of its vertices
        (metres)."""
        batch = self.source(self.recipe.stage1.batch, generator)
        mesh, ids = self.network.mesh_net, slice(step % 4, None, 4)
        with autocast(self.device.type):
            features, pose3d = self.network.pose_net(batch.pose2d)
        target = self.source.skeleton.vertices(batch.rotations, batch.translations, batch.betas, ids)
        transforms = mesh.transforms(features.float()).unflatten(1, (3, mesh.joints * 4))
        joints = (transforms @ (mesh.decode @ self.regressor.T)).mT
        return {
            "pose": (pose3d.float() - batch.pose3d).abs().mean(),
            "joint": (joints - batch.human36).abs().mean(),
            "vertex": ((transforms @ mesh.decode[:, ids]).mT - target).abs().mean(),
        }

    def stage2_loss(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Mesh losses of Pose2Mesh (its weights but for the edges, in metres) on the refined mesh; PoseNet
        stays as stage 1 left it, as the original too lets no gradient of the mesh reach it."""
        batch = self.source(self.recipe.stage2.batch, generator)
        self.network.pose_net.eval()
        with torch.no_grad(), autocast(self.device.type):
            direct, mirrored, _ = self.network.features(batch.pose2d)
        vertices = self.network.mesh_net(direct.float(), mirrored.float())
        target = self.source.skeleton.vertices(batch.rotations, batch.translations, batch.betas)
        weights = LossConfig()
        return {
            "vertex": (vertices - target).abs().mean(),
            "normal": weights.normal * normal_loss(vertices, target, self.faces),
            "edge": self.recipe.edge_weight * edge_loss(vertices, target, self.faces),
            "joint": (self.regressor @ vertices - batch.human36).abs().mean(),
        }


def start_from(network: torch.nn.Module, folder: Path) -> list[str]:
    """Copy the averaged weights of another run wherever names and shapes agree; returns the names left as
    they were."""
    stored, _ = read_average(folder / "state.safetensors")
    own = network.state_dict()
    fitting = {k: v for k, v in stored.items() if k in own and own[k].shape == v.shape}
    network.load_state_dict(own | fitting)
    return sorted(own.keys() - fitting.keys())


def train(work: CompactTraining, folder: Path) -> None:
    """Run (or resume) stage 1 and stage 2 in ``folder``/stage1 and /stage2; ``work.network`` ends with the
    averaged weights."""
    recipe, device = work.recipe, work.device
    first = Trainer(work.network, recipe.stage1, folder / "stage1", recipe.seed, device)
    if not first.resume() and recipe.start_from:
        log.info(
            "not taken from %s: %s", recipe.start_from, start_from(work.network, Path(recipe.start_from))
        )
    first.run(work.stage1_loss, work.evaluate)
    work.network.load_state_dict(first.average)
    work.network.pose_net.requires_grad_(False)
    second = Trainer(work.network, recipe.stage2, folder / "stage2", recipe.seed + 1, device)
    second.resume()
    second.run(work.stage2_loss, work.evaluate)
    work.network.load_state_dict(second.average)
