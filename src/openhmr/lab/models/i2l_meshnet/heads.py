"""The lixel head of I2L-MeshNet: one-dimensional heatmaps per point and axis. PoseNet and MeshNet are two of
these.

Source: Moon and Lee 2020, section 4; docs/originals/i2l_meshnet.md, "Lixel heads".
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from openhmr.lab.models.i2l_meshnet.folding import deconv_phases, join_phases
from openhmr.lab.models.i2l_meshnet.recompute import pointwise_conv, recomputed_profiles, usable
from openhmr.predict.person_crop import LIXELS

HEAD_CHANNELS = 256
"""Official width of a head."""


def soft_argmax(heatmap: Tensor, dim: int = -1) -> Tensor:
    """Expected bin (0 to n-1) of ``softmax(heatmap)`` along ``dim``, which goes away."""
    bins = torch.arange(heatmap.shape[dim], dtype=heatmap.dtype, device=heatmap.device)
    return torch.tensordot(heatmap.softmax(dim), bins, dims=([dim], [0]))


class LixelHead(nn.Module):
    """Last map ``(B,C,8,8)`` -> coordinates ``(B,points,3)`` as (x, y, z) in lixels, 0 to 63.

    Three transposed convolutions double the map to the 64 bins of a heatmap; depth gets as many.
    """

    def __init__(self, channels: int, points: int, width: int = HEAD_CHANNELS) -> None:
        super().__init__()
        self.width = width
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise((channels, width, width, width)):
            layers += [
                nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True),
            ]
        self.deconv = nn.Sequential(*layers)
        # Sequences, as the official keys have it.
        self.conv_x, self.conv_y = (nn.Sequential(nn.Conv1d(width, points, 1)) for _ in range(2))
        depth = width * LIXELS
        self.conv_z_1 = nn.Sequential(
            nn.Conv1d(channels, depth, 1), nn.BatchNorm1d(depth), nn.ReLU(inplace=True)
        )
        self.conv_z_2 = nn.Sequential(nn.Conv1d(width, points, 1))

    def forward(self, features: Tensor) -> Tensor:
        x, y = self._profiles(features)
        conv, norm, relu = self.conv_z_1
        z = relu(norm(pointwise_conv(features.mean((2, 3))[..., None], cast(nn.Conv1d, conv)))).view(
            -1, self.width, LIXELS
        )
        # The mean comes before the 1x1 convolution, which then meets 64 columns instead of 4096 places.
        heads = ((x, self.conv_x), (y, self.conv_y), (z, self.conv_z_2))
        return torch.stack(
            [soft_argmax(pointwise_conv(profile, cast(nn.Conv1d, head[0]))) for profile, head in heads], -1
        )

    def _profiles(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Means of the upsampled map over its rows and over its columns, ``(B,256,64)`` each."""
        if self.training and usable(features):
            return recomputed_profiles(features, self._steps())
        if self.training:
            plane = self.deconv(features)
            return plane.mean(2), plane.mean(3)
        *inner, last = self._steps()
        for conv, norm in inner:
            features = join_phases(deconv_phases(features, conv, norm))
        plane = join_phases(deconv_phases(features, *last))
        return plane.mean(2), plane.mean(3)

    def _steps(self) -> Sequence[tuple[nn.ConvTranspose2d, nn.BatchNorm2d]]:
        layers = list(self.deconv)
        return [
            (cast(nn.ConvTranspose2d, c), cast(nn.BatchNorm2d, n))
            for c, n in zip(layers[::3], layers[1::3], strict=True)
        ]
