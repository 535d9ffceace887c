"""Official I2L-MeshNet as an ONNX file that ``Recoverer`` runs: same weights, inputs and outputs of the
compact one.

It has no calibrated uncertainty, so the plain spread of its heatmaps is given.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from openhmr.bodies.body import Body
from openhmr.errors import InputError
from openhmr.joints import COCO
from openhmr.lab.export.onnx_files import RECOVER_OUTPUTS, dependencies, save_model, traced
from openhmr.lab.models.i2l_meshnet.heads import LixelHead
from openhmr.lab.models.i2l_meshnet.network import I2LMeshNet
from openhmr.lab.models.i2l_meshnet.param import rotation_6d_to_matrix
from openhmr.lab.skinning import forward_kinematics
from openhmr.predict.coarse_mesh import coarse_level
from openhmr.predict.person_crop import LIXELS


class _Recover(nn.Module):
    """The official I2L-MeshNet of the param stage with the outputs of the compact one."""

    regressor: Tensor

    def __init__(self, network: I2LMeshNet, body: Body) -> None:
        super().__init__()
        self.network, self.parents = network, body.parents.tolist()
        self.rest = torch.as_tensor(body.J_regressor @ body.v_template)
        self.rest_shapes = torch.as_tensor(np.einsum("jv,vck->kjc", body.J_regressor, body.shapedirs))
        self.coarse = torch.as_tensor(coarse_level(body).vertex_ids.astype(np.int64))
        self.register_buffer("regressor", torch.as_tensor(body.joint_regressor(COCO), dtype=torch.float32))

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        # With gradients enabled the network does not take its own kernels, which ONNX does not know.
        with torch.enable_grad():
            return self._outputs(image)

    def _outputs(self, image: Tensor) -> tuple[Tensor, ...]:
        net = self.network
        early = net.pose_backbone.stem(image)
        joints, _ = _moments(net.pose_net, net.pose_backbone(early))
        mesh, sigma = _moments(net.mesh_net, net.mesh_backbone(net.pose2feat(early, joints)))
        features = net.param_regressor.fc((net.joint_regressor @ mesh).flatten(1))
        parts = len(self.parents)
        rotations = rotation_6d_to_matrix(net.param_regressor.fc_pose(features)).reshape(-1, parts, 3, 3)
        betas = net.param_regressor.fc_shape(features)
        # Metres per lixel: the scale that carries the lixel mesh's joints to those of the posed skeleton
        # best.
        metres, lixel = self._skeleton(rotations, betas)[..., :2], (net.joint_regressor @ mesh)[:, :parts, :2]
        metres, lixel = metres - metres.mean(1, keepdim=True), lixel - lixel.mean(1, keepdim=True)
        scale = (lixel * metres).sum((1, 2)) / (lixel * lixel).sum((1, 2))
        return (
            self.regressor @ mesh,
            self.regressor @ sigma,
            mesh[:, self.coarse],
            sigma[:, self.coarse],
            scale.clamp(min=1e-3),
            rotations,
            betas,
        )

    def _skeleton(self, rotations: Tensor, betas: Tensor) -> Tensor:
        """Posed joints ``(B,P,3)`` in metres."""
        rest = self.rest + (betas @ self.rest_shapes.flatten(1)).reshape(-1, *self.rest.shape)
        return forward_kinematics(rotations, rest, self.parents)[1]


def _moments(head: LixelHead, features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of a head's heatmaps, ``(B,N,3)`` each."""
    plane = head.deconv(features)
    x, y = plane.mean(2), plane.mean(3)
    z = head.conv_z_1(features.mean((2, 3))[..., None]).view(-1, head.conv_z_2[0].in_channels, LIXELS)
    shares = torch.stack(
        [conv(p).softmax(-1) for p, conv in ((x, head.conv_x), (y, head.conv_y), (z, head.conv_z_2))], 2
    )
    bins = torch.arange(LIXELS, dtype=features.dtype)
    mean = shares @ bins
    return mean, ((shares @ (bins * bins)) - mean * mean).clamp(min=1e-4).sqrt()


def export_i2l(network: I2LMeshNet, body: Body, path: Path) -> None:
    """Write an official I2L-MeshNet of a body's param stage. Raises :class:`InputError` for others."""
    if network.stage != "param" or network.unit != 1:
        raise InputError(
            "recovery needs the param stage of a body, which predicts size and pose; export such a run"
        )
    model = traced(_Recover(network.eval(), body), torch.rand(2, 3, 256, 256), "image", RECOVER_OUTPUTS)
    save_model(model, path, dependencies("i2l_meshnet", "official", COCO, body))
