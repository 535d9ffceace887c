"""What people wear in pictures and mesh files: a plain fitted suit (long sleeves, long trousers, shoes), so
that nobody is shown unclothed."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.body import Body
from openhmr.geometry.mesh import vertex_normals
from openhmr.joints.smpl import SMPL, SMPL_PARENTS
from openhmr.render.drape import Drape, drape_over

SHIRTS = (
    (0.40, 0.52, 0.70),
    (0.78, 0.51, 0.41),
    (0.45, 0.62, 0.45),
    (0.63, 0.48, 0.70),
    (0.80, 0.67, 0.38),
    (0.28, 0.62, 0.58),
)
"""Shirt colours (sRGB, 0..1), one a person, in turn: blue, clay, sage, mauve, sand, teal."""

SHOES, BARE = (0.27, 0.275, 0.29), (0.66, 0.655, 0.65)
"""Shoes; head and hands (grey: nobody's skin)."""

PLAIN = tuple(tuple(0.72 * channel + 0.28 * 0.6 for channel in shirt) for shirt in SHIRTS)
"""Greyer shirt colours: whole bodies that no suit is known for, such as hands."""

_TREE = 22
"""Joints that SMPL, SMPL+H and SMPL-X share; their parents tell such a body."""

_COVERED = ("Pelvis", "Hip", "Torso", "Spine", "Knee", "Ankle", "Toe", "Shoulder")
"""What moves with these joints is never bare, whatever the body's shape."""


@dataclass(frozen=True, eq=False)
class Suit:
    """Where a body wears what.

    ``edges (3,V)``: metres in the rest pose by which each vertex lies inside of trousers, of shoes, and of
    what stays bare (negative: outside; the shirt is the rest); ``drape`` says how it lies. Both None: the
    body is plain.
    """

    faces: NDArray[np.int32]
    edges: NDArray[np.float32] | None = None
    drape: Drape | None = None

    def shape(self, vertices: NDArray) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Vertices ``(V,3)`` as they are drawn and their unit normals ``(V,3)``, from ``vertices (V,3)`` of
        the body."""
        if self.drape is None:
            single = vertices.astype(np.float32)
            return single, vertex_normals(single, self.faces)
        return self.drape(vertices)

    def colours(self, person: int, edges: NDArray | None) -> NDArray[np.float32]:
        """sRGB colours ``(P,3)`` in 0..1 of points with these values ``(3,P)`` of :attr:`edges`; ``(1,3)`` if
        plain."""
        shirt = np.array(SHIRTS[person % len(SHIRTS)], np.float32)
        if edges is None:
            return np.array(PLAIN[person % len(PLAIN)], np.float32)[None]
        worn = np.zeros(edges.shape[1], np.int64)
        for k, edge in enumerate(edges, start=1):
            worn[edge > 0] = k
        return np.array([shirt, 0.12 + 0.38 * shirt, SHOES, BARE], np.float32).take(worn, axis=0)


def suit_colours(body: Body, person: int) -> NDArray[np.float32]:
    """sRGB colours ``(V,3)`` in 0..1 of the suit of the ``person``-th person, one a vertex: two muted tones
    in each person's hue, grey head and hands. Bodies without SMPL's tree of joints are plain."""
    suit = suit_of(body)
    return np.broadcast_to(suit.colours(person, suit.edges), (body.num_vertices, 3)).copy()


@lru_cache(maxsize=8)
def suit_of(body: Body) -> Suit:
    """The suit that fits ``body``, from its weights in the rest pose; none (plain) if its tree of
    joints does not begin as SMPL's."""
    if tuple(body.parents[:_TREE]) != SMPL_PARENTS[:_TREE]:
        return Suit(body.faces)
    rest = body.v_template
    at = {name: _joint(body, j) for j, name in enumerate(SMPL.names[1:_TREE], start=1)}
    height, front = rest[:, 1], rest[:, 2]
    bare = height - at["Neck"][1] + 0.75 * (front - at["Neck"][2])  # a round neck is lower in front
    for side in ("L", "R"):
        wrist, elbow = at[f"{side}_Wrist"], at[f"{side}_Elbow"]
        forearm = wrist - elbow
        bare = np.maximum(bare, (rest - wrist) @ forearm / max(np.linalg.norm(forearm), 1e-6))
    covered = [j for j, name in enumerate(SMPL.names[:_TREE]) if name.split("_")[-1] in _COVERED]
    inside = body.weights[:, covered].sum(1) > 0.5
    bare[inside] = np.minimum(bare[inside], -0.01)
    waist = 0.8 * at["Torso"][1] + 0.2 * at["L_Hip"][1]
    ankles = np.stack([at["L_Ankle"], at["R_Ankle"]])
    ankle = ankles[:, 1].mean() - 0.014
    drape = drape_over(body, np.flatnonzero(bare < 0), height < ankle, ankles)
    edges = np.stack([waist - height, ankle - height, bare])
    return Suit(body.faces, edges.astype(np.float32), drape)


def _joint(body: Body, joint: int) -> NDArray[np.float32]:
    """Where a joint is in the rest pose: amid the vertices that it moves together with its parent.
    (Regressors hold for whole meshes only; weights hold for reduced ones as well.)"""
    own, parent = body.weights[:, joint], body.weights[:, body.parents[joint]]
    shared = own * parent + 1e-6 * own + 1e-12
    return shared @ body.v_template / shared.sum()
