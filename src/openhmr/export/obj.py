"""Wavefront OBJ."""

from pathlib import Path

import numpy as np

from openhmr.io.atomic import atomic_path
from openhmr.predict.result import Result

CAMERA_TO_Y_UP = np.array([1, -1, -1], np.float32)
"""Camera axes (x right, y down, z forward) to those of mesh files (x right, y up, z to the viewer): half a
turn about x."""


def write_obj(path: str | Path, result: Result) -> None:
    """Write N people as the objects ``person_0`` ... of one file: metres, y up, the camera at the origin;
    atomic."""
    faces, count = result.faces + 1, result.vertices.shape[1]
    parts = ["# openhmr: metres, y up, camera at the origin\n"]
    for i, vertices in enumerate(result.vertices * CAMERA_TO_Y_UP):
        parts.append(f"o person_{i}\n")
        parts.append("v %.5f %.5f %.5f\n" * count % tuple(vertices.ravel().tolist()))
        parts.append("f %d %d %d\n" * len(faces) % tuple((faces + i * count).ravel().tolist()))
    with atomic_path(path) as temporary:
        temporary.write_text("".join(parts), encoding="ascii")
