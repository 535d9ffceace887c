"""Contact sheets: what was predicted in many pictures, to look at."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from openhmr.io.atomic import atomic_path
from openhmr.people import People
from openhmr.predict.person_crop import cut
from openhmr.render.compose import over
from openhmr.render.scene import render

TILE, COLUMNS, TILES = 240, 4, 48
"""Pixels of a tile's side, tiles in a row, and tiles of a sheet."""


def tile(image: NDArray[np.uint8], people: People) -> NDArray[np.uint8]:
    """``(TILE, 2 TILE, 3)``: the picture around the people, and the same with their meshes over it."""
    xy = people.camera.project(people.vertices).reshape(-1, 2)
    middle, side = (xy.min(0) + xy.max(0)) / 2, 1.2 * float(np.ptp(xy, axis=0).max())
    zoom = TILE / side
    # A picture's pixel (x, y) lies at zoom ((x, y) - middle) from the tile's middle, (TILE - 1) / 2.
    shift = (TILE - 1) / 2 - zoom * middle
    affine = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]], [0, 0, 1]])
    part = np.rint(cut(image, np.array([[*middle, side]]), TILE)[0].transpose(1, 2, 0) * 255).astype(np.uint8)
    layer = render(people.vertices, people.body, affine @ people.camera.K, (TILE, TILE))
    return np.concatenate([part, over(part, layer)], 1)


def write_sheet(tiles: list[NDArray[np.uint8]], path: Path) -> None:
    """Tiles in rows, as JPEG or PNG by the ending of ``path``."""
    blank = np.full_like(tiles[0], 255)
    tiles = tiles + [blank] * (-len(tiles) % COLUMNS)
    sheet = np.concatenate([np.concatenate(tiles[i : i + COLUMNS], 1) for i in range(0, len(tiles), COLUMNS)])
    with atomic_path(path) as temporary:
        Image.fromarray(sheet).save(temporary, quality=85)
