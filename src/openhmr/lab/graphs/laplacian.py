"""Graph Laplacians of Pose2Mesh (docs/originals/pose2mesh.md, "Laplacians")."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import eigsh

DENSE = 64
"""Up to this many nodes the eigenvalues are computed densely; ARPACK needs a matrix larger than its Krylov
space."""


def normalized_laplacian(weights: sparse.csr_matrix) -> sparse.csr_matrix:
    """``I - S W S`` with ``S = diag(1/sqrt(degree))``, self loops counted; float64. A node without edges has
    1 on its diagonal."""
    degree = np.asarray(weights.sum(axis=0), np.float64).ravel() + 5e-324
    scale = sparse.diags(1 / np.sqrt(degree))
    out = (sparse.identity(weights.shape[0]) - scale @ weights @ scale).tocsr()
    out.sort_indices()
    return out


def largest_eigenvalue(laplacian: sparse.csr_matrix) -> float:
    """The eigenvalue of largest magnitude of a symmetric matrix, to about 1e-12."""
    if laplacian.shape[0] <= DENSE:
        return float(np.abs(np.linalg.eigvalsh(laplacian.toarray())).max())
    start = np.random.default_rng(0).standard_normal(laplacian.shape[0])
    return float(eigsh(laplacian, k=1, which="LM", v0=start, return_eigenvectors=False)[0])


def rescaled(laplacian: sparse.csr_matrix, lmax: float) -> sparse.csr_matrix:
    """``L / (2 lmax) - I``: what the original computes, though its text says ``2 L / lmax - I``."""
    return (laplacian / (2 * lmax) - sparse.identity(laplacian.shape[0])).tocsr()


def joint_adjacency(size: int, edges: tuple[tuple[int, int], ...]) -> sparse.csr_matrix:
    """``(J,J)``: undirected ``edges`` and the identity. Its Laplacian is used as it is, not
    rescaled."""
    adjacency: NDArray[np.float64] = np.identity(size)
    for i, j in edges:
        adjacency[i, j] = adjacency[j, i] = 1
    return sparse.csr_matrix(adjacency)
