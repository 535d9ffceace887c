"""Slow and obvious forms of the official networks, which prove the fast ones and measure their speed."""

from tests.twins.i2l_meshnet import (
    PlainI2LMeshNet,
    PlainLixelHead,
    PlainPose2Feat,
    PlainResNet,
    gaussian_volume,
    plain_i2l_meshnet,
)
from tests.twins.pose2mesh import PlainMeshNet, PlainPose2Mesh

__all__ = [
    "PlainI2LMeshNet",
    "PlainLixelHead",
    "PlainMeshNet",
    "PlainPose2Feat",
    "PlainPose2Mesh",
    "PlainResNet",
    "gaussian_volume",
    "plain_i2l_meshnet",
]
