"""Parts of the compact I2L-MeshNet: convolution blocks, lixel heads, the joints' volume and their second
look."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openhmr.lab.models.i2l_meshnet.blazepose import PYRAMID
from openhmr.predict.person_crop import LIXELS


def norm_act(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


class Inverted(nn.Module):
    """Inverted residual with BatchNorm: expand fourfold, 3x3 depthwise, project; ``halve`` averages 2x2
    pixels first (the gradient of a depthwise convolution with a stride, or of one of 5x5, costs ten times as
    much as this one's)."""

    def __init__(self, inputs: int, outputs: int, halve: bool = False) -> None:
        super().__init__()
        wide = 4 * inputs
        self.expand = nn.Sequential(nn.Conv2d(inputs, wide, 1, bias=False), norm_act(wide))
        self.depthwise = nn.Sequential(
            nn.Conv2d(wide, wide, 3, 1, 1, groups=wide, bias=False), norm_act(wide)
        )
        self.project = nn.Sequential(nn.Conv2d(wide, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        self.residual, self.halve = inputs == outputs, halve

    def forward(self, x: Tensor) -> Tensor:
        if self.halve:
            x = F.avg_pool2d(x, 2)
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


def mixed(inputs: int, outputs: int) -> nn.Sequential:
    """One linear layer for vectors. Layer normalisation, since statistics of a small batch's vectors wander
    faster than BatchNorm's running mean."""
    return nn.Sequential(nn.Linear(inputs, outputs), nn.LayerNorm(outputs), nn.ReLU(inplace=True))


class Separable(nn.Module):
    """3x3 depthwise and 1x1 convolution, with a residual where the widths agree."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.depthwise = nn.Sequential(
            nn.Conv2d(inputs, inputs, 3, 1, 1, groups=inputs, bias=False), norm_act(inputs)
        )
        self.point = nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), norm_act(outputs))
        self.residual = inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.point(self.depthwise(x))
        return x + y if self.residual else y


class Pyramid(nn.Module):
    """Features of strides 32, 16 and 8 merged from coarse to fine: ``(B,C,32,32)`` of a 256 pixel crop."""

    def __init__(self, inputs: tuple[int, int, int], channels: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(c, channels, 1) for c in inputs)
        self.smooth = nn.ModuleList(Separable(channels, channels) for _ in range(2))

    def forward(self, features: list[Tensor]) -> Tensor:
        fine, middle, coarse = (conv(x) for conv, x in zip(self.lateral, features, strict=True))
        up = self.smooth[0](middle + F.interpolate(coarse, scale_factor=2.0, mode="nearest"))
        return self.smooth[1](fine + F.interpolate(up, scale_factor=2.0, mode="nearest"))


class DepthHead(nn.Module):
    """Depth heatmap logits ``(B,points,64)`` from pooled features ``(B,G)``."""

    def __init__(self, pooled: int, channels: int, points: int) -> None:
        super().__init__()
        self.channels = channels
        self.features = mixed(pooled, channels * LIXELS)
        self.out = nn.Conv1d(channels, points, 1)

    def forward(self, pooled: Tensor) -> Tensor:
        return self.out(self.features(pooled).view(-1, self.channels, LIXELS))


class Moments(nn.Module):
    """Mean and deviation ``(...,2)`` of heatmaps ``(...,bins)`` given as probabilities, in lixels; ``bins``
    are their middles."""

    def __init__(self, bins: Tensor) -> None:
        super().__init__()
        self.register_buffer("powers", torch.stack([bins, bins * bins], 1), persistent=False)
        self.powers: Tensor

    @property
    def bins(self) -> Tensor:
        return self.powers[:, 0]

    def forward(self, heat: Tensor) -> Tensor:
        mean, square = (heat @ self.powers).unbind(-1)
        return torch.stack([mean, ((square - mean * mean).clamp(min=0) + 1e-2).sqrt()], -1)


def near(bins: Tensor, guess: Tensor, width: Tensor) -> Tensor:
    """Logits ``(B,N,bins)`` of Gaussians about ``guess (B,N)`` lixels with widths ``exp(width (N,1))``, but
    for what is the same in all bins, which a softmax does not see: one product instead of five passes over
    heatmaps."""
    bins, guess = bins - LIXELS / 2, guess - LIXELS / 2
    sharp = (-2 * width[:, 0]).exp()
    return torch.stack([(-0.5 * sharp).expand_as(guess), sharp * guess], -1) @ torch.stack(
        [bins * bins, bins]
    )


def plane_heat(logits: Tensor, bins: Tensor, guess: Tensor, width: Tensor) -> Tensor:
    """Heatmaps ``(B,N,bins,bins)`` over the picture plane: softmax of ``logits`` and of the priors
    :func:`near` ``guess (B,N,2 or 3)``."""
    x, y = (near(bins, guess[..., i], width[:, i]) for i in range(2))
    return (logits + x[:, :, None] + y[..., None]).flatten(2).softmax(-1).view_as(logits)


def beyond(guess: Tensor) -> Tensor:
    """How far ``guess`` lies outside of the heatmaps: their means are moved by so much, since no bin is
    there."""
    return guess - guess.clamp(0, LIXELS - 1)


class Doubt(nn.Module):
    """Deviations ``(B,N,3)`` of points whose heatmaps end at the crop's edge: ``forward(spread (B,N,3),
    beyond (B,N,>=2))`` adds a learned share of how far outside each lies to the deviation of its heatmap."""

    def __init__(self, points: int) -> None:
        super().__init__()
        self.share = nn.Parameter(torch.full((points, 1), 0.3))

    def forward(self, spread: Tensor, beyond: Tensor) -> Tensor:
        farther = (self.share * beyond[..., :2]).square().sum(-1, keepdim=True)
        return (spread.square() + farther).sqrt()


class JointHead(nn.Module):
    """Joint lixels: ``forward(map (B,48,64,64), pooled (B,G), guess (B,joints,3)) -> coordinates, spread
    (B,joints,3)``.

    x and y heatmaps are the marginals of one heatmap over the picture plane, which learns faster than two
    heatmaps from averaged features (ours; for thousands of vertices it would be too large, for joints it is
    not).
    """

    def __init__(self, pooled: int, depth_channels: int, joints: int) -> None:
        super().__init__()
        self.plane = nn.Conv2d(PYRAMID, joints, 1)
        self.depth = DepthHead(pooled, depth_channels, joints)
        self.moments = Moments(torch.arange(float(LIXELS)))
        self.guess_width = nn.Parameter(torch.full((joints, 3, 1), 4.0).log())
        self.doubt = Doubt(joints)

    def forward(self, features: Tensor, pooled: Tensor, guess: Tensor) -> tuple[Tensor, Tensor]:
        bins, width, out_of_crop = self.moments.bins, self.guess_width, beyond(guess)
        guess = guess - out_of_crop
        heat = plane_heat(self.plane(features), bins, guess, width)
        depth = (self.depth(pooled) + near(bins, guess[..., 2], width[:, 2])).softmax(-1)
        mean, spread = torch.stack([self.moments(h) for h in (heat.sum(2), heat.sum(3), depth)], 2).unbind(-1)
        return mean + out_of_crop, self.doubt(spread, out_of_crop)


class VertexHead(nn.Module):
    """Vertex lixels: ``forward(map (B,C,32,32), pooled (B,G), guess (B,N,3)) -> coordinates, spread
    (B,N,3)``.

    The x heatmap comes from the mean of the map's rows, y from that of its columns, each doubled to 64 bins
    by a transposed convolution; z from the pooled features alone. Every heatmap is multiplied by a Gaussian
    about ``guess``, whose width is learned for each vertex and axis. Coordinates are the heatmaps' means, the
    spread their deviation.
    """

    def __init__(self, channels: int, pooled: int, depth_channels: int, points: int) -> None:
        super().__init__()
        self.widen = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose1d(channels, channels, 4, 2, 1, bias=False),
                nn.BatchNorm1d(channels),
                nn.ReLU(inplace=True),
            )
            for _ in range(2)
        )
        self.plane = nn.ModuleList(nn.Conv1d(channels, points, 1) for _ in range(2))
        self.depth = DepthHead(pooled, depth_channels, points)
        self.moments = Moments(torch.arange(float(LIXELS)))
        self.guess_width = nn.Parameter(torch.full((points, 3, 1), 3.0).log())
        self.doubt = Doubt(points)

    def forward(self, features: Tensor, pooled: Tensor, guess: Tensor) -> tuple[Tensor, Tensor]:
        logits = [
            out(widen(features.mean(axis).float()))
            for axis, widen, out in zip((2, 3), self.widen, self.plane, strict=True)
        ]
        logits.append(self.depth(pooled))
        bins, width, out_of_crop = self.moments.bins, self.guess_width, beyond(guess)
        guess = guess - out_of_crop
        heat = [(x + near(bins, guess[..., i], width[:, i])).softmax(-1) for i, x in enumerate(logits)]
        mean, spread = torch.stack([self.moments(h) for h in heat], 2).unbind(-1)
        return mean + out_of_crop, self.doubt(spread, out_of_crop)


class Attention(nn.Module):
    """Pre-normalised transformer layer ``(B,N,width) -> (B,N,width)``."""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.qkv, self.out = (
            nn.LayerNorm(width),
            nn.Linear(width, 3 * width),
            nn.Linear(width, width),
        )
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        weight = (q @ k.transpose(-1, -2) * k.shape[-1] ** -0.5).softmax(-1)
        x = x + self.out((weight @ v).transpose(1, 2).flatten(2))
        return x + self.mlp(x)


class SecondLook(nn.Module):
    """Joints looked for again, and what their surroundings look like (ours).

    ``forward(fine (B,48,64,64), features (B,C,32,32), view (B,G), joints, spread (B,J,3)) -> joints, spread
    (B,J,3), tokens (B,J*F)``. The first heatmaps see no more than the trunk's own features; these see
    features steered by the joints' volume. Every joint's token is made of the features under its heatmap; the
    tokens attend to each other, and move the joints.
    """

    def __init__(self, channels: int, pooled: int, joints: int, width: int, features: int) -> None:
        super().__init__()
        self.plane = nn.Conv2d(channels, joints, 1)
        self.moments = Moments(torch.arange(LIXELS // 2) * 2.0 + 0.5)
        self.guess_width = nn.Parameter(torch.full((joints, 2, 1), 3.0).log())
        self.doubt = Doubt(joints)
        self.enter = nn.Linear(channels + PYRAMID + 6, width)
        self.view = nn.Linear(pooled, width)
        self.names = nn.Parameter(torch.randn(joints, width) * 0.1)
        self.layers = nn.Sequential(Attention(width), Attention(width), nn.LayerNorm(width))
        self.move, self.out = nn.Linear(width, 3), nn.Linear(width, features)
        nn.init.zeros_(self.plane.weight)
        nn.init.zeros_(self.move.weight)
        nn.init.zeros_(self.move.bias)

    def forward(
        self,
        fine: Tensor,
        features: Tensor,
        view: Tensor,
        joints: Tensor,
        spread: Tensor,
        half: torch.autocast,
    ) -> tuple[Tensor, Tensor, Tensor]:
        with half:
            logits = self.plane(features)
        heat = plane_heat(logits.float(), self.moments.bins, joints.clamp(0, LIXELS - 1), self.guess_width)
        mean, deviation = self.moments(torch.stack([heat.sum(2), heat.sum(3)], 2)).unbind(-1)
        out_of_crop = beyond(joints[..., :2])
        again = torch.cat([mean + out_of_crop, joints[..., 2:]], -1)
        spread = self.doubt(torch.cat([deviation, spread[..., 2:]], -1), out_of_crop)
        with half:
            around = heat.flatten(2) @ torch.cat(
                [features, F.avg_pool2d(fine, 2).to(features.dtype)], 1
            ).flatten(2).transpose(1, 2)
        tokens = self.enter(torch.cat([around.float(), (again - 32) / 16, spread.log()], -1))
        tokens = self.layers(tokens + self.view(view)[:, None] + self.names)
        return again + self.move(tokens), spread, self.out(tokens).flatten(1)


class JointVolume(nn.Module):
    """The 3x3 convolution over the joints' Gaussian volume (J x 32 depth channels), without the volume.

    A Gaussian volume is a product of three profiles, so the weights meet the depth profile first and the two
    others after, as in Pose2Feat: ``forward(joints (B,J,3) lixels) -> (B,channels,32,32)``.
    """

    def __init__(self, joints: int, channels: int, size: int, sigma: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(joints, size, channels * 9) * (joints * 9) ** -0.5)
        self.channels, self.sigma = channels, sigma
        step = LIXELS / size
        self.register_buffer("centres", (torch.arange(size) + 0.5) * step - 0.5, persistent=False)
        self.centres: Tensor

    def forward(self, joints: Tensor) -> Tensor:
        batch, count, _ = joints.shape
        profile = torch.exp(-0.5 * ((self.centres - joints[..., None]) / self.sigma) ** 2)
        gx, gy, gz = profile.unbind(2)
        kernel = (gz.transpose(0, 1) @ self.weight).view(count, batch, self.channels, 3, 3)

        def shifted(g):
            return torch.stack([F.pad(g, (1, 1))[..., i : i + g.shape[-1]] for i in range(3)], -2)

        # v first: (B,J,O*3,3) @ (B,J,3,X); then one product over joint and u.
        rows = kernel.transpose(0, 1).reshape(batch, count, self.channels * 3, 3) @ shifted(gx)
        rows = rows.view(batch, count, self.channels, 3, -1).permute(0, 2, 4, 1, 3).flatten(3).flatten(1, 2)
        out = rows @ shifted(gy).flatten(1, 2)
        return out.view(batch, self.channels, -1, out.shape[-1]).transpose(2, 3)
