"""The compact Pose2Mesh that ships: PoseNet, then a mesh that starts skinned and is refined by graph
convolutions.

The original predicts vertices from scratch through nine graph levels. Here the mesh head first predicts one
affine transform per joint, which the body's own skinning weights blend into a coarse mesh (a linear map,
exact for the mean shape because linear blend skinning is linear in its transforms), and Chebyshev graph
convolutions on the coarse mesh add what that leaves (ours, because it costs a hundredth of the original's
FLOPs and learns faster). Fixed upsampling brings the coarse mesh to the full one.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from openhmr.bodies.body import Body

LOG_SIGMA = (-6.0, 1.0)
"""Natural logarithms of the smallest and largest deviation in metres."""


@dataclass(frozen=True)
class CompactConfig:
    """Sizes of the compact network."""

    hidden: int = 1024
    stages: int = 2
    joint_features: int = 16
    graph_features: int = 24
    dropout: float = 0.0
    mirror: bool = True
    """Average with the answer to the mirrored pose. A right hand's mirror image is a left one, which a
    network of right hands does not know."""


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


class SparseProduct(torch.autograd.Function):
    """``A x`` for a fixed sparse A whose transpose is at hand: the gradient is a sparse product too, and
    nothing is kept for it."""

    @staticmethod
    def forward(ctx, x: Tensor, matrix: Tensor, transpose: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.transpose = transpose
        return matrix @ x

    @staticmethod
    def backward(ctx, gradient: Tensor):  # type: ignore[no-untyped-def]
        return ctx.transpose @ gradient.contiguous(), None, None


def sparse_matrix(rows: np.ndarray, cols: np.ndarray, values: np.ndarray, shape: tuple[int, int]) -> Tensor:
    """A float32 matrix in compressed rows from its entries."""
    index = torch.as_tensor(np.stack([rows, cols]).astype(np.int64))
    coo = torch.sparse_coo_tensor(
        index, torch.as_tensor(values.astype(np.float32)), shape, check_invariants=True
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        return coo.coalesce().to_sparse_csr()


class Graph(nn.Module):
    """The scaled Laplacian of a mesh as a sparse matrix (symmetric, so it is its own transpose)."""

    def __init__(self, faces: np.ndarray, count: int) -> None:
        super().__init__()
        neighbours, values = laplacian_table(faces, count)
        rows, used = np.repeat(np.arange(count), neighbours.shape[1]), values.reshape(-1) != 0
        laplacian = sparse_matrix(
            rows[used], neighbours.reshape(-1)[used], values.reshape(-1)[used], (count, count)
        )
        self.register_buffer("sparse", laplacian, persistent=False)
        self.sparse: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """``L x`` for ``x (V,N)``."""
        return SparseProduct.apply(x, self.sparse, self.sparse)


class GraphConv(nn.Module):
    """Chebyshev convolution of order 3 on a fixed graph, node-major ``(V,B,F) -> (V,B,G)``.

    ``x W0 + L x W1 + (2 L L x - x) W2``, evaluated as ``x (W0 - W2) + L (x W1 + 2 L x W2)``: two sparse
    products, both as narrow as the output.
    """

    def __init__(self, features: int, out: int) -> None:
        super().__init__()
        self.project = nn.Linear(features, 3 * out)
        self.out = out

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        a, b, c = self.project(x).split(self.out, -1)

        def product(y):
            return graph(y.flatten(1)).view_as(a)

        return a - c + product(b + 2 * product(c))


def laplacian_table(faces: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours ``(V,D)`` and values of the scaled Laplacian ``-S A S`` (= L/(lmax/2) - I with the bound
    lmax = 2)."""
    edges = np.unique(
        np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1), axis=0
    )
    both = np.concatenate([edges, edges[:, ::-1]])
    both = both[np.lexsort((both[:, 1], both[:, 0]))]
    degree = np.bincount(both[:, 0], minlength=count)
    slot = np.arange(len(both)) - np.concatenate([[0], np.cumsum(degree)[:-1]])[both[:, 0]]
    neighbours, values = (
        np.zeros((count, degree.max()), np.int64),
        np.zeros((count, degree.max()), np.float32),
    )
    neighbours[both[:, 0], slot] = both[:, 1]
    values[both[:, 0], slot] = -1 / np.sqrt(degree[both[:, 0]] * degree[both[:, 1]])
    return neighbours, values


class PoseNet(nn.Module):
    """2D pose ``(B,J,3)`` (standardised x, y, confidence) -> features ``(B,hidden)`` and 3D pose ``(B,J,3)``
    metres."""

    def __init__(self, joints: int, config: CompactConfig) -> None:
        super().__init__()
        self.input = nn.Linear(3 * joints, config.hidden)
        self.stages = nn.Sequential(
            *(ResidualStage(config.hidden, config.dropout) for _ in range(config.stages))
        )
        self.norm = nn.BatchNorm1d(config.hidden)
        self.output = nn.Linear(config.hidden, 3 * joints)

    def forward(self, pose2d: Tensor) -> tuple[Tensor, Tensor]:
        features = torch.relu(self.norm(self.stages(self.input(pose2d.flatten(1)))))
        return features, self.output(features).unflatten(1, (-1, 3))


def mirror_signs(rows: int) -> Tensor:
    """``(3, rows)`` signs that carry a 3 x 3 or 3 x 4 transform into a mirror (x -> -x): ``S M S``."""
    return torch.outer(torch.tensor([-1.0, 1, 1]), torch.tensor([-1.0, 1, 1, 1][:rows]))


def bone_axes(rest: np.ndarray, parents: np.ndarray) -> np.ndarray:
    """Unit direction ``(J,3)`` of the bone that starts at each joint: towards its only child, or away from
    its parent at the end of a limb; zero where several bones start and at the root."""
    axes = np.zeros_like(rest)
    for j, p in enumerate(parents):
        children = np.nonzero(parents == j)[0]
        if len(children) == 1:
            axes[j] = rest[children[0]] - rest[j]
        elif len(children) == 0 and p >= 0:
            axes[j] = rest[j] - rest[p]
    length = np.linalg.norm(axes, axis=1, keepdims=True)
    return np.divide(axes, length, out=np.zeros_like(axes), where=length > 0)


class Girth(nn.Module):
    """Gives limbs back the girth that averaging over uncertain rotations takes from predicted transforms
    (ours).

    The mean of several rotations is a shrunken matrix M, so that an uncertain forearm turns as thin as a
    stick. Along the bone M stays, so that joints stay where they are; across it, M is replaced by the
    rotation R nearest to it (polar factor, by Newton-Schulz iterations): ``M u u^T + R (I - u u^T)`` about
    the joint's centre.
    """

    iterations = 6

    def __init__(self, body: Body) -> None:
        super().__init__()
        rest = (body.J_regressor @ body.v_template).astype(np.float64)
        axes = bone_axes(rest, np.asarray(body.parents))
        along = axes[:, :, None] * axes[:, None]
        along[np.abs(axes).sum(1) == 0] = np.eye(3)

        def tensor(a):
            return torch.as_tensor(np.ascontiguousarray(a), dtype=torch.float32)

        self.register_buffer("rest", tensor(rest[:, :, None]), persistent=False)
        self.register_buffer("along", tensor(along), persistent=False)
        self.register_buffer("across", tensor(np.eye(3) - along), persistent=False)
        self.rest: Tensor
        self.along: Tensor
        self.across: Tensor

    def forward(self, transforms: Tensor) -> Tensor:
        """Transforms ``(B,3,J,4)`` -> ``(B,3,J,4)``."""
        matrix, shift = transforms.transpose(1, 2).split([3, 1], -1)
        rotation = matrix * (3 / matrix.square().sum((-1, -2), keepdim=True).clamp(min=1e-6)).sqrt()
        for _ in range(self.iterations):
            rotation = 1.5 * rotation - 0.5 * (rotation @ rotation.transpose(-1, -2)) @ rotation
        full = matrix @ self.along + rotation @ self.across
        return torch.cat([full, shift + (matrix - full) @ self.rest], -1).transpose(1, 2)


class MeshNet(nn.Module):
    """Features -> coarse vertices ``(B,V,3)`` metres, camera axes, relative to the body's root joint."""

    def __init__(self, body: Body, body_flip: np.ndarray, config: CompactConfig) -> None:
        super().__init__()
        coarse = body.level("coarse")
        template, weights = body.v_template[coarse.vertex_ids], body.weights[coarse.vertex_ids]
        homogeneous = np.concatenate([template, np.ones((len(template), 1), np.float32)], 1)
        self.joints, self.joint_features = weights.shape[1], config.joint_features
        # (24 * 4, V): vertex v is this matrix's column v times the joints' 3 x 4 transforms side by side.
        decode = (weights[:, :, None] * homogeneous[:, None]).reshape(len(template), -1).T
        self.register_buffer("decode", torch.as_tensor(np.ascontiguousarray(decode)), persistent=False)
        self.register_buffer("blend", torch.as_tensor(np.ascontiguousarray(weights.T)), persistent=False)
        self.register_buffer("flip", torch.as_tensor(np.asarray(body_flip, np.int64)), persistent=False)
        self.register_buffer("signs", mirror_signs(4)[:, None], persistent=False)
        self.decode: Tensor
        self.blend: Tensor
        self.flip: Tensor
        self.signs: Tensor
        self.graph, self.girth = Graph(coarse.faces, len(template)), Girth(body)
        self.transforms = nn.Linear(config.hidden, self.joints * 12)
        self.features = nn.Linear(config.hidden, self.joints * config.joint_features)
        self.spread = nn.Linear(config.hidden, self.joints * 3)
        nn.init.zeros_(self.spread.weight)
        nn.init.constant_(self.spread.bias, -3.0)
        self.conv1 = GraphConv(config.joint_features + 3, config.graph_features)
        self.conv2 = GraphConv(config.graph_features, 3)
        nn.init.zeros_(self.conv2.project.weight)
        nn.init.zeros_(self.conv2.project.bias)

    def joint_outputs(self, features: Tensor, mirrored: Tensor | None) -> tuple[Tensor, Tensor]:
        """Transforms ``(B,3,24,4)`` and features ``(B,F,24)`` of the joints, averaged with those of the
        mirrored input, if given."""
        transforms = self.transforms(features).unflatten(1, (3, self.joints, 4))
        blended = self.features(features).unflatten(1, (self.joint_features, self.joints))
        if mirrored is None:
            return transforms, blended
        other, other_features = self.joint_outputs(mirrored, None)
        other = other[:, :, self.flip] * self.signs
        return (transforms + other) / 2, (blended + other_features[:, :, self.flip]) / 2

    def sigma(self, features: Tensor, mirrored: Tensor | None = None) -> Tensor:
        """Standard deviations ``(B,24,3)`` metres of the body's parts, averaged with those of the mirrored
        input, if given."""
        logarithm = self.spread(features).unflatten(1, (self.joints, 3))
        if mirrored is not None:
            other = self.spread(mirrored).unflatten(1, (self.joints, 3))
            logarithm = (logarithm + other[:, self.flip]) / 2
        return torch.exp(logarithm.clamp(*LOG_SIGMA))

    def forward(self, features: Tensor, mirrored: Tensor | None = None) -> Tensor:
        transforms, blended = self.joint_outputs(features, mirrored)
        start = (self.girth(transforms).flatten(2) @ self.decode).transpose(1, 2)
        # Node-major from here on: a sparse product then takes all bodies of the batch at once.
        x = torch.cat([start, (blended @ self.blend).transpose(1, 2)], -1).transpose(0, 1)
        return start + self.conv2(torch.relu(self.conv1(x, self.graph)), self.graph).transpose(0, 1)


class CompactPose2Mesh(nn.Module):
    """``forward(pose2d (B,J,3)) -> (vertices (B,V,3), pose3d (B,J,3), sigma (B,24,3))``, metres, positions
    relative to the body's root joint; sigma is how far off the vertices of each part of the body may be.

    PoseNet also sees the mirrored pose (but without ``mirror`` in the config), and both answers are averaged
    joint by joint before the mesh is decoded: at one body a time that costs next to nothing, since reading
    the weights dominates (ours).
    ``pose_flip (J,)`` and ``body_flip (24,)`` exchange left and right in the joint set and in the body's
    joints.
    """

    def __init__(
        self, pose_flip: np.ndarray, body: Body, body_flip: np.ndarray, config: CompactConfig | None = None
    ) -> None:
        super().__init__()
        config = config or CompactConfig()
        self.register_buffer("flip", torch.as_tensor(np.asarray(pose_flip, np.int64)), persistent=False)
        self.register_buffer("signs", torch.tensor([-1.0, 1, 1]), persistent=False)
        self.flip: Tensor
        self.signs: Tensor
        self.mirror = config.mirror
        self.pose_net, self.mesh_net = PoseNet(len(pose_flip), config), MeshNet(body, body_flip, config)

    def features(self, pose2d: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
        """Features of the pose and of its mirror image ``(B,hidden)`` each (None where none is looked at),
        and the averaged 3D pose."""
        if not self.mirror:
            features, pose3d = self.pose_net(pose2d)
            return features, None, pose3d
        both = torch.cat([pose2d, pose2d[:, self.flip] * self.signs])
        features, pose3d = self.pose_net(both)
        direct, mirrored = pose3d.chunk(2)
        first, second = features.chunk(2)
        return first, second, (direct + mirrored[:, self.flip] * self.signs) / 2

    def forward(self, pose2d: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        direct, mirrored, pose3d = self.features(pose2d)
        return self.mesh_net(direct, mirrored), pose3d, self.mesh_net.sigma(direct, mirrored)
