"""Shoes: what is drawn in place of toes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openhmr.geometry.alignment import similarity_transform

_BEGIN, _SEAM_M = 0.35, 0.04
"""A stiff cap begins at this part of the way from the ankle to the tips of the toes, and is whole so far
on."""

_TOES = 24
"""Meshes with fewer vertices there have no toes to hide."""

_PLANES, _ROUND_M = 400, 0.006
"""Half spaces that make up its shape, and by how much it is rounded in shading."""


@dataclass(frozen=True, eq=False)
class ToeCap:
    """The front of a shoe: ``vertices (S,)`` of the body at ``rest (S,3)`` are drawn at ``cap (S,3)`` with
    ``normals (S,3)``, by ``fade (S,1)`` in 0..1."""

    vertices: NDArray[np.int64]
    rest: NDArray[np.float32]
    cap: NDArray[np.float32]
    normals: NDArray[np.float32]
    fade: NDArray[np.float32]

    def put_on(self, vertices: NDArray[np.float32]) -> NDArray[np.float32]:
        """Move those of a body's ``vertices (V,3)`` under the cap, in place; returns how the cap was turned,
        ``(3,3)``.
        """
        foot = vertices[self.vertices]
        scale, R, t = similarity_transform(self.rest, foot)
        vertices[self.vertices] = foot + self.fade * (scale * self.cap @ R.T + t - foot)
        return R

    def polish(self, normals: NDArray[np.float32], R: NDArray[np.float32]) -> None:
        """Give those of a body's ``normals (V,3)`` under the cap, turned by ``R``, its own: toes have folds
        below it."""
        own = normals[self.vertices]
        normals[self.vertices] = unit(own + self.fade * (self.normals @ R.T - own))


def toe_cap(rest: NDArray, shoe: NDArray, ankle: NDArray) -> ToeCap | None:
    """The cap over the front of the vertices ``shoe (S,)`` of a body's ``rest (V,3)`` pose, whose ``ankle
    (3,)`` it is: their convex hull, onto which they are moved straight away from its middle. None where
    the mesh has no toes.

    Ours: a hull as the intersection of half spaces in many directions needs no library, and is round enough.
    """
    front = rest[shoe, 2]
    begin = ankle[2] + _BEGIN * (front.max(initial=ankle[2]) - ankle[2])
    chosen = shoe[front > begin]
    points = rest[chosen].astype(np.float64)
    if len(points) < _TOES or np.ptp(points, axis=0).min() <= 0:
        return None
    middle = points.mean(0)
    away = unit(points - middle)
    at = np.arange(_PLANES) + 0.5
    up, turn = 1 - 2 * at / _PLANES, at * np.pi * (1 + 5**0.5)  # evenly over the sphere (Fibonacci)
    ring = np.sqrt(1 - up * up)
    planes = np.concatenate(
        [np.stack([ring * np.cos(turn), up, ring * np.sin(turn)], 1), np.eye(3), -np.eye(3)]
    )
    reach = ((points - middle) @ planes.T).max(0)
    slope = away @ planes.T
    lengths = reach / np.maximum(slope, 0.05)  # what faces away is far
    length = lengths.min(1, keepdims=True)
    normals = unit(np.exp((length - lengths) / _ROUND_M) @ planes)
    fade = np.clip((points[:, 2:] - begin) / _SEAM_M, 0, 1)
    single = (array.astype(np.float32) for array in (points, middle + away * length, normals, fade))
    return ToeCap(chosen, *single)


def unit(x: NDArray) -> NDArray:
    """``x (...,3)`` as unit vectors; zeros stay."""
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)
