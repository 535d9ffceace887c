"""The pictures of a frame as PNG."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openhmr.io.images import write_png
from openhmr.people import People
from openhmr.render.overlay import canvas_for, overlay_picture, pose2d_picture


def write_pose2d(path: Path, people: People, image: NDArray[np.uint8] | None) -> None:
    """The 2D poses over ``image``, or over a blank canvas."""
    write_png(path, pose2d_picture(people, canvas_for(people, image)))


def write_overlay(path: Path, people: People, image: NDArray[np.uint8] | None) -> None:
    """The meshes over ``image``, or over a blank canvas, with a view from the side."""
    write_png(path, overlay_picture(people, canvas_for(people, image)))
