"""The pictures of a frame as PNG."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openhmr.io.images import write_png
from openhmr.people import People
from openhmr.render.overlay import Canvas, canvas_for, overlay_picture, pose2d_picture


@dataclass(frozen=True, eq=False)
class Shown:
    """The ``people`` that meshes and pictures of a frame show, over its ``image`` or over blank paper."""

    people: People
    image: NDArray[np.uint8] | None

    @cached_property
    def canvas(self) -> Canvas:
        """What the pictures are drawn on: prepared once, since large photographs are scaled down."""
        return canvas_for(self.people, self.image)


def write_pose2d(path: Path, shown: Shown) -> None:
    """The 2D poses."""
    write_png(path, pose2d_picture(shown.people, shown.canvas))


def write_overlay(path: Path, shown: Shown) -> None:
    """The meshes, with a view from the side."""
    write_png(path, overlay_picture(shown.people, shown.canvas))
