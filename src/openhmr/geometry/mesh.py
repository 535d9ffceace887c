"""Normals of triangle meshes."""

import numpy as np
from numpy.typing import NDArray


def vertex_normals(vertices: NDArray, faces: NDArray) -> NDArray:
    """Unit normals ``(V,3)`` of ``vertices (V,3)``: the area-weighted mean over the incident ``faces (F,3)``.

    They point to the side from which the corners run counter-clockwise; vertices without area get (0, 0, 0).
    """
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    corner = np.repeat(np.cross(b - a, c - a), 3, axis=0)
    ids = faces.reshape(-1)
    normals = np.stack([np.bincount(ids, corner[:, axis], len(vertices)) for axis in range(3)], -1)
    return (normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-20)).astype(
        vertices.dtype
    )
