"""The slow twin of I2L-MeshNet: the official computation step by step, Gaussian volume and all.

It is the oracle of the fast form's tests and the yardstick of its speed.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from openhmr.bodies.body import Body
from openhmr.lab.models.i2l_meshnet.heads import LixelHead, soft_argmax
from openhmr.lab.models.i2l_meshnet.network import KINDS, I2LMeshNet
from openhmr.lab.models.i2l_meshnet.pose2feat import SIGMA, Pose2Feat
from openhmr.lab.models.i2l_meshnet.resnet import Block, ResNet
from openhmr.predict.person_crop import LIXELS


class PlainResNet(ResNet):
    def stem(self, image: Tensor) -> Tensor:
        return F.max_pool2d(F.relu(self.bn1(self.conv1(image)), inplace=True), 3, 2, 1)

    def forward(self, early: Tensor) -> Tensor:
        x = early
        for stage in self.stages():
            for block in cast(nn.Sequential, stage):
                x = _residual(cast(Block, block), x)
        return x


def _residual(block: Block, x: Tensor) -> Tensor:
    shortcut = x if block.downsample is None else block.downsample(x)
    *inner, (conv, norm) = block.steps()
    for other_conv, other_norm in inner:
        x = F.relu(other_norm(other_conv(x)), inplace=True)
    y = norm(conv(x))
    y += shortcut
    return F.relu(y, inplace=True)


class PlainLixelHead(LixelHead):
    def forward(self, features: Tensor) -> Tensor:
        plane = self.deconv(features)
        x, y = soft_argmax(self.conv_x(plane.mean(2))), soft_argmax(self.conv_y(plane.mean(3)))
        depth = self.conv_z_1(features.mean((2, 3))[..., None]).view(-1, self.width, LIXELS)
        return torch.stack([x, y, soft_argmax(self.conv_z_2(depth))], -1)


def gaussian_volume(joints: Tensor) -> Tensor:
    """``(B,J,3) -> (B,J,64,64,64)`` with axes (z, y, x)."""
    bins = torch.arange(LIXELS, dtype=joints.dtype, device=joints.device)
    x, y, z = (joints[..., i, None, None, None] for i in range(3))
    xx, yy, zz = bins.view(1, 1, 1, 1, -1), bins.view(1, 1, 1, -1, 1), bins.view(1, 1, -1, 1, 1)
    return torch.exp(
        -(((xx - x) / SIGMA) ** 2) / 2 - (((yy - y) / SIGMA) ** 2) / 2 - (((zz - z) / SIGMA) ** 2) / 2
    )


class PlainPose2Feat(Pose2Feat):
    def forward(self, early: Tensor, joints: Tensor) -> Tensor:
        with torch.no_grad():
            volume = gaussian_volume(joints).flatten(1, 2)
        return self.conv(torch.cat([early, volume], 1))


class PlainI2LMeshNet(I2LMeshNet):
    """Same parameters, same results."""

    _backbone = PlainResNet
    _head = PlainLixelHead
    _pose2feat = PlainPose2Feat


def plain_i2l_meshnet(kind: str, stage: str, body: Body, backbone: int = 50) -> PlainI2LMeshNet:
    """The twin of ``i2l_meshnet.official(kind, stage, body, backbone)``."""
    return PlainI2LMeshNet(KINDS[kind], stage, body, backbone)
