"""Wavefront OBJ, one object a person."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openhmr.io.atomic import atomic_path

TO_Y_UP = np.array([1.0, -1.0, -1.0])
"""Camera axes (y down, z forward) to those of modelling programs (Y up, Z towards the viewer): half a turn about x."""


def write_obj(path: str | Path, vertices: NDArray, faces: NDArray) -> None:
    """Write ``vertices (N,V,3)`` metres, camera axes, as objects ``person_0`` .. in Y-up axes; faces are counter-clockwise."""
    lines = ["# openhmr: metres, Y up"]
    for i, mesh in enumerate(np.asarray(vertices, np.float64) * TO_Y_UP):
        lines.append(f"o person_{i}")
        lines += [f"v {x:.5f} {y:.5f} {z:.5f}" for x, y, z in mesh]
        lines += [f"f {a} {b} {c}" for a, b, c in faces + 1 + i * len(mesh)]
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n")
