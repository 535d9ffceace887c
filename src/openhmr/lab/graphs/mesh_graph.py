"""The pyramid of graphs that Pose2Mesh's mesh network runs on, built once per mesh and kept in a file."""

import hashlib
import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from openhmr.errors import InputError
from openhmr.io.arrays import read_npz
from openhmr.io.atomic import atomic_path
from openhmr.joints import JointSet
from openhmr.lab.graphs import coarsen, laplacian

log = logging.getLogger(__name__)

VERSION = 1
"""Part of a cache file's name; raise it when the code here would build anything else."""

MAX_ELEMENTS = 20_000_000


@dataclass(frozen=True)
class MeshGraph:
    """Graphs 0..levels, fine to coarse, in tree order: nodes 2n and 2n+1 of graph k are the children of node
    n of graph k+1.

    ``orders[k] (N_k,)`` is the vertex or cluster at each node, fake where it is at least ``real[k]``;
    ``adjacencies[k]`` the weights ``(N_k,N_k)``, where fake nodes have none; ``lmax (levels,)`` the largest
    eigenvalues of their Laplacians. ``joints`` is the adjacency of the joint graph, which takes the place of
    the coarsest one in the network.
    """

    orders: tuple[NDArray[np.int64], ...]
    real: tuple[int, ...]
    adjacencies: tuple[sparse.csr_matrix, ...]
    lmax: NDArray[np.float64]
    joints: sparse.csr_matrix

    @property
    def levels(self) -> int:
        return len(self.lmax)

    @cached_property
    def perm_reverse(self) -> NDArray[np.int64]:
        """``(N_0,)``: the node of every vertex (and of every fake id)."""
        return np.argsort(self.orders[0], kind="stable")

    @cached_property
    def laplacians(self) -> tuple[sparse.csr_matrix, ...]:
        """Float64 ``L / (2 lmax) - I`` of graphs 0..levels-1, then the joint graph's ``L`` as it is."""
        meshes = [
            laplacian.rescaled(laplacian.normalized_laplacian(a), lmax)
            for a, lmax in zip(self.adjacencies[: self.levels], self.lmax, strict=True)
        ]
        return (*meshes, laplacian.normalized_laplacian(self.joints))

    @cached_property
    def digest(self) -> str:
        """Hash of the node order and the edges: weights trained on a graph of another digest do not fit this
        one."""
        state = hashlib.sha256()
        for order in self.orders:
            state.update(np.ascontiguousarray(order, "<i8").tobytes())
        for graph in (*self.adjacencies, self.joints):
            for array, dtype in ((graph.indptr, "<i8"), (graph.indices, "<i8"), (graph.data, "<f8")):
                state.update(np.ascontiguousarray(array, dtype).tobytes())
        return state.hexdigest()


def build(faces: NDArray[np.integer], joint_set: JointSet, levels: int) -> MeshGraph:
    """The graph of a mesh ``faces (T,3)`` over ``levels`` coarsenings. Raises :class:`InputError` on vertices
    without a face."""
    graphs, parents = coarsen.coarsen(coarsen.mesh_adjacency(faces), levels)
    orders = coarsen.tree_order(parents)
    adjacencies = tuple(_reorder(graph, order) for graph, order in zip(graphs, orders, strict=True))
    lmax = [laplacian.largest_eigenvalue(laplacian.normalized_laplacian(a)) for a in adjacencies[:levels]]
    joints = laplacian.joint_adjacency(joint_set.size, joint_set.graph_edges)
    return MeshGraph(tuple(orders), tuple(g.shape[0] for g in graphs), adjacencies, np.array(lmax), joints)


def load_or_build(
    faces: NDArray[np.integer], joint_set: JointSet, levels: int, cache_dir: str | Path | None = None
) -> MeshGraph:
    """:func:`build`, or the graph that an earlier call kept in ``cache_dir``; its file is named by a hash of
    the inputs and the version of this code."""
    key = hashlib.sha256(np.ascontiguousarray(faces, "<i8").tobytes())
    key.update(repr((VERSION, levels, joint_set.size, joint_set.graph_edges)).encode())
    path = None if cache_dir is None else Path(cache_dir) / f"mesh-graph-{key.hexdigest()[:16]}.npz"
    if path is not None and path.exists():
        try:
            return _load(path)
        except (InputError, KeyError, ValueError) as error:
            log.warning("%s is damaged (%s); building the graph again", path, error)
    graph = build(faces, joint_set, levels)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        _save(graph, path)
    return graph


def _reorder(graph: sparse.csr_matrix, order: NDArray[np.int64]) -> sparse.csr_matrix:
    """``graph`` padded with isolated nodes to ``len(order)`` and put in that order."""
    node, coo = np.argsort(order, kind="stable"), graph.tocoo()
    out = sparse.coo_matrix(
        (coo.data, (node[coo.row], node[coo.col])), shape=(len(order), len(order))
    ).tocsr()
    out.sort_indices()
    return out


def _save(graph: MeshGraph, path: Path) -> None:
    arrays = {"real": np.array(graph.real), "lmax": graph.lmax}
    for k, order in enumerate(graph.orders):
        arrays[f"order{k}"] = order
    for k, matrix in enumerate((*graph.adjacencies, graph.joints)):
        arrays |= {f"indptr{k}": matrix.indptr, f"indices{k}": matrix.indices, f"data{k}": matrix.data}
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]


def _load(path: Path) -> MeshGraph:
    arrays = read_npz(path, MAX_ELEMENTS)
    count = len(arrays["real"])
    matrices = tuple(
        sparse.csr_matrix(
            (arrays[f"data{k}"], arrays[f"indices{k}"], arrays[f"indptr{k}"]),
            shape=(len(arrays[f"indptr{k}"]) - 1,) * 2,
        )
        for k in range(count + 1)
    )
    orders = tuple(arrays[f"order{k}"] for k in range(count))
    return MeshGraph(orders, tuple(arrays["real"].tolist()), matrices[:-1], arrays["lmax"], matrices[-1])
