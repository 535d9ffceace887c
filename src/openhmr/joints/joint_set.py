"""What a set of joints is; every fact about left and right follows from the joint names."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from openhmr.errors import InputError

Pairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class JointSet:
    """A named, ordered list of joints.

    ``skeleton`` holds the bones as index pairs, ``root`` the joint that 3D poses are relative to,
    ``eval_joints`` the joints that MPJPE is averaged over. ``extra_edges`` are further edges of the joint
    graph that joint names cannot give. ``derived`` names the joints that nobody annotates, each with the
    joints whose mean it is; they come last. ``regressor`` is the name under which bodies keep the regressor
    of this set, by default its own. ``points`` gives the point of the body (see
    :data:`openhmr.joints.POINTS`) of each joint whose name is not that point's.
    """

    name: str
    names: tuple[str, ...]
    skeleton: Pairs
    root: int
    eval_joints: tuple[int, ...]
    extra_edges: Pairs = ()
    derived: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    regressor: str = ""
    points: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        assert self.names[len(self.names) - len(self.derived) :] == tuple(self.derived)

    @property
    def size(self) -> int:
        return len(self.names)

    @property
    def base(self) -> tuple[str, ...]:
        """Names of the joints that are annotated, detected or regressed: all but the derived ones."""
        return self.names[: self.size - len(self.derived)]

    def complete(self, points: ArrayLike, confidence: Literal["product", "present"] | None = None) -> NDArray:
        """``points (..., K, C)`` of the K base joints with the derived joints appended, ``(..., J, C)``.

        Serves coordinates in any unit and frame, and joint regressors ``(K, V)`` alike; floating types are
        kept, and points that are complete come back as they are. ``confidence`` says what the last column is:
        another coordinate (None), or a confidence, of which a derived joint has the product ("product", the
        rule of the originals' data sets: 0 where one is missing, but coordinates are averaged all the same),
        or the mean if all its joints are present, otherwise the whole row is 0 ("present", ours). Raises
        :class:`InputError` for other numbers of joints.
        """
        points = np.asarray(points)
        if points.ndim >= 2 and points.shape[-2] == self.size:
            return points
        if points.ndim < 2 or points.shape[-2] != len(self.base):
            counts = " or ".join(map(str, sorted({len(self.base), self.size})))
            raise InputError(
                f"joints have shape {points.shape}; the {self.name} set needs (..., {counts}, C): pass its "
                f"joints in their order"
            )
        added = []
        for sources in self.derived.values():
            rows = points[..., [self.names.index(n) for n in sources], :]
            mean = rows.sum(-2) / len(sources)
            if confidence == "product":
                mean[..., -1] = rows[..., -1].prod(-1)
            elif confidence == "present":
                mean[(rows[..., -1] <= 0).any(-1)] = 0
            added.append(mean[..., None, :])
        return np.concatenate([points, *added], axis=-2)

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
        """Undirected edges of the joint graph: bones, left-right pairs, extra edges
        (docs/originals/pose2mesh.md, "Joint sets")."""
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
