"""Body-model rotations from a mesh: every part turned onto its vertices in closed form, the network's
regressed ones as a prior (ours).

A regressor of rotations is right on what it was trained on and strays elsewhere; the lixel mesh is drawn from
the picture. So each part of the regressed body takes the turn that fits it best to the mesh (Kabsch 1976,
weighted by skinning weights and by how sure each vertex is), held back by a prior. A forearm's direction then
comes from the mesh, and its twist, of which a thin part's vertices tell little, from the regressor.
"""

import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.body import Body
from openhmr.bodies.skinning import local_rotations, world_rotations
from openhmr.predict.coarse_mesh import coarse_level

PRIOR = 0.1
"""Weight of the regressed rotation against the vertices of a part; measured on rendered validation
pictures."""
TINY = 1e-9
"""Leaves the regressed rotation where a part has no vertices."""
SIGMA_M = 0.03
"""Deviation of a vertex in metres above which its weight falls."""


class PoseFit:
    """Fits the pose of ``body`` to coarse meshes."""

    def __init__(self, body: Body) -> None:
        self._ids = coarse_level(body).vertex_ids
        self._weights, self._parents = body.weights[self._ids].T.astype(np.float64), np.asarray(body.parents)

    def __call__(
        self, mesh: NDArray, sigma: NDArray, skinned: NDArray, rotations: NDArray
    ) -> NDArray[np.float64]:
        """Local rotations ``(N,J,3,3)`` nearer to ``mesh`` than ``rotations (N,J,3,3)`` are.

        ``mesh, sigma (N,Vc,3)`` metres, of the level ``coarse``; ``skinned (N,V,3)`` is the body in
        ``rotations``, anywhere.
        """
        posed = skinned[:, self._ids].astype(np.float64)
        sure = 1 / (1 + (sigma.astype(np.float64) ** 2).mean(-1) / SIGMA_M**2)
        weight = self._weights * sure[:, None]  # (N,J,Vc)
        weight /= np.maximum(weight.sum(-1, keepdims=True), TINY)
        to, start = weight @ mesh, weight @ posed
        product = (mesh[..., :, None] * posed[..., None, :]).reshape(*posed.shape[:2], 9)
        spread = (weight @ product).reshape(*to.shape, 3) - to[..., None] * start[..., None, :]
        size = weight @ (posed**2).sum(-1, keepdims=True) - (start**2).sum(-1, keepdims=True)
        u, _, vt = np.linalg.svd(spread + (PRIOR * size + TINY)[..., None] * np.eye(3))
        u[..., 2] *= np.linalg.det(u @ vt)[..., None]
        world = world_rotations(rotations, self._parents)
        return local_rotations(u @ vt @ world, self._parents)
