"""Pose2Mesh (Choi, Moon, Lee, ECCV 2020) as officially released: PoseNet and MeshNet in one."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from openhmr.errors import InputError
from openhmr.joints import COCO, HUMAN36, MANO, SMPL, JointSet, get_joint_set
from openhmr.lab.graphs.mesh_graph import MeshGraph, load_or_build
from openhmr.lab.models.pose2mesh.meshnet import BLOCKS, MeshNet
from openhmr.lab.models.pose2mesh.posenet import HIDDEN, PoseNet

OFFICIAL_SETS = tuple(s.name for s in (HUMAN36, COCO, SMPL, MANO))
"""Names of the joint sets that official networks exist for."""


class Pose2Mesh(nn.Module):
    """Standardised 2D pose ``(B,J,2)`` -> mesh and 3D pose, root-relative, camera axes.

    Weights trained on one ``graph`` mean nothing on another. ``hidden`` is the width of PoseNet.
    """

    vertex_nodes: Tensor
    pose2mesh: MeshNet

    def __init__(self, graph: MeshGraph, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.graph = graph
        self.pose_lifter = PoseNet(graph.joints.shape[0], hidden)
        self.pose2mesh = self._mesh_net(graph)
        self.register_buffer(
            "vertex_nodes", torch.as_tensor(graph.perm_reverse[: graph.real[0]]), persistent=False
        )

    _mesh_net: type[MeshNet] = MeshNet

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
    joint_set: JointSet | str,
    faces: NDArray[np.integer],
    *,
    levels: int | None = None,
    cache_dir: str | Path | None = None,
    hidden: int = HIDDEN,
) -> Pose2Mesh:
    """The official network for the joints that it sees and a mesh ``faces (T,3)``, freshly initialised.

    ``joint_set`` is one of the package's joint sets or its name: ``human36``, ``coco``, ``smpl`` or ``mano``.
    ``levels`` of coarsening: 9 is the body network, 6 the hand network; by default 6 for ``mano``, else 9.
    Building the graph of SMPL's mesh takes seconds, so it is kept in ``cache_dir`` if that is given.
    ``hidden`` is the width of PoseNet; official weights need the default. Raises :class:`InputError` for
    other joint sets, levels and widths, and for meshes with unused vertices.
    """
    joint_set = get_joint_set(joint_set, OFFICIAL_SETS)
    if levels is None:
        levels = 6 if joint_set == MANO else 9
    if levels not in BLOCKS:
        raise InputError(f"{levels} levels are given; Pose2Mesh has networks for {sorted(BLOCKS)}")
    if hidden < 1:
        raise InputError(f"a hidden width of {hidden} is given; it must be 1 or more ({HIDDEN} officially)")
    return Pose2Mesh(load_or_build(faces, joint_set, levels, cache_dir), hidden)
