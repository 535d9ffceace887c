"""The slow twin of Pose2Mesh: the official computation step by step, fake nodes, sparse COO products and all.

It is the oracle of the fast form's tests and the yardstick of its speed.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from openhmr.lab.graphs.mesh_graph import MeshGraph
from openhmr.lab.models.pose2mesh.meshnet import MeshNet
from openhmr.lab.models.pose2mesh.network import Pose2Mesh


class PlainMeshNet(MeshNet):
    """Same parameters, same results."""

    vertex_nodes: Tensor

    def _add_tables(self, graph: MeshGraph) -> None:
        laplacians = (*graph.laplacians[: graph.levels - 1], graph.laplacians[-1])
        for i, laplacian in enumerate(reversed(laplacians)):
            coo = laplacian.tocoo()
            index = torch.as_tensor([coo.row.tolist(), coo.col.tolist()])
            values = torch.as_tensor(coo.data, dtype=torch.get_default_dtype())
            sparse = torch.sparse_coo_tensor(index, values, coo.shape, check_invariants=True)
            self.register_buffer(f"laplacian{i}", sparse.coalesce(), persistent=False)
        self.register_buffer(
            "vertex_nodes", torch.as_tensor(graph.perm_reverse[: graph.real[0]]), persistent=False
        )
        self.graphs = len(laplacians)

    def forward(self, joints: Tensor) -> Tensor:
        x, layer = joints, 0
        for i, channels in enumerate(self.blocks):
            laplacian = getattr(self, f"laplacian{min(i, self.graphs - 1)}")
            start = x
            for _ in channels[1:]:
                x = self._conv(x, layer, laplacian)
                layer += 1
            if i == 0:
                x = self.fc(x.flatten(1)).unflatten(1, (-1, self.width))
            elif i < len(self.blocks) - 1:
                if start.shape[-1] != x.shape[-1]:
                    start = F.interpolate(start, size=x.shape[-1], mode="linear", align_corners=False)
                x = x + start
                if i < self.graphs - 1:
                    x = x.repeat_interleave(2, 1)
        return x

    def vertices(self, joints: Tensor) -> Tensor:
        return self(joints)[:, self.vertex_nodes]

    def _conv(self, x: Tensor, i: int, laplacian: Tensor) -> Tensor:
        batch, nodes, features = x.shape
        t0 = x.permute(1, 2, 0).reshape(nodes, features * batch)
        t1 = torch.sparse.mm(laplacian, t0)
        t2 = 2 * torch.sparse.mm(laplacian, t1) - t0
        terms = torch.stack([t0, t1, t2]).view(3, nodes, features, batch)
        y: Tensor = self.cl[i](terms.permute(3, 1, 2, 0).reshape(batch * nodes, features * 3))
        if i < len(self.bn):
            y = torch.relu(self.bn[i](y))
        return y.view(batch, nodes, -1)


class PlainPose2Mesh(Pose2Mesh):
    """Same parameters, same results."""

    _mesh_net = PlainMeshNet
