"""Recipe: the compact Pose2Mesh of the open hand, in the same two stages as the body's."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch

from openhmr.bodies.shipped import open_hand
from openhmr.errors import InputError
from openhmr.joints import MANO, get_joint_set
from openhmr.lab.config import at_least
from openhmr.lab.device import rank_and_world
from openhmr.lab.evaluation.hand_errors import HandErrors, held_out
from openhmr.lab.models.pose2mesh.compact import CompactConfig, CompactPose2Mesh
from openhmr.lab.precision import Wish, choose_precision
from openhmr.lab.synth.hand_pack import load_hands
from openhmr.lab.synth.hand_pairs import CLEAN, NOISY, TRAINING, HandCameras, HandNoise, HandPairs
from openhmr.lab.synth.hand_poses import HandPoses, HandWidening
from openhmr.lab.synth.pairs import Skeleton
from openhmr.lab.training.compact_pose2mesh import two_stages
from openhmr.lab.training.recipe import Recipe, initial_weights
from openhmr.lab.training.schedule import Schedule
from openhmr.predict.coarse_mesh import coarse_regressor


@dataclass(frozen=True)
class CompactHandRun:
    """Everything that defines a run of the hand's compact model."""

    hands: str
    """A pack of hand poses."""
    joint_set: str = MANO.name
    recipe: str = "pose2mesh_hand"
    """Which system a YAML file is for."""
    seed: int = 1
    precision: Wish = "auto"
    """Of forward passes while training; auto: bf16 where the hardware has it, else float32."""
    model: CompactConfig = field(default_factory=lambda: CompactConfig(hidden=512, mirror=False))
    widening: HandWidening = field(default_factory=HandWidening)
    noise: HandNoise = TRAINING
    stored: int = 200_000
    """So many hands are sampled before training begins."""
    upright: bool = True
    """Hands are seen turned about the line of sight, with their fingers up."""
    definition_mm: float = 4.0
    """Largest standard deviation of where a hand's points lie about their definition; the smallest is 0."""
    cameras: HandCameras = field(default_factory=HandCameras)
    stage1: Schedule = field(default_factory=lambda: Schedule(steps=20_000, batch=512))
    stage2: Schedule = field(default_factory=lambda: Schedule(steps=2_000, batch=256, lr=3e-4))
    edge_weight: float = 1.0
    """Weight of the edge lengths in stage 2."""
    likelihood: float = 0.01
    """Weight of how likely the errors are under the predicted deviations."""
    start_from: str | None = None
    """Weights that initialise this network wherever names and shapes agree: an ONNX file, or the folder of a
    run's stage."""
    evaluation_poses: int = 2048

    def __post_init__(self) -> None:
        at_least(self, evaluation_poses=1, definition_mm=0, stored=1)
        if get_joint_set(self.joint_set) != MANO or self.model.mirror:
            raise InputError(
                f"config has joint_set {self.joint_set} and model.mirror {self.model.mirror}; a hand's "
                f"network lifts {MANO.name} joints and knows no mirror images: set model.mirror to false"
            )


class CompactHandTraining:
    """Network, data and errors of one :class:`CompactHandRun`, which both stages share."""

    def __init__(self, config: CompactHandRun, device: torch.device) -> None:
        if rank_and_world()[1] > 1:
            raise InputError("recipe pose2mesh_hand trains in one process; start it without torchrun")
        self.config, self.device, self.joint_set = config, device, MANO
        self.precision = choose_precision(config.precision, device.type)
        self.body = open_hand()
        self.skeleton = Skeleton(self.body, MANO).to(device)
        with initial_weights(config.seed):
            parts = np.arange(self.body.num_joints)
            self.network = CompactPose2Mesh(MANO.flip_permutation, self.body, parts, config.model).to(device)
        regressor = coarse_regressor(self.body, self.body.joint_regressor(MANO))
        self.regressor = torch.as_tensor(regressor, device=device)
        self.faces = torch.as_tensor(self.body.level("coarse").faces.astype(np.int64), device=device)

    @cached_property
    def source(self) -> HandPairs:
        """Training pairs."""
        config, pack = self.config, load_hands(self.config.hands)
        poses = HandPoses(pack, self.body, config.widening, self.device)
        return HandPairs(
            self.skeleton,
            poses,
            config.noise,
            config.cameras,
            stored=config.stored,
            definition_m=config.definition_mm / 1000,
            upright=config.upright,
        )

    @cached_property
    def evaluators(self) -> dict[str, HandErrors]:
        """Errors on the validation poses, from true and from noisy points."""
        config = self.config
        draw = held_out(config.hands, self.body, self.device, config.evaluation_poses, config.upright)
        cases = (("true", CLEAN, 7), ("noisy", NOISY, 8))
        return {name: HandErrors(draw(noise, seed), self.body) for name, noise, seed in cases}

    def evaluate(self) -> dict[str, float]:
        out: dict[str, float] = {}
        for name, errors in self.evaluators.items():
            chunks = errors.batch.pose2d.split(512)
            coarse = torch.cat([self.network(chunk)[0] for chunk in chunks]).float().cpu().numpy()
            out |= {f"{name}_{k}": v for k, v in errors(coarse).items()}
        return out


def stages(config: CompactHandRun, sources: object, device: torch.device) -> Iterator[tuple[str, Recipe]]:
    """The skinned mesh, then its refinement."""
    yield from two_stages(CompactHandTraining(config, device))
