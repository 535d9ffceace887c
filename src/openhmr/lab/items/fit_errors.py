"""How far a fitted body lies from a data set's own joints, by which Pose2Mesh masks samples.

Source: docs/originals/pose2mesh.md, "Data sets".
"""

import numpy as np
from numpy.typing import NDArray

from openhmr.joints import HUMAN36, MUCO
from openhmr.lab.crops.i2l_meshnet import apply_affine
from openhmr.lab.crops.pose2mesh import crop_affine, widened_box

FRAME_PX = 64
LIMITS = {"Human36M": 25.0, "MuCo": 45.0, "COCO": 3.0}
"""Largest error that counts as a fit: mm, mm, pixels of a 64 x 64 frame."""

MUCO_ROWS = [(row, MUCO.names.index(name)) for row, name in enumerate(HUMAN36.names) if name in MUCO.names]
"""(human36, MuCo) rows of the 14 joints that both have."""


def centred_error(a: NDArray, b: NDArray) -> float:
    """Mean distance of ``a, b (J,3)`` after their centroids are laid on each other."""
    return float(np.linalg.norm((a - a.mean(0)) - (b - b.mean(0)), axis=1).mean())


def muco_error(fitted: NDArray, annotated: NDArray) -> float:
    """:func:`centred_error` over the joints that both sets have, of ``fitted (17,3)`` in the order of
    human36.

    ``annotated`` has MuCo's 21 rows. The original passes human36's 17 joints for them too (so that a perfect
    fit of a person is hundreds of millimetres off).
    """
    rows, others = (list(r) for r in zip(*MUCO_ROWS, strict=True))
    return centred_error(fitted[rows], annotated[others])


def pixel_error(box: NDArray, annotated: NDArray, fitted: NDArray, visible: NDArray) -> float:
    """Mean distance of ``annotated, fitted (J,2)`` pixels in a 64 x 64 frame around the tight ``box (4,)``;
    nan if none is visible."""
    chosen = np.asarray(visible, bool).reshape(-1)
    square = widened_box(box, aspect=1.0)
    if square is None or not chosen.any():
        return float("nan")
    affine = crop_affine(square, 0, (FRAME_PX, FRAME_PX))
    difference = apply_affine(affine, annotated[:, :2]) - apply_affine(affine, fitted[:, :2])
    return float(np.linalg.norm(difference, axis=1)[chosen].mean())
