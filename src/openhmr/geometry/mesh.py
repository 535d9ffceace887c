"""Triangle meshes: normals."""

import numpy as np
from numpy.typing import NDArray


def vertex_normals(vertices: NDArray, faces: NDArray) -> NDArray:
    """Unit normals ``(...,V,3)``: area-weighted means of the normals of the faces around each vertex (counter-clockwise = out)."""
    corners = [vertices[..., faces[:, i], :] for i in range(3)]
    face_normals = np.cross(corners[1] - corners[0], corners[2] - corners[0])
    flat = face_normals.reshape(-1, *face_normals.shape[-2:])
    count = vertices.shape[-2]
    out = np.zeros((len(flat), count, 3))
    for body, normals in zip(out, flat, strict=True):
        for axis in range(3):
            weights = np.tile(normals[:, axis], 3)
            body[:, axis] = np.bincount(faces.T.reshape(-1), weights, count)
    out = out.reshape(vertices.shape)
    return out / np.maximum(np.linalg.norm(out, axis=-1, keepdims=True), 1e-20)
