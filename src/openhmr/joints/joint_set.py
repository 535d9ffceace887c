"""What a set of joints is; every fact about left and right follows from the joint names."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Pairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class JointSet:
    """A named, ordered list of joints.

    ``skeleton`` holds the bones as index pairs, ``root`` the joint that 3D poses are relative to,
    ``eval_joints`` the joints that MPJPE is averaged over. ``extra_edges`` are further edges of the joint
    graph that joint names cannot give.
    """

    name: str
    names: tuple[str, ...]
    skeleton: Pairs
    root: int
    eval_joints: tuple[int, ...]
    extra_edges: Pairs = ()

    @property
    def size(self) -> int:
        return len(self.names)

    @cached_property
    def flip_pairs(self) -> Pairs:
        """``(i, j)``, i < j, for each pair of joints named ``L_x`` and ``R_x``."""
        pairs = [
            (i, self.names.index("R_" + name[2:]))
            for i, name in enumerate(self.names)
            if name.startswith("L_") and "R_" + name[2:] in self.names
        ]
        return tuple(sorted((min(p), max(p)) for p in pairs))

    @cached_property
    def flip_permutation(self) -> NDArray[np.int64]:
        """``(J,)`` such that ``joints[..., flip_permutation, :]`` has left and right exchanged."""
        permutation = np.arange(self.size)
        for i, j in self.flip_pairs:
            permutation[[i, j]] = j, i
        return permutation

    @property
    def graph_edges(self) -> Pairs:
        """Undirected edges of the joint graph (Pose2Mesh section 3.3): bones, left-right pairs, extra
        edges."""
        return self.skeleton + self.flip_pairs + self.extra_edges


def transfer(values: NDArray, source: JointSet, target: JointSet) -> NDArray[np.float32]:
    """Rows of ``values (J, ...)`` brought from one joint set to another by name, ``(K, ...)``; joints without
    a namesake are 0.

    Joints of one name lie differently in different data sets (COCO's hips and SMPL's, for one).
    """
    out = np.zeros((target.size, *values.shape[1:]), np.float32)
    for row, name in enumerate(target.names):
        if name in source.names:
            out[row] = values[source.names.index(name)]
    return out
