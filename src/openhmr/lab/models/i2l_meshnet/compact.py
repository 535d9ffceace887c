"""The compact I2L-MeshNet that ships: one small trunk for both branches, lixels of the coarse level, and how sure they are.

As the original: PoseNet's joint lixels, drawn as a Gaussian volume, steer MeshNet, whose vertex lixels give the joints that the
parameter regressor sees. Ours: both branches share the trunk, the volume is never built, features stop at half the lixel
resolution and only the one-dimensional heatmaps are full, depth comes from a bottleneck, and the spread of every heatmap is
returned as its standard deviation. Depth is measured along a virtual camera that looks at the middle of the crop.

Both systems meet inside: a frozen compact Pose2Mesh lifts PoseNet's 2D joints to a mesh, and every vertex heatmap is the product of
what the picture says and a Gaussian about the lifted vertex. So the picture need not teach what people look like in 3D, which
rendered pictures are too few for, and the heatmap still tells where the vertex is and how sure that is (ours).
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openhmr.bodies.body import Body
from openhmr.joints.coco import add_pelvis_neck
from openhmr.lab.models.i2l_meshnet.efficientnet import CHANNELS, MEAN, STD, Block, EfficientNetLite0
from openhmr.lab.models.pose2mesh.compact import CompactPose2Mesh
from openhmr.predict.lift import coarse_regressor

LIXELS = 64
"""Bins of a heatmap; a crop of 256 pixels has four pixels a lixel, the depth of two metres 31 mm a lixel."""


@dataclass(frozen=True)
class CompactI2LConfig:
    """Widths; ``sigma`` is that of the joints' Gaussian volume in lixels, ``frozen_blocks`` of the trunk keep their weights."""

    joint_channels: int = 96
    mesh_channels: int = 160
    joint_depth_channels: int = 16
    depth_channels: int = 64
    global_features: int = 512
    regressor_width: int = 768
    sigma: float = 2.5
    frozen_blocks: int = 5


def norm_act(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


class Separable(nn.Module):
    """5x5 depthwise and 1x1 convolution, with a residual where the widths agree."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.depthwise = nn.Sequential(nn.Conv2d(inputs, inputs, 5, 1, 2, groups=inputs, bias=False), norm_act(inputs))
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
    """Depth heatmap logits ``(B,points,64)`` from pooled features ``(B,G)``.

    Layer normalisation, because the statistics of a small batch's pooled features wander faster than BatchNorm's running mean.
    """

    def __init__(self, pooled: int, channels: int, points: int) -> None:
        super().__init__()
        self.channels, width = channels, channels * LIXELS
        self.features = nn.Sequential(nn.Linear(pooled, width), nn.LayerNorm(width), nn.ReLU(inplace=True))
        self.out = nn.Conv1d(channels, points, 1)

    def forward(self, pooled: Tensor) -> Tensor:
        return self.out(self.features(pooled).view(-1, self.channels, LIXELS))


class Moments(nn.Module):
    """Mean and deviation of heatmaps ``(B,N,bins)`` given as logits; ``bins`` cells spread over the 64 lixels."""

    def __init__(self, bins: int) -> None:
        super().__init__()
        step = LIXELS / bins
        centres = (torch.arange(bins) + 0.5) * step - 0.5
        self.register_buffer("powers", torch.stack([centres, centres * centres], 1), persistent=False)
        self.powers: Tensor

    def forward(self, heat: Tensor) -> Tensor:
        """Probabilities ``(...,bins)`` -> mean and deviation ``(...,2)``, in lixels."""
        mean, square = (heat @ self.powers).unbind(-1)
        return torch.stack([mean, ((square - mean * mean).clamp(min=0) + 1e-2).sqrt()], -1)


class JointHead(nn.Module):
    """Joint lixels: ``forward(map (B,C,32,32), pooled (B,G)) -> coordinates, spread (B,joints,3)``.

    x and y heatmaps are the marginals of one heatmap over the picture plane, which learns faster than two heatmaps from averaged
    features (ours; for thousands of vertices it would be too large, for joints it is not).
    """

    def __init__(self, channels: int, pooled: int, depth_channels: int, joints: int) -> None:
        super().__init__()
        self.plane = nn.Conv2d(channels, joints, 1)
        self.depth = DepthHead(pooled, depth_channels, joints)
        self.plane_moments, self.depth_moments = Moments(32), Moments(LIXELS)

    def forward(self, features: Tensor, pooled: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.plane(features)
        heat = logits.flatten(2).softmax(-1).view_as(logits)
        x, y = self.plane_moments(heat.sum(2)), self.plane_moments(heat.sum(3))
        mean, spread = torch.stack([x, y, self.depth_moments(self.depth(pooled).softmax(-1))], 2).unbind(-1)
        return mean, spread


class VertexHead(nn.Module):
    """Vertex lixels: ``forward(map (B,C,32,32), pooled (B,G), prior (B,N,3)) -> coordinates, spread (B,N,3)``.

    The x heatmap comes from the mean of the map's rows, y from that of its columns, each doubled to 64 bins by a transposed
    convolution; z from the pooled features alone. Every heatmap is multiplied by a Gaussian about ``prior``, whose width is
    learned for each vertex and axis. Coordinates are the heatmaps' means (0 to 63), the spread their deviation.
    """

    def __init__(self, channels: int, pooled: int, depth_channels: int, points: int) -> None:
        super().__init__()
        self.widen = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose1d(channels, channels, 4, 2, 1, bias=False), nn.BatchNorm1d(channels), nn.ReLU(inplace=True))
            for _ in range(2)
        )
        self.plane = nn.ModuleList(nn.Conv1d(channels, points, 1) for _ in range(2))
        self.depth = DepthHead(pooled, depth_channels, points)
        self.moments = Moments(LIXELS)
        self.prior_width = nn.Parameter(torch.full((points, 3, 1), 3.0).log())

    def forward(self, features: Tensor, pooled: Tensor, prior: Tensor) -> tuple[Tensor, Tensor]:
        logits = [out(widen(features.mean(axis))) for axis, widen, out in zip((2, 3), self.widen, self.plane, strict=True)]
        logits.append(self.depth(pooled))
        bins, precision = self.moments.powers[:, 0], (-2 * self.prior_width).exp()
        heat = [(x - 0.5 * precision[:, i] * (bins - prior[:, :, i, None]) ** 2).softmax(-1) for i, x in enumerate(logits)]
        mean, spread = torch.stack([self.moments(h) for h in heat], 2).unbind(-1)
        return mean, spread


class JointVolume(nn.Module):
    """The 3x3 convolution over the joints' Gaussian volume (J x 32 depth channels), without the volume.

    A Gaussian volume is a product of three profiles, so the weights meet the depth profile first and the two others after
    (spec of the original, Pose2Feat): ``forward(joints (B,J,3) lixels) -> (B,channels,32,32)``.
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
        shifted = lambda g: torch.stack([F.pad(g, (1, 1))[..., i : i + g.shape[-1]] for i in range(3)], -2)  # noqa: E731
        # v first: (B,J,O*3,3) @ (B,J,3,X); then one product over joint and u.
        rows = kernel.transpose(0, 1).reshape(batch, count, self.channels * 3, 3) @ shifted(gx)
        rows = rows.view(batch, count, self.channels, 3, -1).permute(0, 2, 4, 1, 3).flatten(3).flatten(1, 2)
        out = rows @ shifted(gy).flatten(1, 2)
        return out.view(batch, self.channels, -1, out.shape[-1]).transpose(2, 3)


class CompactI2L(nn.Module):
    """``forward(image (B,3,256,256) RGB in [0,1])`` -> dict of

    ``joints_lixel, joints_sigma (B,19,3)`` (COCO with Pelvis and Neck), ``vertices_lixel, vertices_sigma (B,Vc,3)`` (level
    coarse), ``scale_m (B,)`` metres per lixel in the picture plane at the pelvis' depth, ``rotations (B,24,3,3)`` local, the
    root's in the virtual camera's axes, and ``betas (B,S)``.
    """

    def __init__(self, body: Body, config: CompactI2LConfig, lifter: CompactPose2Mesh) -> None:
        super().__init__()
        coarse, c = body.level("coarse"), config
        self.lifter = lifter.requires_grad_(False)
        joints, vertices = len(add_pelvis_neck(body.joint_regressors["coco"])), len(coarse.vertex_ids)
        self.config, self.parts, self.betas = c, body.num_joints, body.num_betas
        self.trunk = EfficientNetLite0()
        self.pool = nn.Sequential(nn.Conv2d(CHANNELS[3], c.global_features, 1, bias=False), norm_act(c.global_features))
        self.pose_pyramid = Pyramid((CHANNELS[1], CHANNELS[2], CHANNELS[3]), c.joint_channels)
        self.pose_head = JointHead(c.joint_channels, c.global_features, c.joint_depth_channels, joints)
        self.volume = JointVolume(joints, 64, 32, c.sigma)
        self.enter = nn.ModuleList(nn.Conv2d(n, 64, 1, bias=False) for n in (CHANNELS[1], c.joint_channels))
        self.entered = norm_act(64)
        blocks = [[(64, 112, 2), (112, 112, 1)], [(112, 192, 2), (192, 192, 1), (192, 192, 1)]]
        self.down = nn.ModuleList(nn.Sequential(*(Block(i, o, 4, 5, stride) for i, o, stride in level)) for level in blocks)
        self.join = nn.ModuleList([nn.Conv2d(CHANNELS[2], 112, 1), nn.Conv2d(CHANNELS[3], 192, 1)])
        self.mesh_pool = nn.Sequential(nn.Conv2d(192, c.global_features, 1, bias=False), norm_act(c.global_features))
        self.mesh_pyramid = Pyramid((64, 112, 192), c.mesh_channels)
        self.mesh_head = VertexHead(c.mesh_channels, c.global_features, c.depth_channels, vertices)
        self.rescale = nn.Linear(c.global_features, 1)
        nn.init.zeros_(self.rescale.weight)
        nn.init.zeros_(self.rescale.bias)
        sets = (body.J_regressor, add_pelvis_neck(body.joint_regressors["coco"]))
        regressor = np.concatenate([*(coarse_regressor(body, r) for r in sets), np.eye(vertices, dtype=np.float32)[::10]])
        self.register_buffer("regressor", torch.as_tensor(regressor), persistent=False)
        self.register_buffer("coco", torch.as_tensor(coarse_regressor(body, sets[1])), persistent=False)
        self.coco: Tensor
        self.regressor: Tensor
        w = c.regressor_width
        inputs = 3 * len(regressor) + 1 + 9 * self.parts
        last = nn.Linear(w, 6 * self.parts + self.betas)
        with torch.no_grad():
            last.weight.mul_(0.1)
            last.bias.zero_()
            last.bias[: 6 * self.parts] = torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(self.parts)
            # The body stands upright before a camera whose y axis points down.
            last.bias[:6] = torch.tensor([1.0, 0, 0, 0, -1, 0])
        self.param = nn.Sequential(
            nn.Linear(inputs, w), nn.LayerNorm(w), nn.ReLU(), nn.Linear(w, w), nn.LayerNorm(w), nn.ReLU(), last
        )  # fmt: skip
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1), persistent=False)
        self.mean: Tensor
        self.std: Tensor
        # Deviation = sqrt(a spread^2 + b) for joints and vertices, per axis; fitted on validation pictures after training.
        self.register_buffer("calibration", torch.tensor([1.0, 0.0]).repeat(2, 3, 1))
        self.calibration: Tensor

    def train(self, mode: bool = True) -> "CompactI2L":
        """The trunk keeps ImageNet's BatchNorm statistics, since rendered pictures have others than photos; the lifter keeps its own."""
        super().train(mode)
        self.trunk.eval()
        self.lifter.eval()
        return self

    def features(self, image: Tensor) -> list[Tensor]:
        """Trunk features of strides 8, 16, 32; the frozen blocks run without gradient (and in bf16 under autocast)."""
        x, taps = (image - self.mean) / self.std, []
        frozen = self.config.frozen_blocks
        with torch.set_grad_enabled(torch.is_grad_enabled() and frozen == 0), torch.autocast(
            image.device.type, torch.bfloat16, enabled=self.training and frozen > 0
        ):
            x = self.trunk.stem(x)
            for block in self.trunk.blocks[:frozen]:
                x = block(x)
        x = x.float()
        if frozen == 5:
            taps.append(x)
        for i, block in enumerate(self.trunk.blocks[frozen:], frozen):
            x = block(x)
            if i in (4, 10, 15):
                taps.append(x)
        return taps

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        fine, middle, coarse = taps = self.features(image)
        pose_map = self.pose_pyramid(taps)
        joints, joints_spread = self.pose_head(pose_map, self.pool(coarse).mean((2, 3)))
        # As in the original no gradient flows through the volume.
        steer = self.volume(joints.detach())
        x0 = self.entered(self.enter[0](fine) + self.enter[1](pose_map) + steer)
        x1 = self.down[0](x0) + self.join[0](middle)
        x2 = self.down[1](x1) + self.join[1](coarse)
        pooled = self.mesh_pool(x2).mean((2, 3))
        lifted, per_metre, turns = self.lift(joints.detach(), joints_spread.detach())
        vertices, vertices_spread = self.mesh_head(self.mesh_pyramid([x0, x1, x2]), pooled, lifted)
        scale = self.rescale(pooled)[:, 0] - per_metre.log()
        rotations, betas = self.parameters_of(vertices.detach(), scale.detach(), turns)
        calibrated = lambda spread, c: (c[:, 0] * spread * spread + c[:, 1]).sqrt()  # noqa: E731
        return {
            "joints_lixel": joints, "joints_sigma": calibrated(joints_spread, self.calibration[0]),
            "vertices_lixel": vertices, "vertices_sigma": calibrated(vertices_spread, self.calibration[1]),
            "scale_m": scale.exp(), "rotations": rotations, "betas": betas,
        }  # fmt: skip

    def lift(self, joints: Tensor, spread: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The lifted mesh of joint lixels ``(B,19,3)``: vertices ``(B,Vc,3)`` in lixels (weak perspective, fitted to the joints'
        x and y), lixels per metre ``(B,)``, and the world rotations ``(B,216)`` of its joints as features. No gradient."""
        with torch.no_grad():
            xy = joints[:, :17, :2]
            confidence = 1 / (1 + (spread[:, :17, :2].square().mean(-1, keepdim=True) / 9))
            pose = torch.cat([xy, confidence], -1)
            pose = torch.cat([pose, pose[:, 11:13].mean(1, keepdim=True), pose[:, 5:7].mean(1, keepdim=True)], 1)
            centred = pose[..., :2] - pose[..., :2].mean(1, keepdim=True)
            size = centred.square().mean((1, 2), keepdim=True).sqrt().clamp(min=1e-3)
            direct, mirrored, _ = self.lifter.features(torch.cat([centred / size, pose[..., 2:]], -1))
            mesh = self.lifter.mesh_net
            transforms = mesh.girth(mesh.joint_outputs(direct, mirrored)[0])
            vertices = (transforms.flatten(2) @ mesh.decode).transpose(1, 2)
            # Shift and scale that give the lifted joints the middle and the size of the seen ones, weighted by confidence; a least
            # squares slope would shrink towards zero where the two disagree.
            weight = confidence.square() / confidence.square().sum(1, keepdim=True)
            lifted = (self.coco @ vertices)[:, :17, :2]
            centre, target = (weight * lifted).sum(1, keepdim=True), (weight * xy).sum(1, keepdim=True)
            spread2 = lambda x: (weight * x * x).sum((1, 2), keepdim=True)  # noqa: E731
            per_metre = (spread2(xy - target) / spread2(lifted - centre).clamp(min=1e-4)).sqrt().clamp(12, 80)
            depth = (vertices[..., 2:] / 2 + 0.5) * LIXELS
            lixels = torch.cat([(vertices[..., :2] - centre) * per_metre + target, depth], -1)
            return lixels, per_metre[:, 0, 0], transforms[..., :3].transpose(1, 2).flatten(1)

    def parameters_of(self, vertices: Tensor, log_scale: Tensor, turns: Tensor) -> tuple[Tensor, Tensor]:
        """Rotations ``(B,24,3,3)`` and betas ``(B,S)`` from vertex lixels, the logarithm of the scale and the lifted joints'
        rotations; the mesh is seen as its joints (SMPL's and COCO's) and every tenth vertex, relative to the first joint."""
        points = self.regressor @ vertices
        seen = torch.cat([points[:, :1] - 32, points[:, 1:] - points[:, :1]], 1).flatten(1) / 16
        # 3.4: a person of 1.7 m is about 51 lixels long.
        out = self.param(torch.cat([seen, log_scale[:, None] + 3.4, turns], 1))
        return six_d(out[:, : 6 * self.parts].view(-1, self.parts, 6)), out[:, 6 * self.parts :]


def six_d(x: Tensor) -> Tensor:
    """Rotation matrices ``(...,3,3)`` whose first two columns are ``x (...,6)`` made orthonormal (Zhou et al., CVPR 2019)."""
    a, b = x[..., :3], x[..., 3:]
    first = a / a.norm(dim=-1, keepdim=True).clamp(min=1e-6)
    b = b - (first * b).sum(-1, keepdim=True) * first
    second = b / b.norm(dim=-1, keepdim=True).clamp(min=1e-6)
    ax, ay, az = first.unbind(-1)
    bx, by, bz = second.unbind(-1)
    third = torch.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], -1)
    return torch.stack([first, second, third], -1)
