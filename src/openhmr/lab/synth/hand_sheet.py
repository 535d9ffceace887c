"""A picture of sampled hands, to look at what the sampler covers."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from openhmr.bodies.body import Body
from openhmr.bodies.skinning import skin
from openhmr.geometry.rotations import matrix_to_axis_angle
from openhmr.io.atomic import atomic_path
from openhmr.render.compose import over
from openhmr.render.scene import render

TILE, COLUMNS = 180, 8
DISTANCE_M, FOCAL = 0.6, 2.6
"""Of the cameras from the middles of the hands, and their focal length in tiles."""
UPRIGHT = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])
"""Camera axes from the right hand's: the fingers point up, and the palm looks at the camera."""


def hand_sheet(hand: Body, rotations: NDArray, path: str | Path, *, upright: bool = False) -> None:
    """Draw the open ``hand`` of mean shape in poses ``rotations (N,16,3,3)``, relative to the parent joint,
    eight in a row; ``upright`` with the palm to the camera, whatever the wrist's rotation."""
    rotations = np.array(rotations, np.float64)
    if upright:
        rotations[:, 0] = np.eye(3)
    vertices, _ = skin(hand, matrix_to_axis_angle(rotations), np.zeros(hand.num_betas))
    seen = vertices @ UPRIGHT.T
    middle = (seen.min(1) + seen.max(1)) / 2
    seen = seen - middle[:, None] + [0, 0, DISTANCE_M]
    K = np.array([[FOCAL * TILE, 0, (TILE - 1) / 2], [0, FOCAL * TILE, (TILE - 1) / 2], [0, 0, 1]])
    paper = np.full((TILE, TILE, 3), 255, np.uint8)
    tiles = [over(paper, render(one[None].astype(np.float32), hand, K, (TILE, TILE))) for one in seen]
    tiles += [paper] * (-len(tiles) % COLUMNS)
    rows = [np.concatenate(tiles[i : i + COLUMNS], 1) for i in range(0, len(tiles), COLUMNS)]
    with atomic_path(path) as temporary:
        Image.fromarray(np.concatenate(rows)).save(temporary, quality=88)
