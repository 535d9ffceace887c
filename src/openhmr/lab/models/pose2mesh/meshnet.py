"""MeshNet, the coarse-to-fine graph network of Pose2Mesh (spec section 5), with the official state_dict, and fast."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from openhmr.errors import InputError
from openhmr.lab.graphs.mesh_graph import MeshGraph
from openhmr.lab.models.pose2mesh.ops import graph_conv, norm_relu, sparse_product
from openhmr.lab.models.pose2mesh.tables import ORDER, GraphLevel, SparseMatrix, graph_levels, select_nodes

Blocks = tuple[tuple[int, ...], ...]

BODY: Blocks = ((5, 32, 64, 64), (64, 128, 256), *((256, 256, 256),) * 4, (256, 128, 128), *((128, 128, 128),) * 2, (128, 64, 3))
HAND: Blocks = ((5, 32, 64, 64), (64, 128, 256), *((256, 256, 256),) * 3, (256, 128, 128), (128, 64, 3))
BLOCKS = {9: BODY, 6: HAND}
"""Channels of the blocks by the number of coarsenings: the joint graph, each mesh graph from coarse to fine, the finest again."""


def resize_features(x: Tensor, size: int) -> Tensor:
    """Linear interpolation along the last axis of ``x (n,B,F)``, as the official residual branch does."""
    return x if x.shape[-1] == size else F.interpolate(x, size=size, mode="linear", align_corners=False)


class MeshNet(nn.Module):
    """Joints ``(B,J,5)`` (standardised x, y; 3D in metres) -> nodes ``(B,N0,3)``, metres, in the padded order of the finest graph.

    Equal to the official network to rounding, evaluating and training; :mod:`plain` has the slow twin. ``conv_order`` ...
    """

    def __init__(self, graph: MeshGraph) -> None:
        super().__init__()
        if graph.levels not in BLOCKS:
            raise InputError(f"the graph has {graph.levels} coarsenings; Pose2Mesh has networks for {sorted(BLOCKS)}")
        self.blocks = BLOCKS[graph.levels]
        convs = [pair for channels in self.blocks for pair in zip(channels[:-1], channels[1:], strict=True)]
        coarse, self.width = len(graph.orders[graph.levels - 2]), self.blocks[0][-1]
        self.fc = nn.Linear(graph.joints.shape[0] * self.width, coarse * self.width)
        self.cl = nn.ModuleList(nn.Linear(ORDER * f, g) for f, g in convs)
        self.bn = nn.ModuleList(nn.BatchNorm1d(g) for _, g in convs[:-1])
        for conv, (f, g) in zip(self.cl, convs, strict=True):
            bound = (2 / (ORDER * f + g)) ** 0.5
            nn.init.uniform_(conv.weight, -bound, bound)
            nn.init.zeros_(conv.bias)
        self._add_tables(graph)

    def _add_tables(self, graph: MeshGraph) -> None:
        # The real nodes alone give the vertices; batch statistics and the official output also need the fake ones.
        self.all_levels, self.real_levels = graph_levels(graph, fakes=True), graph_levels(graph, fakes=False)
        finest, coarsest = select_nodes(graph, fakes=True)[0], graph.levels - 2
        real = select_nodes(graph, fakes=False)
        self.register_buffer("expand", torch.as_tensor(finest.expand), persistent=False)
        self.register_buffer("coarse_real", torch.as_tensor(real[coarsest].nodes), persistent=False)
        vertices = real[0].expand[graph.perm_reverse[: graph.real[0]]]
        self.register_buffer("vertex_places", torch.as_tensor(vertices), persistent=False)

    def forward(self, joints: Tensor) -> Tensor:
        """All nodes ``(B,N0,3)``."""
        return self._run(joints, self.all_levels, None)[self.expand].transpose(0, 1)

    def vertices(self, joints: Tensor) -> Tensor:
        """Vertices ``(B,V,3)``, skipping the fake nodes: what evaluation needs. Not for training mode."""
        if self.training:
            raise InputError("vertices() skips nodes that batch statistics need; call eval() first, or forward() in training")
        return self._run(joints, self.real_levels, self.coarse_real)[self.vertex_places].transpose(0, 1)

    def _run(self, joints: Tensor, levels: nn.ModuleList, coarse_nodes: Tensor | None) -> Tensor:
        x, layer = joints.transpose(0, 1), 0
        for i, channels in enumerate(self.blocks):
            level = levels[min(i, len(levels) - 1)]
            last = i == len(self.blocks) - 1
            up = 1 < i and not last
            start = x
            for j in range(len(channels) - 1):
                x = self._layer(x, layer, level, level.conv_up if up and j == 0 else level.conv)
                layer += 1
            if i == 0:
                x = self.fc(x.transpose(0, 1).flatten(1)).unflatten(1, (-1, self.width)).transpose(0, 1)
                x = x if coarse_nodes is None else x[coarse_nodes]
            elif not last:
                start = resize_features(start, x.shape[-1])
                x = x + (sparse_product(level.up, start) if up else start)
        return x

    def _layer(self, x: Tensor, i: int, level: GraphLevel, matrix: SparseMatrix) -> Tensor:
        weight, bias = self.cl[i].weight.unflatten(1, (-1, ORDER)), self.cl[i].bias
        if i == len(self.bn):
            return graph_conv(x, weight.permute(2, 0, 1).contiguous(), bias, matrix)
        norm = self.bn[i]
        if self.training:
            return norm_relu(graph_conv(x, weight.permute(2, 0, 1).contiguous(), bias, matrix), level.counts, norm)
        scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
        weight = (weight * scale[:, None, None]).permute(2, 0, 1).contiguous()
        return graph_conv(x, weight, (bias - norm.running_mean) * scale + norm.bias, matrix).relu_()
