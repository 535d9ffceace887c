"""Heavy-edge coarsening of a mesh graph into a binary tree of clusters, as Pose2Mesh does it, quirks
included.

Source: docs/originals/pose2mesh.md, "Graph coarsening" (after Graclus; Dhillon, Guan, Kulis 2007; Defferrard
et al. 2016). A checkpoint's weights are tied to the node order found here, so every tie and every quirk of
the original is kept.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from openhmr.errors import InputError
from openhmr.lab.graphs.introsort import introsort_indices

Ints = NDArray[np.int64]


def mesh_adjacency(faces: NDArray[np.integer]) -> sparse.csr_matrix:
    """Symmetric ``(V,V)`` adjacency of ``faces (T,3)``, 0 or 1 on a manifold mesh, V = the largest index + 1.

    Edges used by n > 1 faces in one direction count n - 1. Raises :class:`InputError` if a vertex
    is in no face.
    """
    faces = np.asarray(faces)
    if faces.ndim != 2 or faces.shape[1] != 3 or len(faces) == 0 or faces.min() < 0:
        raise InputError(
            f"faces have shape {faces.shape}; a mesh graph needs (T, 3) non-negative vertex indices: pass "
            f"triangles"
        )
    count = int(faces.max()) + 1
    unused = np.flatnonzero(np.bincount(faces.ravel(), minlength=count) == 0)
    if len(unused):
        raise InputError(
            f"{len(unused)} of {count} vertices are in no face (the first is {unused[0]}); a mesh graph "
            f"needs every vertex in one: "
            "remove the isolated vertices"
        )
    rows, cols = faces[:, [0, 1, 0]].ravel(), faces[:, [1, 2, 2]].ravel()
    directed = sparse.coo_matrix((np.ones(len(rows)), (rows, cols)), shape=(count, count)).tocsr()
    directed.data[directed.data > 1] -= 1
    return directed.maximum(directed.T).tocsr()


def match(weights: sparse.csr_matrix, degree: NDArray[np.float64]) -> Ints:
    """Pair each node with its best unpaired neighbour: the cluster of every node, numbered in visiting
    order."""
    weights.sort_indices()
    order = introsort_indices(np.asarray(weights.sum(axis=0)).ravel().tolist())
    count = weights.shape[0]
    start, length = weights.indptr[:-1].tolist(), np.diff(weights.indptr)
    if count > 1:
        # The original's row table is off by one at both ends: row 0 also sees the next row's first entry, and
        # the last row misses its last one.
        length[0] += 1
        length[-1] -= 1
    lengths, cols, values, d = (
        length.tolist(),
        weights.indices.tolist(),
        weights.data.tolist(),
        degree.tolist(),
    )
    # Likewise the original's: the first stored value of a row stands where the self loop was meant.
    first = [values[s] for s in start]
    cluster, clusters = [-1] * count, 0
    for node in order:
        if cluster[node] >= 0:
            continue
        cluster[node] = clusters
        best, best_score = -1, 0.0
        for p in range(start[node], start[node] + lengths[node]):
            other = cols[p]
            if cluster[other] < 0:
                score = (2 * values[p] + first[node] + first[other]) / (d[node] + d[other] + 1e-9)
                if score > best_score:
                    best, best_score = other, score
        if best >= 0:
            cluster[best] = clusters
        clusters += 1
    return np.array(cluster)


def merge(weights: sparse.csr_matrix, cluster: Ints) -> sparse.csr_matrix:
    """The graph of the clusters: weights between (and within, as self loops) clusters are summed."""
    count, coo = int(cluster.max()) + 1, weights.tocoo()
    merged = sparse.coo_matrix((coo.data, (cluster[coo.row], cluster[coo.col])), shape=(count, count)).tocsr()
    merged.eliminate_zeros()
    return merged


def coarsen(weights: sparse.csr_matrix, levels: int) -> tuple[list[sparse.csr_matrix], list[Ints]]:
    """Graphs 0..levels, fine to coarse, and the ``levels`` vectors that lead from each node to its
    cluster."""
    graphs, parents = [weights], []
    degree = np.asarray(weights.sum(axis=1)).ravel() - weights.diagonal()
    for _ in range(levels):
        parents.append(match(graphs[-1], degree))
        graphs.append(merge(graphs[-1], parents[-1]))
        degree = np.asarray(graphs[-1].sum(axis=1)).ravel()
    return graphs, parents


def tree_order(parents: list[Ints]) -> list[Ints]:
    """Orders of the nodes of each graph, fine to coarse, such that nodes 2n and 2n+1 are the children of node
    n.

    Where a cluster has one node or none, fake ids (from the real count upwards) fill the pair.
    """
    orders = [np.arange(int(parents[-1].max()) + 1)]
    for parent in reversed(parents):
        sequence = np.argsort(parent, kind="stable")
        offsets = np.concatenate([[0], np.cumsum(np.bincount(parent))])
        fake = len(parent)
        fine: list[int] = []
        for p in orders[-1].tolist():
            children = sequence[offsets[p] : offsets[p + 1]].tolist() if p < len(offsets) - 1 else []
            missing = 2 - len(children)
            fine += children + list(range(fake, fake + missing))
            fake += missing
        orders.append(np.array(fine))
    return orders[::-1]
