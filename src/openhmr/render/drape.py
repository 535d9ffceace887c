"""How cloth and shoes lie on a body: what is drawn in place of the bare surface, so that no anatomy shows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.body import Body
from openhmr.geometry.mesh import vertex_normals
from openhmr.joints.smpl import SMPL

_NEIGHBOURS = 8
"""As many neighbours of a vertex are averaged; few have more."""

_CLOTH_M = 0.06
"""Cloth spans hollows narrower than about twice this, and its shading shows no relief finer than this."""

_SHOE_M = 0.02
"""Shoes show no toes, whose gaps are narrower than this."""

_SEAM_M = 0.03
"""From a shoe's upper edge downwards, the foot turns into the shoe over this length."""

_TIGHT = ("Knee", "Shoulder", "Elbow", "Wrist", "Hand", "Neck", "Head")
"""Sleeves and trouser legs, which move with these joints, are tight, so that elbows and knees stay sharp."""


@dataclass(frozen=True, eq=False)
class Drape:
    """``cloth (C,)`` are the vertices under cloth, ``neighbours (D,C)`` theirs (padded by themselves), and ``loose
    (C,1)`` in 0..1 says how freely the cloth hangs; ``rounds`` of averaging reach as far as cloth spans. ``shoes
    (S,)`` are the vertices in shoes, ``blend (S,S)`` averages over them, and ``puff (S,1)`` metres by ``fade (S,1)``
    in 0..1 is how far the shoe then stands out.
    """

    faces: NDArray[np.int32]
    cloth: NDArray[np.int64]
    neighbours: NDArray[np.int64]
    loose: NDArray[np.float32]
    rounds: int
    shoes: NDArray[np.int64]
    blend: NDArray[np.float32]
    puff: NDArray[np.float32]
    fade: NDArray[np.float32]

    def __call__(self, vertices: NDArray) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Vertices ``(V,3)`` as they are drawn and their unit normals ``(V,3)``, from ``vertices (V,3)`` of the body.

        Ours: cloth is pulled outwards, along the body's normals, to the mean of its neighbours wherever the body is
        hollow; a shoe is the envelope of the foot without its detail; the normals of the outcome are averaged over
        neighbours. Cloth lies within millimetres of the body.
        """
        out = vertices.astype(np.float32)
        normals = vertex_normals(out, self.faces)
        outward = normals[self.cloth]
        for _ in range(self.rounds):
            here = out[self.cloth]
            pull = np.einsum("cd,cd->c", self._mean(out) - here, outward)
            out[self.cloth] = here + outward * (np.maximum(pull, 0.4 * pull)[:, None] * self.loose)
        foot = out[self.shoes]
        shoe = self.blend @ foot + self.puff * _unit(self.blend @ normals[self.shoes])
        out[self.shoes] = foot + self.fade * (shoe - foot)
        normals = vertex_normals(out, self.faces)
        for _ in range(self.rounds):
            normals[self.cloth] = self._mean(normals)
        return out, _unit(normals)

    def _mean(self, values: NDArray) -> NDArray:
        """Means ``(C,3)`` over the neighbours of each vertex under cloth, of ``values (V,3)``."""
        return values.take(self.neighbours, axis=0).sum(0) / np.float32(len(self.neighbours))


def drape_over(body: Body, cloth: NDArray, shoe_depth: NDArray) -> Drape:
    """The drape of a body with SMPL's joints: over the vertices ``cloth (C,)``, with shoes over those that lie ``shoe_depth
    (V,)`` metres, more than 0, below the shoes' upper edge."""
    count, rest = body.num_vertices, body.v_template
    ends = np.concatenate([body.faces[:, [i, (i + k) % 3]] for i in range(3) for k in (1, 2)]).astype(np.int64)
    start, end = np.divmod(np.unique(ends[:, 0] * count + ends[:, 1]), count)
    valence = np.bincount(start, minlength=count)
    place = np.arange(len(start)) - np.repeat(np.cumsum(valence) - valence, valence)
    table = np.tile(np.arange(count), (_NEIGHBOURS, 1))
    kept = place < _NEIGHBOURS
    table[place[kept], start[kept]] = end[kept]
    rounds = (_CLOTH_M / np.linalg.norm(rest[start] - rest[end], axis=1).mean()) ** 2
    hanging = [j for j, name in enumerate(SMPL.names[: body.num_joints]) if name.split("_")[-1] not in _TIGHT]
    loose = body.weights[cloth][:, hanging].sum(1, keepdims=True)

    shoes = np.flatnonzero(shoe_depth > 0)
    foot, normals = rest[shoes], vertex_normals(rest, body.faces)[shoes]
    between = foot[:, None] - foot
    blend = np.exp(-0.5 * (between**2).sum(-1) / _SHOE_M**2)
    blend /= blend.sum(1, keepdims=True)
    # How far the farthest of the averaged points stands out of their average: an envelope holds them all.
    outward = _unit(blend @ normals)
    ahead = np.einsum("std,sd->st", foot - (blend @ foot)[:, None], outward)
    near = (between**2).sum(-1) < (2.0 * _SHOE_M) ** 2
    puff = blend @ np.where(near, ahead, 0).max(1, keepdims=True)
    fade = np.clip(shoe_depth[shoes, None] / _SEAM_M, 0, 1)
    single = (array.astype(np.float32) for array in (blend, puff, fade))
    return Drape(
        body.faces,
        cloth,
        np.ascontiguousarray(table[:, cloth]),
        loose,
        int(np.clip(np.rint(rounds), 1, 40)),
        shoes,
        *single,
    )


def _unit(x: NDArray) -> NDArray:
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)
