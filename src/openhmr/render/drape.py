"""How cloth and shoes lie on a body: what is drawn in place of the bare surface, so that no anatomy shows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.body import Body
from openhmr.geometry.mesh import vertex_normals
from openhmr.joints.smpl import SMPL
from openhmr.render.shoes import ToeCap, toe_cap, unit

_NEIGHBOURS = 8
"""As many neighbours of a vertex are averaged; few have more."""

_CLOTH_M = 0.06
"""Cloth spans hollows narrower than about twice this, and its shading shows no relief finer than this."""

_TIGHT = ("Knee", "Shoulder", "Elbow", "Wrist", "Hand", "Neck", "Head")
"""Sleeves and trouser legs, which move with these joints, are tight, so that elbows and knees stay sharp."""


@dataclass(frozen=True, eq=False)
class Drape:
    """``cloth (C,)`` are the vertices under cloth, ``neighbours (D,C)`` theirs (padded by themselves), and
    ``loose (C,1)`` in 0..1 says how freely the cloth hangs; ``rounds`` of averaging reach as far as cloth
    spans.
    """

    faces: NDArray[np.int32]
    cloth: NDArray[np.int64]
    neighbours: NDArray[np.int64]
    loose: NDArray[np.float32]
    rounds: int
    caps: tuple[ToeCap, ...]

    def __call__(self, vertices: NDArray) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Vertices ``(V,3)`` as they are drawn and their unit normals ``(V,3)``, from ``vertices (V,3)`` of
        the body.

        Ours: cloth is pulled outwards, along the body's normals, to the mean of its neighbours wherever the
        body is hollow; the front of a shoe is the convex hull of the toes; the normals of the outcome are
        averaged over neighbours. Cloth lies within 1.5 cm of the body.
        """
        out = vertices.astype(np.float32)
        normals = vertex_normals(out, self.faces)
        outward = normals[self.cloth]
        for _ in range(self.rounds):
            here = out.take(self.cloth, axis=0)
            pull = np.einsum("cd,cd->c", self._mean(out) - here, outward)
            out[self.cloth] = here + outward * (np.maximum(pull, 0.4 * pull)[:, None] * self.loose)
        turns = [cap.put_on(out) for cap in self.caps]
        normals = vertex_normals(out, self.faces)
        for _ in range(self.rounds):
            normals[self.cloth] = self._mean(normals)
        normals = unit(normals)
        for cap, R in zip(self.caps, turns, strict=True):
            cap.polish(normals, R)
        return out, normals

    def _mean(self, values: NDArray) -> NDArray:
        """Means ``(C,3)`` over the neighbours of each vertex under cloth, of ``values (V,3)``."""
        return values.take(self.neighbours, axis=0).sum(0) / np.float32(len(self.neighbours))


def drape_over(body: Body, cloth: NDArray, in_shoes: NDArray, ankles: NDArray) -> Drape:
    """The drape of a body with SMPL's joints: over the vertices ``cloth (C,)``, with shoes over those marked
    ``in_shoes (V,)``, below ``ankles (2,3)``."""
    count, rest = body.num_vertices, body.v_template
    ends = np.concatenate([body.faces[:, [i, (i + k) % 3]] for i in range(3) for k in (1, 2)]).astype(int)
    start, end = np.divmod(np.unique(ends[:, 0] * count + ends[:, 1]), count)
    valence = np.bincount(start, minlength=count)
    place = np.arange(len(start)) - np.repeat(np.cumsum(valence) - valence, valence)
    table = np.tile(np.arange(count), (_NEIGHBOURS, 1))
    kept = place < _NEIGHBOURS
    table[place[kept], start[kept]] = end[kept]
    edge = np.linalg.norm(rest[start] - rest[end], axis=1).mean()
    rounds = (_CLOTH_M / max(edge, 1e-3)) ** 2
    hanging = [j for j, name in enumerate(SMPL.names[: body.num_joints]) if name.split("_")[-1] not in _TIGHT]
    loose = body.weights[cloth][:, hanging].sum(1, keepdims=True)
    feet = [np.flatnonzero(in_shoes & (rest[:, 0] * ankle[0] > 0)) for ankle in ankles]
    caps = [toe_cap(rest, foot, ankle) for foot, ankle in zip(feet, ankles, strict=True)]
    return Drape(
        body.faces,
        cloth,
        np.ascontiguousarray(table[:, cloth]),
        loose,
        int(np.clip(np.rint(rounds), 1, 40)),
        tuple(cap for cap in caps if cap is not None),
    )
