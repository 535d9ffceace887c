"""I2L-MeshNet (Moon and Lee, ECCV 2020) as officially released: lixel and param stage, body and hand."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from openhmr.bodies.body import Body
from openhmr.bodies.mano import mano_joint_regressor
from openhmr.bodies.smpl import smpl_face_regressor
from openhmr.errors import InputError
from openhmr.lab.models.i2l_meshnet.heads import HEAD_CHANNELS, LixelHead
from openhmr.lab.models.i2l_meshnet.param import ParamRegressor
from openhmr.lab.models.i2l_meshnet.pose2feat import Pose2Feat
from openhmr.lab.models.i2l_meshnet.resnet import STEM_CHANNELS, ResNet
from openhmr.lab.skinning import SkinningLayer

STAGES = ("lixel", "param")


@dataclass(frozen=True)
class Kind:
    """What differs between body and hand: which joints are regressed, and the camera coordinates' unit (per
    metre)."""

    regressor: Callable[[Body], NDArray[np.float32]]
    unit: float


KINDS = {"body": Kind(smpl_face_regressor, 1.0), "hand": Kind(mano_joint_regressor, 1000.0)}


class I2LMeshNet(nn.Module):
    """Image ``(B,3,256,256)``, RGB in [0,1], not normalised -> dict of

    ``joint_coord_img (B,J,3)``, ``mesh_coord_img (B,V,3)`` and ``joint_img_from_mesh (B,J,3)`` in lixels (x,
    y, z; 0 to 63); in the param stage also ``pose_param (B,3P)`` axis-angle, ``shape_param (B,S)``,
    ``mesh_coord_cam (B,V,3)`` and ``joint_coord_cam (B,J,3)``, relative to the regressed root, in metres for
    a body and millimetres for a hand.

    In the param stage the lixel part runs without gradient, but its batch statistics keep moving while
    training, as officially; ``freeze_statistics`` holds them still.
    """

    joint_regressor: Tensor

    def __init__(
        self,
        kind: Kind,
        stage: str,
        body: Body,
        backbone: int,
        freeze_statistics: bool = False,
        head_channels: int = HEAD_CHANNELS,
    ) -> None:
        super().__init__()
        regressor = kind.regressor(body)
        self.stage, self.unit, self.freeze_statistics = stage, kind.unit, freeze_statistics
        self.pose_backbone, self.mesh_backbone = self._backbone(backbone), self._backbone(backbone)
        channels = self.pose_backbone.channels
        self.pose_net = self._head(channels, len(regressor), head_channels)
        self.pose2feat = self._pose2feat(len(regressor), STEM_CHANNELS)
        self.mesh_net = self._head(channels, body.num_vertices, head_channels)
        # Checkpoints of either stage hold it.
        self.param_regressor = ParamRegressor(len(regressor), body.num_joints, body.num_betas)
        for part in (self.pose_net, self.pose2feat, self.mesh_net, self.param_regressor):
            part.apply(_initialise)
        self.register_buffer("joint_regressor", torch.as_tensor(regressor), persistent=False)
        self.human_model_layer = SkinningLayer(body) if stage == "param" else None

    _backbone: type[ResNet] = ResNet
    _head: type[LixelHead] = LixelHead
    _pose2feat: type[Pose2Feat] = Pose2Feat

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.stage == "lixel"):
            early = self.pose_backbone.stem(image)
            joints = self.pose_net(self.pose_backbone(early))
            mesh = self.mesh_net(self.mesh_backbone(self.pose2feat(early, joints)))
            from_mesh = self.joint_regressor @ mesh
        out = {"joint_coord_img": joints, "mesh_coord_img": mesh, "joint_img_from_mesh": from_mesh}
        return out if self.human_model_layer is None else out | self.parameters_of(from_mesh)

    def parameters_of(self, joints: Tensor) -> dict[str, Tensor]:
        """The param stage's part of the output from ``joints (B,J,3)`` in lixels."""
        assert self.human_model_layer is not None
        pose, shape = self.param_regressor(joints.detach())
        mesh = self.human_model_layer(pose, shape)[0] * self.unit
        regressed = self.joint_regressor @ mesh
        root = regressed[:, :1]
        return {
            "pose_param": pose,
            "shape_param": shape,
            "mesh_coord_cam": mesh - root,
            "joint_coord_cam": regressed - root,
        }

    def lixel_parts(self) -> list[nn.Module]:
        return [self.pose_backbone, self.pose_net, self.pose2feat, self.mesh_backbone, self.mesh_net]

    def trainable_parameters(self) -> list[nn.Parameter]:
        """What the optimiser of this stage gets."""
        parts = self.lixel_parts() if self.stage == "lixel" else [self.param_regressor]
        return [p for part in parts for p in part.parameters()]

    def train(self, mode: bool = True) -> "I2LMeshNet":
        super().train(mode)
        if self.stage == "param" and self.freeze_statistics:
            for part in self.lixel_parts():
                part.eval()
        return self


def _initialise(module: nn.Module) -> None:
    # One-dimensional convolutions and normalisations keep PyTorch's defaults, as officially.
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, std=0.01 if isinstance(module, nn.Linear) else 0.001)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def official(
    kind: Literal["body", "hand"],
    stage: Literal["lixel", "param"],
    body: Body,
    backbone: int = 50,
    *,
    freeze_statistics: bool = False,
    head_channels: int = HEAD_CHANNELS,
) -> I2LMeshNet:
    """The official network for a body, freshly initialised; ``pose_backbone.load_imagenet`` and
    ``mesh_backbone.load_imagenet`` take ImageNet weights.

    ``kind`` is ``body`` (SMPL) or ``hand`` (MANO), ``stage`` is ``lixel`` or ``param``, and ``backbone`` the
    depth of the two ResNets: 18, 34, 50, 101 or 152. ``freeze_statistics`` keeps the batch statistics of the
    lixel part still in the param stage. ``head_channels`` is the width of the lixel heads; official weights
    need the default. Raises :class:`InputError` for other values, and for a body whose mesh the kind's joint
    regressor does not fit.
    """
    if kind not in KINDS:
        raise InputError(f"kind {kind!r} is unknown; choose one of {', '.join(KINDS)}")
    if stage not in STAGES:
        raise InputError(f"stage {stage!r} is unknown; choose one of {', '.join(STAGES)}")
    if head_channels < 1:
        raise InputError(
            f"{head_channels} head channels are given; there must be 1 or more ({HEAD_CHANNELS} officially)"
        )
    return I2LMeshNet(KINDS[kind], stage, body, backbone, freeze_statistics, head_channels)
