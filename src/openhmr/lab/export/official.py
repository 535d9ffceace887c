"""Official networks as ONNX files that ``Lifter`` and ``Recoverer`` run: same weights, the inputs and outputs
of the compact ones.

Two things differ from the original's own pictures: people are seen by the virtual camera that looks at them,
as everywhere in this package, and an I2L-MeshNet has no calibrated uncertainty, so the plain spread of its
heatmaps is given.
"""

import dataclasses
from itertools import pairwise
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from openhmr.bodies.body import Body, Level
from openhmr.errors import InputError
from openhmr.joints import JointSet
from openhmr.lab.export.onnx_files import RECOVER_OUTPUTS, save_model, traced
from openhmr.lab.models.i2l_meshnet.heads import LixelHead
from openhmr.lab.models.i2l_meshnet.network import I2LMeshNet
from openhmr.lab.models.i2l_meshnet.param import rotation_6d_to_matrix
from openhmr.lab.models.pose2mesh.meshnet import resize_features
from openhmr.lab.models.pose2mesh.network import Pose2Mesh
from openhmr.lab.models.pose2mesh.posenet import PoseNet
from openhmr.lab.models.pose2mesh.sparse import GraphLevel, SparseMatrix
from openhmr.predict.coarse_mesh import joint_regressors
from openhmr.predict.person_crop import LIXELS

LIFT_OUTPUTS = ("vertices", "pose3d", "mesh")


def with_coarse(body: Body) -> Body:
    """``body`` with a level ``coarse``, which is the whole mesh if the body has none: what exported files are
    used with."""
    if "coarse" in body.levels:
        return body
    every = np.arange(body.num_vertices, dtype=np.int32)
    level = Level(every, body.faces, (every, every, np.ones(len(every), np.float32)))
    return dataclasses.replace(body, levels={**body.levels, "coarse": level})


class _Gather(nn.Module):
    """A constant sparse matrix as a table of neighbours and values, which ONNX has operators for."""

    table: Tensor
    values: Tensor

    def __init__(self, matrix: SparseMatrix) -> None:
        super().__init__()
        starts = matrix.offsets.numpy().astype(np.int64)
        counts = np.diff(np.append(starts, len(matrix.indices)))
        rows = np.repeat(np.arange(len(counts)), counts)
        slot = np.arange(len(rows)) - starts[rows]
        table, values = (
            np.zeros((len(counts), counts.max()), np.int64),
            np.zeros((len(counts), counts.max()), np.float32),
        )
        table[rows, slot], values[rows, slot] = matrix.indices.numpy(), matrix.values.numpy()
        self.register_buffer("table", torch.from_numpy(table))
        self.register_buffer("values", torch.from_numpy(values)[..., None])

    def forward(self, x: Tensor) -> Tensor:
        return (x[:, self.table] * self.values).sum(2)


class _Lift(nn.Module):
    """The whole official Pose2Mesh in evaluation mode on real nodes alone, from ``pose2d (B,J,3)`` (x, y,
    confidence)."""

    def __init__(self, network: Pose2Mesh, coarse: Tensor) -> None:
        super().__init__()
        mesh = network.pose2mesh
        self.lifter, self.mesh, self.coarse = network.pose_lifter, mesh, coarse
        with torch.no_grad():
            self.layers = [(w.detach().clone(), b.detach().clone()) for w, b in mesh._layers()]
        self.levels = cast(list[GraphLevel], list(mesh.real_levels))
        self.tables = nn.ModuleDict()
        for i, level in enumerate(self.levels):
            for name in ("conv", "conv_up", "up"):
                if hasattr(level, name):
                    self.tables[f"{i}_{name}"] = _Gather(getattr(level, name))

    def forward(self, pose2d: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        xy = pose2d[..., :2]
        xy = xy - xy.mean(1, keepdim=True)
        # Official standardisation: each axis by itself, whatever scale it comes in.
        xy = xy / (xy * xy).mean(1, keepdim=True).sqrt()
        pose3d = self.lifter(xy.flatten(1)).reshape(-1, xy.shape[1], 3) / 1000
        vertices = self._mesh(torch.cat([xy, pose3d], -1))
        return vertices[:, self.coarse], pose3d, vertices

    def _layer(self, x: Tensor, i: int, table: str) -> Tensor:
        weight, bias = self.layers[i]
        # The first size stays open: the exporter takes all others for fixed.
        terms = nn.functional.linear(x, weight, bias).reshape(-1, 3 * x.shape[1], len(weight) // 3)
        y = self.tables[table](terms)
        return y if i == len(self.layers) - 1 else torch.relu(y)

    def _mesh(self, x: Tensor) -> Tensor:
        mesh, index = self.mesh, 0
        for _ in pairwise(mesh.blocks[0]):
            x, index = self._layer(x, index, "0_conv"), index + 1
        x = mesh.fc(x.flatten(1)).reshape(-1, mesh.fc.out_features // mesh.width, mesh.width)[
            :, mesh.coarse_real
        ]
        last = len(mesh.blocks) - 1
        for i, channels in enumerate(mesh.blocks[1:], 1):
            at, up, start = min(i, len(self.levels) - 1), 1 < i < last, x
            for j, _ in enumerate(pairwise(channels)):
                x, index = self._layer(x, index, f"{at}_{'conv_up' if up and j == 0 else 'conv'}"), index + 1
            if i < last:
                start = resize_features(start, x.shape[-1])
                x = x + (self.tables[f"{at}_up"](start) if up else start)
        return x[:, mesh.vertex_places]


class _Recover(nn.Module):
    """The official I2L-MeshNet of the param stage with the outputs of the compact one."""

    regressor: Tensor

    def __init__(self, network: I2LMeshNet, body: Body) -> None:
        super().__init__()
        self.network, self.parents = network, body.parents.tolist()
        self.rest = torch.as_tensor(body.J_regressor @ body.v_template)
        self.rest_shapes = torch.as_tensor(np.einsum("jv,vck->kjc", body.J_regressor, body.shapedirs))
        self.coarse = torch.as_tensor(body.level("coarse").vertex_ids.astype(np.int64))
        self.register_buffer(
            "regressor", torch.as_tensor(joint_regressors(body)["coco"], dtype=torch.float32)
        )

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        # With gradients on the network takes no kernels of its own, which ONNX would not know.
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
        world, joints = [rotations[:, 0]], [rest[:, 0]]
        for j, parent in enumerate(self.parents[1:], 1):
            joints.append(
                joints[parent] + (world[parent] @ (rest[:, j] - rest[:, parent])[..., None])[..., 0]
            )
            world.append(world[parent] @ rotations[:, j])
        return torch.stack(joints, 1)


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


def export_pose2mesh(network: Pose2Mesh | PoseNet, body: Body, joint_set: JointSet, path: Path) -> None:
    """Write an official Pose2Mesh: outputs ``vertices`` (level ``coarse`` of :func:`with_coarse`), ``pose3d``
    and the whole ``mesh``, all in metres. Raises :class:`InputError` for stage 1 alone.
    """
    if not isinstance(network, Pose2Mesh):
        raise InputError("this run holds stage 1 alone, which has no mesh; export a run of stage 2")
    coarse = torch.as_tensor(with_coarse(body).level("coarse").vertex_ids.astype(np.int64))
    example = torch.randn(2, joint_set.size, 3)
    # The neighbours of all nodes are laid out at once: 0.2 GB a pose on a mesh like SMPL's.
    metadata = {"joint_set": joint_set.name, "body": body.content_hash(), "poses_at_once": "4"}
    save_model(traced(_Lift(network.eval(), coarse), example, "pose2d", LIFT_OUTPUTS), path, metadata)


def export_i2l(network: I2LMeshNet, body: Body, path: Path) -> None:
    """Write an official I2L-MeshNet of a body's param stage. Raises :class:`InputError` for others."""
    if network.stage != "param" or network.unit != 1:
        raise InputError("recovery needs a body's param stage, which tells size and pose; export such a run")
    metadata = {"kind": "i2l-body", "body": body.content_hash(), "joint_set": "coco"}
    save_model(
        traced(
            _Recover(network.eval(), with_coarse(body)), torch.rand(2, 3, 256, 256), "image", RECOVER_OUTPUTS
        ),
        path,
        metadata,
    )
