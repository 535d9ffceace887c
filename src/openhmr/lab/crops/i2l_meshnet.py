"""Boxes and image patches of the original I2L-MeshNet (Moon and Lee 2020), whose weights expect exactly this.

Boxes are ``[x, y, w, h]`` in pixels, angles degrees. Quirks of the original are kept and named where they
happen.
"""

from math import cos, pi, sin

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from openhmr.lab.crops.pose2mesh import solve_affine, widen
from openhmr.predict.person_crop import ENLARGE, PATCH


def crop_square(box: ArrayLike, image_hw: tuple[int, int], shift: bool = True) -> NDArray[np.float64] | None:
    """The square that is cut for an annotated ``box (4,)``: clipped to the picture, widened to a square and
    by :data:`ENLARGE`; ``None`` if empty.

    With ``shift`` a box that begins left of or above the picture is moved into it at full size, as the
    original does; without, it is clipped there too.
    """
    x, y, w, h = np.asarray(box, np.float64)
    x1, y1 = max(0.0, x), max(0.0, y)
    start_x, start_y = (x1, y1) if shift else (x, y)
    x2 = min(image_hw[1] - 1.0, start_x + max(0.0, w - 1))
    y2 = min(image_hw[0] - 1.0, start_y + max(0.0, h - 1))
    if not (w * h > 0 and x2 >= x1 and y2 >= y1):
        return None
    return widen(x1, y1, x2, y2, 1.0, ENLARGE)


def patch_affines(
    box: NDArray, scale: float = 1.0, rotation_deg: float = 0.0, mirrored_width: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Maps ``(2, 3)`` from image to patch pixels and back, for ``box (4,)`` enlarged by ``scale`` and turned.

    ``mirrored_width`` is the width of a picture whose columns are mirrored first, else 0; the maps then
    belong to the mirrored one. Each map is solved for itself from three points, as the original does.
    """
    x, y, w, h = np.asarray(box)
    centre_x, centre_y = x + 0.5 * w, y + 0.5 * h
    if mirrored_width:
        centre_x = mirrored_width - centre_x - 1
    w, h, r = w * scale, h * scale, pi * rotation_deg / 180
    src, dst = np.empty((3, 2), np.float32), np.full((3, 2), PATCH / 2, np.float32)
    src[0] = centre_x, centre_y
    src[1] = src[0] + np.array([-h / 2 * sin(r), h / 2 * cos(r)], np.float32)
    src[2] = src[0] + np.array([w / 2 * cos(r), w / 2 * sin(r)], np.float32)
    dst[1, 1] = dst[2, 0] = PATCH
    return solve_affine(src, dst).astype(np.float32), solve_affine(dst, src).astype(np.float32)


def cut_patch(image: NDArray, affine: NDArray, mirror: bool = False) -> NDArray[np.float32]:
    """The patch ``(256, 256, 3)`` of ``image (H, W, 3)``, in its range: bilinear, zero outside the picture.

    The maps of OpenCV 4 round sample positions to 1/32 pixel, those of OpenCV 5 do not; both are right.
    """
    source = np.ascontiguousarray(image[:, ::-1] if mirror else image, np.float32)
    patch = cv2.warpAffine(source, np.asarray(affine, np.float64), (PATCH, PATCH), flags=cv2.INTER_LINEAR)
    return np.asarray(patch, np.float32)


def apply_affine(affine: NDArray, points: NDArray) -> NDArray:
    """``points (..., 2+)`` with x, y mapped by ``affine (2, 3)``; further columns pass through."""
    xy = points[..., :2] @ affine[:, :2].T + affine[:, 2]
    return np.concatenate([xy, points[..., 2:]], axis=-1)
