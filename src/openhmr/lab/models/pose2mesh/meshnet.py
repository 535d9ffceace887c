"""MeshNet, the coarse-to-fine graph network of Pose2Mesh, with the official state_dict, and fast.

Source: docs/originals/pose2mesh.md, "MeshNet".
"""

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from openhmr.errors import InputError
from openhmr.lab.graphs.mesh_graph import MeshGraph
from openhmr.lab.models.pose2mesh.graph_conv import graph_conv, norm_relu, sparse_product, stack_terms
from openhmr.lab.models.pose2mesh.sparse import ORDER, GraphLevel, SparseMatrix, graph_levels, select_nodes

Blocks = tuple[tuple[int, ...], ...]
Layer = tuple[Tensor, Tensor]

BODY: Blocks = (
    (5, 32, 64, 64),
    (64, 128, 256),
    *((256, 256, 256),) * 4,
    (256, 128, 128),
    *((128, 128, 128),) * 2,
    (128, 64, 3),
)
HAND: Blocks = ((5, 32, 64, 64), (64, 128, 256), *((256, 256, 256),) * 3, (256, 128, 128), (128, 64, 3))
BLOCKS = {9: BODY, 6: HAND}
"""Channels of the blocks by the number of coarsenings: the joint graph, each mesh graph from coarse to fine,
the finest again."""


def resize_features(x: Tensor, size: int) -> Tensor:
    """Linear interpolation along the last axis of ``x (B,n,F)``, as the official residual branch does."""
    return x if x.shape[-1] == size else F.interpolate(x, size=size, mode="linear", align_corners=False)


class MeshNet(nn.Module):
    """Joints ``(B,J,5)`` (standardised x, y; 3D in metres) -> nodes ``(B,N0,3)``, metres, in the padded order
    of the finest graph.

    Equal to the official network to rounding, evaluating and training: the tests compare it with a slow twin
    that follows the official computation step by step.
    """

    expand: Tensor
    coarse_real: Tensor
    vertex_places: Tensor

    def __init__(self, graph: MeshGraph) -> None:
        super().__init__()
        if graph.levels not in BLOCKS:
            raise InputError(
                f"the graph has {graph.levels} coarsenings; Pose2Mesh has networks for {sorted(BLOCKS)}"
            )
        self.blocks = BLOCKS[graph.levels]
        convs = [pair for channels in self.blocks for pair in pairwise(channels)]
        coarse, self.width = len(graph.orders[graph.levels - 2]), self.blocks[0][-1]
        self.fc = nn.Linear(graph.joints.shape[0] * self.width, coarse * self.width)
        self.cl = nn.ModuleList(nn.Linear(ORDER * f, g) for f, g in convs)
        self.bn = nn.ModuleList(nn.BatchNorm1d(g) for _, g in convs[:-1])
        for conv, (f, g) in zip(self.cl, convs, strict=True):
            bound = (2 / (ORDER * f + g)) ** 0.5
            nn.init.uniform_(cast(Tensor, conv.weight), -bound, bound)
            nn.init.zeros_(cast(Tensor, conv.bias))
        self._add_tables(graph)

    def _add_tables(self, graph: MeshGraph) -> None:
        # The real nodes alone give the vertices; batch statistics and the official output also need the fake
        # ones.
        self.all_levels = nn.ModuleList(graph_levels(graph, fakes=True))
        self.real_levels = nn.ModuleList(graph_levels(graph, fakes=False))
        finest, coarsest = select_nodes(graph, fakes=True)[0], graph.levels - 2
        real = select_nodes(graph, fakes=False)
        self.register_buffer("expand", torch.as_tensor(finest.expand), persistent=False)
        self.register_buffer("coarse_real", torch.as_tensor(real[coarsest].nodes), persistent=False)
        vertices = real[0].expand[graph.perm_reverse[: graph.real[0]]]
        self.register_buffer("vertex_places", torch.as_tensor(vertices), persistent=False)

    def forward(self, joints: Tensor) -> Tensor:
        """All nodes ``(B,N0,3)``."""
        return self._run(joints, self.all_levels)[:, self.expand]

    def vertices(self, joints: Tensor) -> Tensor:
        """Vertices ``(B,V,3)``, skipping the fake nodes: what evaluation needs. Raises :class:`InputError` in
        training mode."""
        if self.training:
            raise InputError(
                "vertices() skips nodes that batch statistics need; call eval() first, or forward() in "
                "training"
            )
        return self._run(joints, self.real_levels)[:, self.vertex_places]

    def _run(self, joints: Tensor, modules: nn.ModuleList) -> Tensor:
        # The sparse products know single precision only.
        with torch.autocast(joints.device.type, enabled=False):
            return self._run_single(joints.to(self.fc.weight.dtype), modules)

    def _run_single(self, joints: Tensor, modules: nn.ModuleList) -> Tensor:
        layers, levels = self._layers(), cast(list[GraphLevel], list(modules))
        x = self._coarse_features(joints, levels[0], layers)
        if modules is self.real_levels:
            x = x[:, self.coarse_real]
        if self.training:
            return self._refine(x, levels, layers)
        # One sample's features fit into the cache, a batch's do not.
        return torch.cat([self._refine(sample[None], levels, layers) for sample in x])

    def _layers(self) -> list[Layer]:
        """Stacked weight and bias of every convolution; evaluating, with its batch normalisation folded
        in."""
        layers = []
        for i, conv in enumerate(self.cl):
            weight, bias = cast(Tensor, conv.weight), cast(Tensor, conv.bias)
            if not self.training and i < len(self.bn):
                norm = cast(nn.BatchNorm1d, self.bn[i])
                mean, var = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
                scale = norm.weight * (var + norm.eps).rsqrt()
                weight, bias = weight * scale[:, None], (bias - mean) * scale + norm.bias
            layers.append(stack_terms(weight, bias))
        return layers

    def _coarse_features(self, joints: Tensor, level: GraphLevel, layers: list[Layer]) -> Tensor:
        """The joint graph's block and ``fc``: ``(B,J,5) -> (B,Nc,64)``."""
        x = joints
        for i in range(len(self.blocks[0]) - 1):
            x = self._layer(x, i, layers, level, level.conv)
        return self.fc(x.flatten(1)).unflatten(1, (-1, self.width))

    def _refine(self, x: Tensor, levels: list[GraphLevel], layers: list[Layer]) -> Tensor:
        """The mesh graphs' blocks, coarse to fine. A block's copy from parents to children is left to the
        next block."""
        index, last = len(self.blocks[0]) - 1, len(self.blocks) - 1
        for i, channels in enumerate(self.blocks[1:], 1):
            level, up, start = levels[min(i, len(levels) - 1)], 1 < i < last, x
            for j in range(len(channels) - 1):
                x = self._layer(x, index, layers, level, level.conv_up if up and j == 0 else level.conv)
                index += 1
            if i < last:
                start = resize_features(start, x.shape[-1])
                x = x + (sparse_product(level.up, start) if up else start)
        return x

    def _layer(
        self, x: Tensor, i: int, layers: list[Layer], level: GraphLevel, matrix: SparseMatrix
    ) -> Tensor:
        y = graph_conv(x, *layers[i], matrix)
        if i == len(self.bn):
            return y
        return (
            norm_relu(y, level.counts, cast(nn.BatchNorm1d, self.bn[i])) if self.training else torch.relu(y)
        )
