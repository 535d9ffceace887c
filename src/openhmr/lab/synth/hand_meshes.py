"""Meshes about a rendered hand: the hand itself, its forearm and sleeve, rings, things that it holds, a head
behind. All ours, but for hand and head, which are those of the open bodies.

Frames are the open right hand's own unless a name says otherwise: wrist at the origin, fingers along -X, palm
down (-Y), thumb to +Z; metres.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from openhmr.bodies.body import Body
from openhmr.geometry.rotations import axis_angle_to_matrix

Texture = str | NDArray[np.uint8]
"""Name of a skin of the humans pack, or an image ``(h,w,3)`` sRGB."""

PLAIN = np.full((2, 2, 3), 255, np.uint8)
FOREARM_M = 0.7
"""Longer than any: a picture shall not show its end."""
RINGS = 24
BEND_M = 0.06
"""Along so much of the forearm the bend of the wrist is spread."""


@dataclass(frozen=True)
class Piece:
    """``vertices (N,3)`` metres with ``normals (N,3)``, ``uv (N,2)`` (v up), ``colour (N,3)`` that multiplies
    the texture (linear) and ``faces (F,3)``."""

    vertices: NDArray
    normals: NDArray
    uv: NDArray
    colour: NDArray
    faces: NDArray
    texture: Texture

    def moved(self, rotation: NDArray, translation: ArrayLike) -> "Piece":
        """``rotation @ x + translation`` of all points x."""
        return replace(
            self,
            vertices=self.vertices @ rotation.T + np.asarray(translation),
            normals=self.normals @ rotation.T,
        )


def vertex_normals(vertices: NDArray, faces: NDArray) -> NDArray:
    """Unit normals ``(N,3)``, weighted by area."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    flat = np.repeat(np.cross(b - a, c - a), 3, 0)
    out = np.stack([np.bincount(faces.ravel(), flat[:, k], len(vertices)) for k in range(3)], 1)
    return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12)


class SkinnedMesh:
    """The visible surface of a body at its render level: vertices split where texture points differ."""

    def __init__(self, body: Body, keep: NDArray | None = None) -> None:
        assert body.uv is not None and body.face_uv is not None
        self.body = body
        faces, face_uv = body.faces, body.face_uv
        if keep is not None:
            chosen = keep[faces].all(1)
            faces, face_uv = faces[chosen], face_uv[chosen]
        self.triangles = faces
        pairs, inverse = np.unique(np.stack([faces.ravel(), face_uv.ravel()], 1), axis=0, return_inverse=True)
        self.vertex, self.faces = pairs[:, 0], inverse.reshape(-1, 3)
        self.uv = body.uv[pairs[:, 1]]

    def piece(self, vertices: NDArray, texture: Texture, colour: ArrayLike) -> Piece:
        """Of the body's posed ``vertices (V,3)``."""
        normals = vertex_normals(vertices, self.triangles)[self.vertex]
        colours = np.broadcast_to(np.asarray(colour, float), (len(self.vertex), 3))
        return Piece(vertices[self.vertex], normals, self.uv, colours, self.faces, texture)

    @cached_property
    def border(self) -> NDArray[np.int64]:
        """Vertices ``(n,)`` of the body on the one open boundary, in order around +X."""
        edges = np.concatenate(
            [self.triangles[:, [0, 1]], self.triangles[:, [1, 2]], self.triangles[:, [2, 0]]]
        )
        _, inverse, count = np.unique(np.sort(edges, 1), axis=0, return_inverse=True, return_counts=True)
        ids = np.unique(edges[count[inverse.ravel()] == 1])
        at = self.body.v_template[ids]
        centre = at.mean(0)
        return ids[np.argsort(np.arctan2(at[:, 2] - centre[2], at[:, 1] - centre[1]))]

    @cached_property
    def border_points(self) -> NDArray[np.int64]:
        """One of the split vertices ``(n,)`` of each on the border."""
        first = {int(v): i for i, v in reversed(list(enumerate(self.vertex)))}
        return np.array([first[int(v)] for v in self.border])


@dataclass(frozen=True)
class Arm:
    """A forearm's middle line: points ``(RINGS,3)`` and the turn ``(RINGS,3,3)`` there, from the border of
    the hand on."""

    points: NDArray
    turns: NDArray
    along_m: NDArray

    @classmethod
    def bent(cls, start: NDArray, flexion: float, deviation: float) -> "Arm":
        """From ``start (3,)`` on, the wrist bent by so many radians."""
        along = np.linspace(0, 1, RINGS) ** 1.5 * FOREARM_M
        t = np.clip(along / BEND_M, 0, 1)
        share = t * t * (3 - 2 * t)
        turns = axis_angle_to_matrix(share[:, None] * np.array([0.0, deviation, flexion]))
        steps = np.diff(along)[:, None] * (turns[:-1] @ np.array([1.0, 0, 0]))
        points = start + np.concatenate([np.zeros((1, 3)), np.cumsum(steps, 0)])
        return cls(points, turns, along)

    def tube(
        self,
        outline: NDArray,
        grow: NDArray,
        begin: int,
        texture: Texture,
        colour: NDArray,
        uv_scale: tuple[float, float] = (1.0, 1.0),
    ) -> Piece:
        """The surface that the closed ``outline (n,3)`` (about its middle, across X) makes along the arm from
        ring ``begin`` on, scaled by ``grow (RINGS, n or 1)``; ``colour (RINGS, n or 1, 3)``."""
        rings = slice(begin, RINGS)
        around = np.concatenate([outline, outline[:1]])
        grow = np.broadcast_to(grow, (RINGS, len(outline)))
        grow = np.concatenate([grow, grow[:, :1]], 1)[rings]
        spread = np.einsum("rij,rnj->rni", self.turns[rings], around[None] * grow[..., None])
        vertices = (self.points[rings, None] + spread).reshape(-1, 3)
        count, rows = len(around), RINGS - begin
        faces = grid_faces(rows, count)
        colour = np.broadcast_to(colour, (RINGS, len(outline), 3))
        colour = np.concatenate([colour, colour[:, :1]], 1)[rings].reshape(-1, 3)
        u, v = np.meshgrid(np.linspace(0, uv_scale[0], count), self.along_m[rings] * uv_scale[1])
        normals = _closed(vertex_normals(vertices, faces).reshape(rows, count, 3))
        uv = np.stack([u.ravel(), v.ravel()], 1)
        return Piece(vertices, normals.reshape(-1, 3), uv, colour, faces, texture)


def grid_faces(rows: int, columns: int) -> NDArray[np.int64]:
    """Triangles of a grid of vertices, row by row."""
    i = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    quads = np.stack([i, i + 1, i + columns + 1, i + columns], 1)
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def lathe(radius: NDArray, height: NDArray, texture: Texture, segments: int = 24) -> Piece:
    """A surface of revolution about Z: ``radius (k,)`` at ``height (k,)``, rising."""
    angle = np.linspace(0, 2 * np.pi, segments + 1)
    x, y = radius[:, None] * np.cos(angle), radius[:, None] * np.sin(angle)
    z = np.broadcast_to(height[:, None], x.shape)
    vertices = np.stack([x, y, z], -1).reshape(-1, 3)
    faces = grid_faces(len(radius), segments + 1)
    normals = _closed(vertex_normals(vertices, faces).reshape(len(radius), segments + 1, 3))
    u, v = np.meshgrid(np.linspace(0, 1, segments + 1), np.linspace(0, 1, len(radius)))
    uv = np.stack([u.ravel(), v.ravel()], 1)
    return Piece(vertices, normals.reshape(-1, 3), uv, np.ones_like(vertices), faces, texture)


def _closed(normals: NDArray) -> NDArray:
    """Normals ``(rows,columns,3)`` of a grid whose first and last columns are the same points."""
    seam = normals[:, 0] + normals[:, -1]
    normals[:, [0, -1]] = (seam / np.linalg.norm(seam, axis=1, keepdims=True).clip(1e-9))[:, None]
    return normals


def cylinder(radius: float, length: float, texture: Texture) -> Piece:
    """With closed ends."""
    r, h = radius, length / 2
    return lathe(np.array([0, r, r, r, 0.0]), np.array([-h, -h * 0.999, 0, h * 0.999, h]), texture)


def ball(radii: ArrayLike, texture: Texture) -> Piece:
    """An ellipsoid of three ``radii``."""
    t = np.linspace(-np.pi / 2, np.pi / 2, 13)
    unit = lathe(np.cos(t), np.sin(t), texture)
    scaled = unit.vertices * np.asarray(radii)
    normals = unit.vertices / np.asarray(radii)
    return replace(
        unit, vertices=scaled, normals=normals / np.linalg.norm(normals, axis=1, keepdims=True).clip(1e-9)
    )


def box(sides: ArrayLike, texture: Texture) -> Piece:
    """A cuboid with flat faces."""
    vertices: list[NDArray] = []
    normals: list[NDArray] = []
    uv: list[NDArray] = []
    faces: list[list[int]] = []
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float)
    for axis in range(3):
        for sign in (-1.0, 1.0):
            corners = np.zeros((4, 3))
            corners[:, axis] = sign
            corners[:, (axis + 1) % 3], corners[:, (axis + 2) % 3] = square[:, 0] * sign, square[:, 1]
            start = 4 * len(vertices)
            faces += [[start, start + 1, start + 2], [start, start + 2, start + 3]]
            vertices.append(corners * np.asarray(sides) / 2)
            normals.append(np.eye(3)[[axis] * 4] * sign)
            uv.append((square + 1) / 2)
    points = np.concatenate(vertices)
    return Piece(
        points, np.concatenate(normals), np.concatenate(uv), np.ones_like(points), np.array(faces), texture
    )


def band(radius: float, width: float, thick: float, texture: Texture) -> Piece:
    """A ring about Z, such as one on a finger."""
    out, w = radius + thick, width / 2
    return lathe(np.array([radius, out, out, radius]), np.array([-w, -w * 0.8, w * 0.8, w]), texture)
