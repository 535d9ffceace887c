"""Official Pose2Mesh as an ONNX file that ``Lifter`` runs: same weights, inputs and outputs of the compact
one.

People are seen by the virtual camera that looks at them, as everywhere in this package; the original does not
turn them.
"""

from itertools import pairwise
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from openhmr.bodies.body import Body
from openhmr.errors import InputError
from openhmr.joints import JointSet
from openhmr.lab.export.onnx_files import dependencies, save_model, traced
from openhmr.lab.models.pose2mesh.meshnet import resize_features
from openhmr.lab.models.pose2mesh.network import Pose2Mesh
from openhmr.lab.models.pose2mesh.posenet import PoseNet
from openhmr.lab.models.pose2mesh.sparse import GraphLevel, SparseMatrix
from openhmr.predict.coarse_mesh import coarse_level

OUTPUTS = ("vertices", "pose3d", "mesh")
POSES_AT_ONCE = "4"
"""The neighbours of all nodes are laid out at once: 0.2 GB a pose on a mesh like SMPL's."""


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


def export_pose2mesh(network: Pose2Mesh | PoseNet, body: Body, joint_set: JointSet, path: Path) -> None:
    """Write an official Pose2Mesh: outputs ``vertices`` (the body's coarse level, or its whole mesh),
    ``pose3d`` and the whole ``mesh``, all in metres. Raises :class:`InputError` for stage 1 alone.
    """
    if not isinstance(network, Pose2Mesh):
        raise InputError("this run holds stage 1 alone, which has no mesh; export a run of stage 2")
    coarse = torch.as_tensor(coarse_level(body).vertex_ids.astype(np.int64))
    example = torch.randn(2, joint_set.size, 3)
    facts = dependencies("pose2mesh", "official", joint_set, body) | {"poses_at_once": POSES_AT_ONCE}
    save_model(traced(_Lift(network.eval(), coarse), example, "pose2d", OUTPUTS), path, facts)
