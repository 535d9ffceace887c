"""The compact Pose2Mesh that ships: PoseNet, then a mesh that starts skinned and is refined by graph convolutions.

The original predicts vertices from scratch through nine graph levels. Here the mesh head first predicts one affine transform per
joint, which the body's own skinning weights blend into a coarse mesh (a linear map, exact for the mean shape because linear blend
skinning is linear in its transforms), and Chebyshev graph convolutions on the coarse mesh add what that leaves (ours, because it
costs a hundredth of the original's FLOPs and learns faster). Fixed upsampling brings the coarse mesh to the full one.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from openhmr.bodies.body import Body


@dataclass(frozen=True)
class CompactConfig:
    """Sizes of the compact network."""

    hidden: int = 1024
    stages: int = 2
    joint_features: int = 16
    graph_features: int = 32
    dropout: float = 0.0


class ResidualStage(nn.Module):
    """Pre-activation residual block of two linear layers, as in the original PoseNet."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.linear1 = nn.BatchNorm1d(width), nn.Linear(width, width)
        self.norm2, self.linear2 = nn.BatchNorm1d(width), nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear1(self.dropout(torch.relu(self.norm1(x))))
        return x + self.linear2(self.dropout(torch.relu(self.norm2(y))))


class _SparseProduct(torch.autograd.Function):
    """``L x`` for a fixed symmetric sparse L: the gradient is the same product again, so nothing is kept for it."""

    @staticmethod
    def forward(ctx, x: Tensor, laplacian: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.laplacian = laplacian
        return laplacian @ x

    @staticmethod
    def backward(ctx, gradient: Tensor):  # type: ignore[no-untyped-def]
        return ctx.laplacian @ gradient, None


class Graph(nn.Module):
    """The scaled Laplacian of a mesh as a sparse matrix."""

    def __init__(self, faces: np.ndarray, count: int) -> None:
        super().__init__()
        neighbours, values = laplacian_table(faces, count)
        rows, used = np.repeat(np.arange(count), neighbours.shape[1]), values.reshape(-1) != 0
        index = torch.as_tensor(np.stack([rows[used], neighbours.reshape(-1)[used]]))
        sparse = torch.sparse_coo_tensor(index, torch.as_tensor(values.reshape(-1)[used]), (count, count), check_invariants=True)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
            self.register_buffer("sparse", sparse.coalesce().to_sparse_csr(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """``L x`` for ``x (V,N)``."""
        return _SparseProduct.apply(x, self.sparse)


class GraphConv(nn.Module):
    """Chebyshev convolution of order 3 on a fixed graph, node-major ``(V,B,F) -> (V,B,G)``.

    ``x W0 + L x W1 + (2 L L x - x) W2``, evaluated as ``x (W0 - W2) + L (x W1 + 2 L x W2)``: two sparse products, both as
    narrow as the output.
    """

    def __init__(self, features: int, out: int) -> None:
        super().__init__()
        self.project = nn.Linear(features, 3 * out)
        self.out = out

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        a, b, c = self.project(x).split(self.out, -1)
        product = lambda y: graph(y.flatten(1)).view_as(a)  # noqa: E731
        return a - c + product(b + 2 * product(c))


def laplacian_table(faces: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours ``(V,D)`` and values of the scaled Laplacian ``-S A S`` (= L/(lmax/2) - I with the bound lmax = 2)."""
    edges = np.unique(np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1), axis=0)
    both = np.concatenate([edges, edges[:, ::-1]])
    both = both[np.lexsort((both[:, 1], both[:, 0]))]
    degree = np.bincount(both[:, 0], minlength=count)
    slot = np.arange(len(both)) - np.concatenate([[0], np.cumsum(degree)[:-1]])[both[:, 0]]
    neighbours, values = np.zeros((count, degree.max()), np.int64), np.zeros((count, degree.max()), np.float32)
    neighbours[both[:, 0], slot] = both[:, 1]
    values[both[:, 0], slot] = -1 / np.sqrt(degree[both[:, 0]] * degree[both[:, 1]])
    return neighbours, values


class PoseNet(nn.Module):
    """2D pose ``(B,J,3)`` (standardised x, y, confidence) -> features ``(B,hidden)`` and 3D pose ``(B,J,3)`` metres."""

    def __init__(self, joints: int, config: CompactConfig) -> None:
        super().__init__()
        self.input = nn.Linear(3 * joints, config.hidden)
        self.stages = nn.Sequential(*(ResidualStage(config.hidden, config.dropout) for _ in range(config.stages)))
        self.norm = nn.BatchNorm1d(config.hidden)
        self.output = nn.Linear(config.hidden, 3 * joints)

    def forward(self, pose2d: Tensor) -> tuple[Tensor, Tensor]:
        features = torch.relu(self.norm(self.stages(self.input(pose2d.flatten(1)))))
        return features, self.output(features).unflatten(1, (-1, 3))


class MeshNet(nn.Module):
    """Features -> coarse vertices ``(B,V,3)`` metres, camera axes, relative to the human36 pelvis."""

    def __init__(self, body: Body, config: CompactConfig) -> None:
        super().__init__()
        coarse = body.level("coarse")
        template, weights = body.v_template[coarse.vertex_ids], body.weights[coarse.vertex_ids]
        homogeneous = np.concatenate([template, np.ones((len(template), 1), np.float32)], 1)
        joints = weights.shape[1]
        self.joints, self.joint_features = joints, config.joint_features
        # (24 * 4, V): vertex v is this matrix's column v times the stacked columns of the joints' 3x4 transforms.
        decode = (weights[:, :, None] * homogeneous[:, None]).reshape(len(template), -1).T
        self.register_buffer("decode", torch.as_tensor(np.ascontiguousarray(decode)), persistent=False)
        self.register_buffer("blend", torch.as_tensor(np.ascontiguousarray(weights.T)), persistent=False)
        self.graph = Graph(coarse.faces, len(template))
        self.transforms = nn.Linear(config.hidden, joints * 12)
        self.features = nn.Linear(config.hidden, joints * config.joint_features)
        width = config.graph_features
        self.conv1, self.conv2 = GraphConv(config.joint_features + 3, width), GraphConv(width, width)
        self.conv3 = GraphConv(width, 3)
        nn.init.zeros_(self.conv3.project.weight)
        nn.init.zeros_(self.conv3.project.bias)

    def skinned(self, features: Tensor, ids: slice | Tensor = slice(None)) -> Tensor:
        """The mesh ``(B,n,3)`` before its refinement (those vertices of ``ids``)."""
        transforms = self.transforms(features).unflatten(1, (3, self.joints * 4))
        return (transforms @ self.decode[:, ids]).transpose(1, 2)

    def forward(self, features: Tensor) -> Tensor:
        start = self.skinned(features)
        blended = self.features(features).unflatten(1, (self.joint_features, self.joints)) @ self.blend
        # Node-major from here on: a sparse product then takes all bodies of the batch at once.
        x = torch.cat([start, blended.transpose(1, 2)], -1).transpose(0, 1)
        for conv in (self.conv1, self.conv2):
            x = torch.relu(conv(x, self.graph))
        return start + self.conv3(x, self.graph).transpose(0, 1)


class CompactPose2Mesh(nn.Module):
    """``forward(pose2d (B,J,3)) -> (vertices (B,V,3), pose3d (B,J,3))``, both metres relative to the human36 pelvis."""

    def __init__(self, joints: int, body: Body, config: CompactConfig | None = None) -> None:
        super().__init__()
        config = config or CompactConfig()
        self.pose_net, self.mesh_net = PoseNet(joints, config), MeshNet(body, config)

    def forward(self, pose2d: Tensor) -> tuple[Tensor, Tensor]:
        features, pose3d = self.pose_net(pose2d)
        return self.mesh_net(features), pose3d
