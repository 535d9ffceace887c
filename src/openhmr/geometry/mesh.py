"""Normals and edges of triangle meshes."""

import numpy as np
from numpy.typing import NDArray


def vertex_normals(vertices: NDArray, faces: NDArray) -> NDArray:
    """Unit normals ``(V,3)`` of ``vertices (V,3)``: the area-weighted mean over the incident ``faces (F,3)``.

    They point to the side from which the corners run counter-clockwise; vertices without area get (0, 0, 0).
    """
    table, corners = np.ascontiguousarray(vertices.T), faces.T
    a, b, c = (table.take(corners[i], axis=1) for i in range(3))
    u, v = b - a, c - a
    area = np.stack([u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]])
    ids = corners.ravel()
    normals = np.stack([np.bincount(ids, np.tile(axis, 3), len(vertices)) for axis in area], -1)
    length = np.sqrt(np.einsum("vd,vd->v", normals, normals))[:, None]
    return (normals / np.maximum(length, 1e-20)).astype(vertices.dtype)


def edges(faces: NDArray) -> NDArray[np.int32]:
    """``(E,2)``: each edge of ``faces (F,3)`` once, the smaller vertex number first, sorted."""
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    return np.unique(np.sort(pairs, axis=1), axis=0).astype(np.int32)
