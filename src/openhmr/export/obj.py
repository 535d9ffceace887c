"""Wavefront OBJ."""

from pathlib import Path

import numpy as np

from openhmr.io.atomic import atomic_path
from openhmr.people import People

CAMERA_TO_Y_UP = np.array([1, -1, -1], np.float32)
"""Camera axes (x right, y down, z forward) to those of mesh files (x right, y up, z to the viewer): half a
turn about x."""


def write_obj(path: str | Path, people: People) -> None:
    """Write N people as the objects ``person_0`` ... of one file: metres, y up, the camera at the origin;
    atomic."""
    faces, count = people.faces + 1, people.vertices.shape[1]
    with atomic_path(path) as temporary, temporary.open("w", encoding="ascii", newline="\n") as file:
        file.write("# openhmr: metres, y up, camera at the origin\n")
        for i, vertices in enumerate(people.vertices):
            turned = vertices * CAMERA_TO_Y_UP
            file.write(f"o person_{i}\n")
            file.write("v %.5f %.5f %.5f\n" * count % tuple(turned.ravel().tolist()))
            file.write("f %d %d %d\n" * len(faces) % tuple((faces + i * count).ravel().tolist()))
