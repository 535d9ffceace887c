"""The compact I2L-MeshNet that ships: one small trunk for both branches, lixels of the coarse level, and how
sure they are.

As the original: PoseNet's joint lixels, drawn as a Gaussian volume, steer MeshNet, whose vertex lixels give
the joints that the parameter regressor sees. Ours: both branches share the trunk, the volume is never built,
features stop at half the lixel resolution and only the one-dimensional heatmaps are full, depth comes from a
bottleneck, and the spread of every heatmap is returned as its standard deviation. Depth is measured along a
virtual camera that looks at the middle of the crop.

A heatmap is the product of what its own branch sees and of a Gaussian about a first guess (ours). A joint's
guess is BlazePose's landmark, since the trunk is that network. Joints are then looked for a second time, in
features that know where all of them were found at first, and attend to each other (:class:`SecondLook`). A
vertex's guess is where a compact Pose2Mesh lifts the 2D joints to, turned by what the joints' surroundings
look like: both systems meet inside. So what people look like in 3D, for which there are too few rendered
pictures, need not be learned from them, and the heatmap still says where the vertex is and how certain that
is.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from openhmr.bodies.body import Body
from openhmr.joints import COCO
from openhmr.lab.config import at_least
from openhmr.lab.models.i2l_meshnet.blazepose import COCO_LANDMARKS, LANDMARKS, PYRAMID, BlazePose
from openhmr.lab.models.i2l_meshnet.compact_parts import (
    Inverted,
    JointHead,
    JointVolume,
    Pyramid,
    SecondLook,
    VertexHead,
    mixed,
    norm_act,
)
from openhmr.lab.models.pose2mesh.compact import CompactPose2Mesh
from openhmr.lab.precision import FLOAT32, Precision
from openhmr.lab.skinning import columns_to_rotation
from openhmr.predict.coarse_mesh import coarse_regressor
from openhmr.predict.person_crop import DEPTH_M, LIXELS


@dataclass(frozen=True)
class CompactI2LConfig:
    """Widths; ``sigma`` is that of the joints' Gaussian volume in lixels, ``frozen_blocks`` of the trunk keep
    their weights."""

    mesh_channels: int = 160
    joint_depth_channels: int = 8
    depth_channels: int = 48
    global_features: int = 512
    token_width: int = 96
    token_features: int = 24
    nudge_width: int = 256
    regressor_width: int = 384
    sigma: float = 2.5
    frozen_blocks: int = 7

    def __post_init__(self) -> None:
        widths = {name: 1 for name in vars(self) if name not in ("sigma", "frozen_blocks")}
        at_least(self, **widths, sigma=0.1, frozen_blocks=0)


UNUSED = (
    "trunk.heat.",
    "lifter.pose_net.output.",
    "lifter.mesh_net.features.",
    "lifter.mesh_net.spread.",
    "lifter.mesh_net.conv",
)
"""How the names of parameters begin that no output depends on: heads of the pretrained networks. Exported
files lack them."""


class CompactI2L(nn.Module):
    """``forward(image (B,3,256,256) RGB in [0,1])`` -> dict of

    ``joints_lixel, joints_sigma (B,19,3)`` (COCO with Pelvis and Neck), ``vertices_lixel, vertices_sigma
    (B,Vc,3)`` (level coarse), ``scale_m (B,)`` metres per lixel in the picture plane at the pelvis' depth,
    ``rotations (B,24,3,3)`` local, the root's in the virtual camera's axes, and ``betas (B,S)``; for training
    also the joints found at first, ``first_lixel (B,19,3)``, and the vertices' guesses, ``lifted_lixel
    (B,Vc,3)``.
    """

    precision: Precision = FLOAT32
    """Of the convolutions while training."""

    def __init__(self, body: Body, config: CompactI2LConfig, lifter: CompactPose2Mesh) -> None:
        super().__init__()
        coarse, c = body.level("coarse"), config
        self.trunk, self.lifter = BlazePose(), lifter
        joints, vertices = COCO.size, len(coarse.vertex_ids)
        self.config, self.parts, self.betas = c, body.num_joints, body.num_betas
        self.pool = mixed(1152 + 6 * LANDMARKS, c.global_features)
        select = torch.zeros(joints, LANDMARKS)
        select[torch.arange(17), torch.tensor(COCO_LANDMARKS)] = 1
        select[17:] = select[:17].new_tensor(COCO.complete(np.eye(17, dtype=np.float32))[17:]) @ select[:17]
        self.select = nn.Parameter(select)
        self.pose_head = JointHead(c.global_features, c.joint_depth_channels, joints)
        self.sureness = nn.Parameter(torch.tensor([2.2, 0.0, 1.0]))
        self.volume = JointVolume(joints, 64, 32, c.sigma)
        self.enter = nn.Conv2d(PYRAMID, 64, 3, 2, 1, bias=False)
        self.entered = norm_act(64)
        first = [Inverted(64, 112, halve=True), Inverted(112, 112)]
        second = [Inverted(112, 192, halve=True), Inverted(192, 192), Inverted(192, 192)]
        self.down = nn.ModuleList([nn.Sequential(*first), nn.Sequential(*second)])
        self.join = nn.ModuleList([nn.Conv2d(88, 112, 1), nn.Conv2d(864, 192, 1)])
        self.mesh_pool = nn.Sequential(
            nn.Conv2d(192, c.global_features, 1, bias=False), norm_act(c.global_features)
        )
        self.mesh_mix = mixed(2 * c.global_features + 3 * joints + 9 * self.parts, c.global_features)
        self.mesh_pyramid = Pyramid((64, 112, 192), c.mesh_channels)
        self.second = SecondLook(c.mesh_channels, c.global_features, joints, c.token_width, c.token_features)
        nudge = nn.Linear(c.nudge_width, 12 * self.parts)
        nn.init.zeros_(nudge.weight)
        nn.init.zeros_(nudge.bias)
        self.nudge = nn.Sequential(
            mixed(c.global_features + c.token_features * joints + 12 * self.parts, c.nudge_width), nudge
        )
        self.mesh_head = VertexHead(c.mesh_channels, c.global_features, c.depth_channels, vertices)
        self.rescale = nn.Linear(c.global_features, 1)
        nn.init.zeros_(self.rescale.weight)
        nn.init.zeros_(self.rescale.bias)
        sets = (body.J_regressor, body.joint_regressor(COCO))
        regressor = np.concatenate([coarse_regressor(body, r) for r in sets])
        self.register_buffer("regressor", torch.as_tensor(regressor), persistent=False)
        self.regressor: Tensor
        w = c.regressor_width
        inputs = 3 * (len(regressor) + len(range(0, vertices, 10))) + 1 + 9 * self.parts
        last = nn.Linear(w, 6 * self.parts + self.betas)
        with torch.no_grad():
            last.weight.mul_(0.1)
            last.bias.zero_()
            last.bias[: 6 * self.parts] = torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(self.parts)
            # The body stands upright before a camera whose y axis points down.
            last.bias[:6] = torch.tensor([1.0, 0, 0, 0, -1, 0])
        self.param = nn.Sequential(
            nn.Linear(inputs, w),
            nn.LayerNorm(w),
            nn.ReLU(),
            nn.Linear(w, w),
            nn.LayerNorm(w),
            nn.ReLU(),
            last,
        )
        # Deviation = sqrt(a spread^2 + b), per joint or vertex and axis; fitted on validation pictures after
        # training.
        self.register_buffer("joint_calibration", torch.tensor([1.0, 0.0]).repeat(joints, 3, 1))
        self.register_buffer("vertex_calibration", torch.tensor([1.0, 0.0]).repeat(vertices, 3, 1))
        self.joint_calibration: Tensor
        self.vertex_calibration: Tensor

    def load_pretrained(self) -> None:
        """Weights of MediaPipe's wheel for the trunk, and its heatmaps as the first joint heatmaps."""
        self.trunk.load_mediapipe()
        with torch.no_grad():
            for mine, other in zip(
                self.pose_head.plane.parameters(), self.trunk.heat.parameters(), strict=True
            ):
                mine.copy_(torch.tensordot(self.select, other, 1))

    def step_scales(self, relative: float) -> dict[str, Tensor]:
        """How far the trunk and the lifter, trained on photos and on far more poses, may move, by parameter:
        of AdamW's step of one learning rate the trunk takes ``relative`` times the size of each output
        channel's weights as they are now, the lifter a tenth.

        The trunk's weights have BatchNorm in them, so that their sizes differ by thousands between channels:
        equal steps wipe small channels out before large ones move.
        """
        scales = {f"lifter.{name}": p.new_tensor(0.1) for name, p in self.lifter.named_parameters()}
        for name, p in self.trunk.named_parameters():
            square = p.detach().square()
            size = square.mean((1, 2, 3), keepdim=True) if p.ndim == 4 else square.mean()
            scales[f"trunk.{name}"] = relative * size.sqrt()
        return scales

    def train(self, mode: bool = True) -> "CompactI2L":
        """The lifter keeps its BatchNorm statistics."""
        super().train(mode)
        self.lifter.eval()
        return self

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        # Convolutions may run in half precision while training; heatmaps and what comes of them never do.
        half = self.precision.autocast(self.training)
        with half:
            seen = self.trunk(image, self.config.frozen_blocks)
        seen = {k: v.float() for k, v in seen.items()}
        landmarks, world = seen["landmarks"], seen["world"]
        place = torch.cat([landmarks[..., :3] * (LIXELS / 256), world], -1)
        view = self.pool(torch.cat([seen["tower"], place.flatten(1) / 16], 1))
        guess = self.select @ torch.cat([place[..., :2], (world[..., 2:] / DEPTH_M + 0.5) * LIXELS], -1)
        first, first_spread = self.pose_head(seen["fine"], view, guess)
        # As in the original no gradient flows through the volume.
        steer = self.volume(first.detach())
        with half:
            x0 = self.entered(self.enter(seen["fine"]) + steer)
            x1 = self.down[0](x0) + self.join[0](seen["deep"])
            x2 = self.down[1](x1) + self.join[1](seen["coarse"])
            pooled, features = self.mesh_pool(x2).mean((2, 3)), self.mesh_pyramid([x0, x1, x2])
        joints, joints_spread, tokens = self.second(seen["fine"], features, view, first, first_spread, half)
        confidence = self.confidence(joints_spread, landmarks[..., 3])
        lifted, per_metre, turns = self.lift(joints, confidence, torch.cat([view, tokens], 1))
        mixture = [view, pooled.float(), ((self.coco(lifted) - 32) / 16).flatten(1), turns]
        pooled = self.mesh_mix(torch.cat(mixture, 1))
        vertices, vertices_spread = self.mesh_head(features, pooled, lifted)
        scale = self.rescale(pooled)[:, 0] - per_metre.log()
        rotations, betas = self.parameters_of(vertices.detach(), scale.detach(), turns)

        def calibrated(spread, calibration):
            slope, least = calibration.unbind(-1)
            return (slope * spread * spread + least).sqrt()

        return {
            "joints_lixel": joints,
            "joints_sigma": calibrated(joints_spread, self.joint_calibration),
            "vertices_lixel": vertices,
            "vertices_sigma": calibrated(vertices_spread, self.vertex_calibration),
            "scale_m": scale.exp(),
            "rotations": rotations,
            "betas": betas,
            "first_lixel": first,
            "lifted_lixel": lifted,
        }

    def confidence(self, spread: Tensor, visibility: Tensor) -> Tensor:
        """Confidence ``(B,17,1)`` of COCO's joints from the spread of their heatmaps and BlazePose's
        visibility logits."""
        offset, visible, narrow = self.sureness
        logits = (
            offset
            + visible * visibility[:, COCO_LANDMARKS]
            - narrow * spread[:, :17, :2].square().mean(-1).log()
        )
        return logits.sigmoid()[..., None]

    def coco(self, vertices: Tensor) -> Tensor:
        """COCO's joints, Pelvis and Neck ``(B,19,3)`` of vertices ``(B,Vc,3)``."""
        return (self.regressor @ vertices)[:, self.parts :]

    def lift(self, joints: Tensor, confidence: Tensor, seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The lifted mesh of joint lixels ``(B,>=17,3)``, confidences ``(B,17,1)`` and image features
        ``(B,*)``: vertices ``(B,Vc,3)`` in lixels (weak perspective, fitted to the joints' x and y), lixels
        per metre ``(B,)``, and the world rotations ``(B,216)`` of its joints as features."""
        xy = joints[:, :17, :2]
        pose = torch.cat([xy, confidence], -1)
        pose = torch.cat([pose, pose[:, 11:13].mean(1, keepdim=True), pose[:, 5:7].mean(1, keepdim=True)], 1)
        centred = pose[..., :2] - pose[..., :2].mean(1, keepdim=True)
        size = centred.square().mean((1, 2), keepdim=True).sqrt().clamp(min=1e-3)
        direct, mirrored, _ = self.lifter.features(torch.cat([centred / size, pose[..., 2:]], -1))
        mesh = self.lifter.mesh_net
        transforms = mesh.joint_outputs(direct, mirrored)[0]
        # 2D joints leave open which way a limb points; what it looks like turns it.
        nudge = self.nudge(torch.cat([seen, transforms.flatten(1)], 1))
        transforms = mesh.girth(transforms + nudge.view_as(transforms))
        vertices = (transforms.flatten(2) @ mesh.decode).transpose(1, 2)
        # Shift and scale that give the lifted joints the middle and the size of the seen ones, weighted by
        # confidence; a least squares slope would shrink towards zero where the two disagree.
        weight = confidence.square() / confidence.square().sum(1, keepdim=True)
        lifted = self.coco(vertices)[:, :17, :2]
        centre, target = (weight * lifted).sum(1, keepdim=True), (weight * xy).sum(1, keepdim=True)

        def spread2(x):
            return (weight * x * x).sum((1, 2), keepdim=True)

        per_metre = (
            (spread2(xy - target) / spread2(lifted - centre).clamp(min=1e-4))
            .clamp(min=1e-4)
            .sqrt()
            .clamp(12, 80)
        )
        depth = (vertices[..., 2:] / DEPTH_M + 0.5) * LIXELS
        lixels = torch.cat([(vertices[..., :2] - centre) * per_metre + target, depth], -1)
        return lixels, per_metre[:, 0, 0], transforms[..., :3].transpose(1, 2).flatten(1)

    def parameters_of(self, vertices: Tensor, log_scale: Tensor, turns: Tensor) -> tuple[Tensor, Tensor]:
        """Rotations ``(B,24,3,3)`` and betas ``(B,S)`` from vertex lixels, the logarithm of the scale and the
        lifted joints' rotations; the mesh is seen as its joints (SMPL's and COCO's) and every tenth vertex,
        relative to the first joint."""
        points = torch.cat([self.regressor @ vertices, vertices[:, ::10]], 1)
        seen = torch.cat([points[:, :1] - 32, points[:, 1:] - points[:, :1]], 1).flatten(1) / 16
        # 3.4: a person of 1.7 m is about 51 lixels long.
        out = self.param(torch.cat([seen, log_scale[:, None] + 3.4, turns], 1))
        first, second = out[:, : 6 * self.parts].unflatten(1, (self.parts, 2, 3)).unbind(2)
        return columns_to_rotation(first, second), out[:, 6 * self.parts :]
