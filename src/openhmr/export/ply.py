"""Binary PLY (Turk 1994, "The PLY Polygon File Format")."""

from pathlib import Path

import numpy as np

from openhmr.export.motion import person_ids
from openhmr.export.world import in_world
from openhmr.io.atomic import atomic_path
from openhmr.people import People
from openhmr.render.suit import suit_colours, suit_of

_VERTEX = np.dtype([("place", "<f4", 3), ("normal", "<f4", 3), ("colour", "u1", 3), ("person", "<i4")])
_FACE = np.dtype([("count", "u1"), ("corners", "<i4", 3)])
_HEAD = """ply
format binary_little_endian 1.0
comment openhmr: metres, y up, camera at the origin
element vertex {vertices}
property float x
property float y
property float z
property float nx
property float ny
property float nz
property uchar red
property uchar green
property uchar blue
property int person
element face {faces}
property list uchar int vertex_indices
end_header
"""


def write_ply(path: str | Path, people: People) -> None:
    """Write N people as one mesh with normals and the colours of a plain suit, metres, y up, the camera at
    the origin; ``person`` of a vertex is its track id, or number. Atomic."""
    count, total = people.vertices.shape[1], len(people)
    vertices = np.zeros((total, count), _VERTEX)
    suit = suit_of(people.body)
    ids = person_ids(people)
    for i, placed in enumerate(in_world(people.vertices, people.camera)):
        vertices[i]["place"] = placed
        vertices[i]["normal"] = suit.shape(placed)[1]
        vertices[i]["colour"] = np.rint(suit_colours(people.body, ids[i]) * 255)
        vertices[i]["person"] = ids[i]
    faces = np.zeros((total, len(people.faces)), _FACE)
    faces["count"] = 3
    faces["corners"] = people.faces + count * np.arange(total)[:, None, None]
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(_HEAD.format(vertices=vertices.size, faces=faces.size).encode("ascii"))
        file.write(vertices.tobytes())
        file.write(faces.tobytes())
