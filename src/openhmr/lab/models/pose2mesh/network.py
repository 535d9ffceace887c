"""Pose2Mesh (Choi, Moon, Lee, ECCV 2020) as officially released: PoseNet and MeshNet in one."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from openhmr.joints import MANO, JointSet
from openhmr.lab.graphs.mesh_graph import MeshGraph, load_or_build
from openhmr.lab.models.pose2mesh.meshnet import MeshNet
from openhmr.lab.models.pose2mesh.plain import PlainMeshNet
from openhmr.lab.models.pose2mesh.posenet import PoseNet


class Pose2Mesh(nn.Module):
    """Standardised 2D pose ``(B,J,2)`` -> mesh and 3D pose, root-relative, camera axes.

    ``graph`` says which mesh; weights trained on one graph mean nothing on another.
    """

    vertex_nodes: Tensor
    pose2mesh: MeshNet

    def __init__(self, graph: MeshGraph, plain: bool = False) -> None:
        super().__init__()
        self.graph = graph
        self.pose_lifter = PoseNet(graph.joints.shape[0])
        self.pose2mesh = (PlainMeshNet if plain else MeshNet)(graph)
        self.register_buffer(
            "vertex_nodes", torch.as_tensor(graph.perm_reverse[: graph.real[0]]), persistent=False
        )

    def forward(self, pose2d: Tensor) -> tuple[Tensor, Tensor]:
        """Nodes ``(B,N0,3)`` in metres in graph order, and the 3D pose ``(B,J,3)`` in millimetres."""
        pose3d = self._lift(pose2d)
        return self.pose2mesh(self._join(pose2d, pose3d)), pose3d

    def predict(self, pose2d: Tensor) -> tuple[Tensor, Tensor]:
        """Vertices ``(B,V,3)`` in metres and the 3D pose in millimetres; evaluation mode only, and quicker
        than :meth:`forward`."""
        pose3d = self._lift(pose2d)
        return self.pose2mesh.vertices(self._join(pose2d, pose3d)), pose3d

    def vertices(self, nodes: Tensor) -> Tensor:
        """``(B,N0,3) -> (B,V,3)``: the nodes that are vertices, in the order of the mesh."""
        return nodes[:, self.vertex_nodes]

    def _lift(self, pose2d: Tensor) -> Tensor:
        return self.pose_lifter(pose2d.flatten(1)).unflatten(1, (-1, 3))

    def _join(self, pose2d: Tensor, pose3d: Tensor) -> Tensor:
        # Official: the mesh's gradient does not reach PoseNet.
        return torch.cat([pose2d, pose3d.detach() / 1000], -1)


def official(
    joint_set: JointSet,
    faces: NDArray[np.integer],
    *,
    levels: int | None = None,
    cache_dir: str | Path | None = None,
    plain: bool = False,
) -> Pose2Mesh:
    """The official network for a joint set and a mesh ``faces (T,3)``, freshly initialised.

    ``levels`` of coarsening: 9 gives the body network and 6 the hand network; by default 6 for MANO's joints,
    else 9. The graph is kept in ``cache_dir`` if given. ``plain`` selects the slow twin. Raises
    :class:`InputError` for meshes with unused vertices.
    """
    if levels is None:
        levels = 6 if joint_set == MANO else 9
    return Pose2Mesh(load_or_build(faces, joint_set, levels, cache_dir), plain)
