"""Recipe: the compact I2L-MeshNet of hands on rendered pictures."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch

from openhmr.bodies.body import Body
from openhmr.bodies.shipped import open_hand
from openhmr.joints import MANO
from openhmr.lab.models.i2l_meshnet.compact import CompactI2L, CompactI2LConfig
from openhmr.lab.models.i2l_meshnet.subject import HAND
from openhmr.lab.models.pose2mesh.compact import CompactConfig, CompactPose2Mesh
from openhmr.lab.synth.augment import Augmentation
from openhmr.lab.synth.hand_crops import AUGMENTATION, HandCropSource, HandPictures
from openhmr.lab.training.compact_i2l import CompactI2LRecipe, CompactI2LRun
from openhmr.lab.training.recipe import Recipe

LIFTER = CompactConfig(hidden=512, mirror=False)
"""Of the hand's compact Pose2Mesh."""


@dataclass(frozen=True)
class CompactI2LHandRun(CompactI2LRun):
    """As :class:`CompactI2LRun`; the pictures are those of `openhmr lab synth hand-images`, the lifter is a
    compact Pose2Mesh of hands."""

    recipe: str = "i2l_hand"
    augmentation: Augmentation = AUGMENTATION
    model: CompactI2LConfig = field(default_factory=lambda: CompactI2LConfig(mesh_channels=128))


def untrained_hand(hand: Body, config: CompactI2LConfig) -> CompactI2L:
    """The network with random weights."""
    parts = np.arange(hand.num_joints)
    return CompactI2L(hand, config, CompactPose2Mesh(MANO.flip_permutation, hand, parts, LIFTER), HAND)


class CompactI2LHandRecipe(CompactI2LRecipe):
    """Data, network and losses of one :class:`CompactI2LHandRun`."""

    subject = HAND

    def body(self) -> Body:
        return open_hand()

    def crops(self, folder: str, hand: Body, augmentation: Augmentation) -> HandCropSource:
        return HandCropSource(
            HandPictures(folder, hand), *self.targets_of(hand), np.arange(hand.num_joints), augmentation
        )

    def untrained(self, body: Body) -> CompactI2L:
        return untrained_hand(body, self.config.model)


def stages(config: CompactI2LHandRun, sources: object, device: torch.device) -> Iterator[tuple[str, Recipe]]:
    """One, on the open hand alone."""
    yield "", CompactI2LHandRecipe(config, device)
