"""Constant sparse matrices of the mesh network, and the choice of the graph nodes that need computing at all.

Pose2Mesh pads its graphs with fake nodes, almost half of all. They are isolated, so a fake node's features
depend on its parent's alone, and both fake children of a fake parent are equal for ever: one node, counted
twice, stands for them (ours; exact).
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional as F

from openhmr.lab.graphs.mesh_graph import MeshGraph

ORDER = 3
"""Chebyshev terms T0, T1, T2."""


@dataclass(frozen=True)
class Selection:
    """The nodes of one graph that are computed.

    ``nodes (n,)`` into the padded graph; ``counts (n,)`` how many padded nodes each stands for; ``expand
    (N,)`` for each padded node its place in ``nodes``, or -1.
    """

    nodes: NDArray[np.int64]
    counts: NDArray[np.int64]
    expand: NDArray[np.int64]


def select_nodes(graph: MeshGraph, fakes: bool) -> list[Selection]:
    """Selections for the mesh graphs that the network keeps (0..levels-2), fine to coarse.

    Without ``fakes``, the real nodes only: enough where batch statistics do not matter. With them, one node
    of each set of equals.
    """
    selections: list[Selection] = []
    parent_real: NDArray[np.bool_] | None = None
    parent_kept = parent_counts = parent_first = np.zeros(0, np.int64)
    for k in reversed(range(graph.levels - 1)):
        size = len(graph.orders[k])
        real, own, parent = graph.orders[k] < graph.real[k], np.arange(size), np.arange(size) // 2
        kept, counts, first = np.ones(size, np.int64), np.ones(size, np.int64), own
        if parent_real is not None:
            twin = ~real & ~parent_real[parent]
            kept = np.where(twin, parent_kept[parent] * (own % 2 == 0), 1)
            counts = np.where(twin, 2 * parent_counts[parent], 1)
            first = np.where(twin, 2 * parent_first[parent], own)
        parent_real, parent_kept, parent_counts, parent_first = real, kept, counts, first
        nodes = np.flatnonzero(kept if fakes else real)
        place = np.full(size, -1)
        place[nodes] = np.arange(len(nodes))
        selections.append(Selection(nodes, counts[nodes], place[first]))
    return selections[::-1]


def chebyshev(laplacian: sparse.csr_matrix) -> list[sparse.csr_matrix]:
    """``T0, T1, T2`` of a Laplacian, float64."""
    identity = sparse.identity(laplacian.shape[0], format="csr")
    return [identity, laplacian, 2 * laplacian @ laplacian - identity]


class SparseMatrix(nn.Module):
    """A constant sparse matrix ``(m,n)`` that is differentiated through, never by.

    Products run as ``embedding_bag``, three to ten times as fast on a CPU as PyTorch's sparse matrices, and
    sample by sample, since one sample's features fit into the cache (measured). The tables are buffers
    outside the state_dict.
    """

    indices: Tensor
    offsets: Tensor
    values: Tensor
    indices_t: Tensor
    offsets_t: Tensor
    values_t: Tensor

    def __init__(self, matrix: sparse.csr_matrix) -> None:
        super().__init__()
        for name, m in (("", matrix.tocsr()), ("_t", matrix.T.tocsr())):
            self.register_buffer(
                "indices" + name, torch.as_tensor(m.indices.astype(np.int32)), persistent=False
            )
            self.register_buffer(
                "offsets" + name, torch.as_tensor(m.indptr[:-1].astype(np.int32)), persistent=False
            )
            self.register_buffer(
                "values" + name, torch.as_tensor(m.data, dtype=torch.get_default_dtype()), persistent=False
            )

    def product(self, x: Tensor) -> Tensor:
        """``A x`` of ``x (B,n,d)``, without a gradient."""
        return _bags(self.indices, self.offsets, self.values, x)

    def transposed_product(self, x: Tensor) -> Tensor:
        """``A' x`` of ``x (B,m,d)``, without a gradient."""
        return _bags(self.indices_t, self.offsets_t, self.values_t, x)


def _bags(indices: Tensor, offsets: Tensor, values: Tensor, x: Tensor) -> Tensor:
    if len(x) == 1:
        return F.embedding_bag(indices, x[0], offsets, mode="sum", per_sample_weights=values)[None]
    out = x.new_empty(len(x), len(offsets), x.shape[2])
    for source, target in zip(x, out, strict=True):
        target.copy_(F.embedding_bag(indices, source, offsets, mode="sum", per_sample_weights=values))
    return out


def _interleave(terms: list[sparse.csr_matrix]) -> sparse.csr_matrix:
    """``[T0 T1 T2]`` with the columns of one node side by side, as one matrix product lays out its terms."""
    order = np.arange(ORDER * terms[0].shape[1]).reshape(ORDER, -1).T.ravel()
    return sparse.hstack(terms).tocsr()[:, order]


class GraphLevel(nn.Module):
    """What the network needs of one graph, over its selected nodes.

    ``conv`` carries the three Chebyshev terms of this graph's features ``(3n, d)``, node by node, to their
    sum ``(n, d)``; ``conv_up`` does so from the next coarser graph's features, copied to their children on
    the way, and ``up`` copies alone. ``counts (n,)`` is how many padded nodes each node stands for.
    """

    counts: Tensor
    conv: SparseMatrix
    conv_up: SparseMatrix
    up: SparseMatrix

    def __init__(self, laplacian: sparse.csr_matrix, selection: Selection, coarser: Selection | None) -> None:
        super().__init__()
        nodes = selection.nodes
        terms = chebyshev(laplacian[nodes][:, nodes].tocsr())
        self.register_buffer(
            "counts", torch.as_tensor(selection.counts, dtype=torch.get_default_dtype()), persistent=False
        )
        self.conv = SparseMatrix(_interleave(terms))
        if coarser is not None:
            parents = coarser.expand[nodes // 2]
            ones, rows = np.ones(len(nodes)), np.arange(len(nodes))
            up = sparse.csr_matrix((ones, (rows, parents)), shape=(len(nodes), len(coarser.nodes)))
            self.conv_up = SparseMatrix(_interleave([t @ up for t in terms]))
            self.up = SparseMatrix(up)


def graph_levels(graph: MeshGraph, fakes: bool) -> list[GraphLevel]:
    """The network's graphs from coarse to fine: the joints, then the mesh graphs levels-2..0."""
    selections = select_nodes(graph, fakes)
    every = np.arange(graph.joints.shape[0])
    levels = [GraphLevel(graph.laplacians[-1], Selection(every, np.ones_like(every), every), None)]
    coarser = None
    for k in reversed(range(graph.levels - 1)):
        levels.append(GraphLevel(graph.laplacians[k], selections[k], coarser))
        coarser = selections[k]
    return levels
