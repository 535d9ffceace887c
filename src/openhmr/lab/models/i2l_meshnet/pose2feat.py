"""Pose2Feat of I2L-MeshNet: early features and the joints' Gaussians -> what MeshNet's backbone sees.

Source: docs/originals/i2l_meshnet.md, "Pose2Feat".
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from openhmr.predict.person_crop import LIXELS

SIGMA = 2.5
"""Standard deviation of the Gaussians in lixels."""


def gaussian_profiles(joints: Tensor) -> Tensor:
    """``(B,J,3) -> (B,J,3,64)``: the Gaussian of each coordinate, peak 1; the volume of a joint is the
    product of its three."""
    bins = torch.arange(LIXELS, dtype=joints.dtype, device=joints.device)
    return torch.exp(-(((bins - joints[..., None]) / SIGMA) ** 2) / 2)


class Pose2Feat(nn.Module):
    """``forward(early (B,C,64,64), joints (B,J,3) lixels) -> (B,C,64,64)``, a 3x3 convolution over early
    features and volume.

    Ours: the volume of J x 64 channels is never built. A Gaussian is a product of three profiles, so the
    weights meet the depth profile first; what is left convolves J separable maps. Equal to rounding, in
    training too: no gradient enters the volume, and the weights' own gradient passes the same contraction.
    """

    def __init__(self, joints: int, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.conv = nn.Sequential(
            nn.Conv2d(channels + joints * LIXELS, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        )

    def forward(self, early: Tensor, joints: Tensor) -> Tensor:
        conv, norm, relu = self.conv
        weight = cast(Tensor, conv.weight)
        x = F.conv2d(early, weight[:, : self.channels], cast(Tensor, conv.bias), padding=1)
        return relu(norm(x + self._volume(weight[:, self.channels :], joints.detach())))

    def _volume(self, weight: Tensor, joints: Tensor) -> Tensor:
        batch, count, _ = joints.shape
        gx, gy, gz = gaussian_profiles(joints).unbind(2)
        # (B,J,3,64): the profile as each tap of the kernel sees it, zero beyond the border.
        taps_x, taps_y = (
            torch.stack([F.pad(g, (1, 1))[..., i : i + LIXELS] for i in range(3)], 2) for g in (gx, gy)
        )
        by_joint = weight.unflatten(1, (count, LIXELS)).permute(1, 2, 0, 3, 4).flatten(2)
        kernel = (
            (gz.transpose(0, 1) @ by_joint).view(count, batch, -1, 3).transpose(0, 1)
        )  # (B,J,C*3 rows,3 columns)
        columns = (
            (kernel @ taps_x)
            .view(batch, count, self.channels, 3, LIXELS)
            .permute(0, 2, 1, 3, 4)
            .flatten(2, 3)
        )
        return taps_y.flatten(1, 2).transpose(1, 2)[:, None] @ columns
