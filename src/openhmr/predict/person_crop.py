"""Square crops around people, and the virtual camera that looks at each.

As in the original I2L-MeshNet the crop is the box made square about its centre and widened by 1.25; unlike
there (which shifts a box that sticks out of the picture) it stays where it is, and what lies outside is black
(ours).
"""

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from openhmr.camera import Camera
from openhmr.errors import InputError
from openhmr.geometry.pinhole import gaze_rotation
from openhmr.predict.upright import rolled, rolled_cameras

PATCH, LIXELS = 256, 64
"""Sides of the crop and of the lixel grid: a lixel is four pixels wide."""
DEPTH_M = 2.0
"""What the 64 lixels of depth span, about the pelvis."""
ENLARGE = 1.25
MAX_BOXES = 100
MIN_SIDE_PX = 2.0
LARGEST_BOX = 4.0
"""Of the picture's longer side: a person who fills a larger box lies almost wholly outside the picture."""


def check_boxes(boxes: ArrayLike, image_size: tuple[int, int]) -> NDArray[np.float64]:
    """Boxes ``(N,4)`` x, y, width, height in pixels from ``(4,)`` or ``(N,4)`` numbers; N may be 0.

    They may stick out of the picture. Raises :class:`InputError` for other shapes, empty boxes, and boxes
    wholly outside.
    """
    try:
        out = np.asarray(boxes)
    except ValueError:  # rows of different lengths
        out = np.asarray("")
    if (
        out.dtype.kind not in "iuf"
        or out.ndim not in (1, 2)
        or out.shape[-1] != 4
        or np.atleast_2d(out).shape[0] > MAX_BOXES
    ):
        given = f"of shape {out.shape}" if out.dtype.kind in "iuf" else f"of type {out.dtype}"
        raise InputError(
            f"boxes are an array {given}; needed are up to {MAX_BOXES} rows of x, y, width, height in pixels"
        )
    out = np.atleast_2d(out).astype(np.float64)
    height, width = image_size
    largest = LARGEST_BOX * max(image_size)
    for x, y, w, h in out:
        name = f"box {x:g},{y:g},{w:g},{h:g}"
        if not np.isfinite([x, y, w, h]).all() or min(w, h) < MIN_SIDE_PX or max(w, h) > largest:
            allowed = f"width and height must be {MIN_SIDE_PX:g} to {largest:,.0f} pixels in this picture"
            raise InputError(f"{name} is not usable; {allowed}: give x,y,width,height of a person")
        if min(x + w, width) - max(x, 0) < 1 or min(y + h, height) - max(y, 0) < 1:
            raise InputError(
                f"{name} lies outside the picture of {width} x {height} pixels; give a box around a person "
                f"in it"
            )
    return out


def squares(boxes: NDArray) -> NDArray[np.float64]:
    """Crops ``(N,3)`` as centre x, y and side in pixels, from boxes ``(N,4)``."""
    return np.concatenate([boxes[:, :2] + boxes[:, 2:] / 2, boxes[:, 2:].max(1, keepdims=True) * ENLARGE], 1)


def cut(
    image: NDArray[np.uint8], crops: NDArray, patch_px: int = PATCH, rolls: NDArray | None = None
) -> NDArray[np.float32]:
    """Network input ``(N,3,patch_px,patch_px)`` in [0,1] of the squares ``crops (N,3)``: bilinear, black
    outside the picture.

    What is seen in a crop is turned clockwise by ``rolls (N,)`` radians: the square lies in the picture
    turned the other way. Large crops are averaged down by a whole factor first, because bilinear sampling
    alone would skip pixels (ours).
    """
    out = np.empty((len(crops), 3, patch_px, patch_px), np.float32)
    turns = rolled(np.zeros(len(crops)) if rolls is None else rolls)
    for patch, (x, y, side), turn in zip(out, crops, turns, strict=True):
        factor = max(1, round(side / patch_px))
        half = side / 2 * np.abs(turn[0]).sum()
        # The part of the picture that is needed, with a margin for interpolation; warping takes no picture
        # above 32,767 pixels.
        low = np.maximum(np.floor([x - half, y - half]).astype(int) - factor, 0)
        high = np.minimum(np.ceil([x + half, y + half]).astype(int) + factor + 1, image.shape[1::-1])
        part = image[low[1] : high[1], low[0] : high[0]]
        if factor > 1:
            # Whole blocks: the last ones are filled by repeating the edge.
            pad = -np.array(part.shape[:2]) % factor
            whole = cv2.copyMakeBorder(part, 0, int(pad[0]), 0, int(pad[1]), cv2.BORDER_REPLICATE)
            size = (whole.shape[1] // factor, whole.shape[0] // factor)
            part = np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_AREA), np.uint8)
        # Pixel p of the part lies at index (p + 0.5) / factor - 0.5 after averaging.
        zoom = patch_px * factor / side * turn
        centre = (np.array([x, y]) - low + 0.5) / factor - 0.5
        affine = np.concatenate([zoom, (patch_px / 2 - zoom @ centre)[:, None]], 1)
        warped = cv2.warpAffine(
            np.ascontiguousarray(part), affine, (patch_px, patch_px), flags=cv2.INTER_LINEAR
        )
        patch[:] = warped.transpose(2, 0, 1)
    return out / np.float32(255)


def picture_px(lixels: NDArray, crops: NDArray, rolls: NDArray | None = None) -> NDArray[np.float64]:
    """Pixels ``(N,P,2)`` of lixels ``(N,P,2+)`` in the squares ``crops (N,3)`` that are turned by ``rolls
    (N,)``."""
    off = lixels[..., :2] / LIXELS - 0.5
    if rolls is not None:
        off = off @ rolled(rolls)  # row vectors: this turns them back
    return crops[:, None, :2] + off * crops[:, None, 2:]


def virtual_cameras(
    crops: NDArray, camera: Camera, rolls: NDArray | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rotations ``(N,3,3)`` from the camera to the one that looks at each crop's centre, rolled as the crop
    is by ``rolls (N,)``, and its focal lengths ``(N,)`` in pixels: those at which a metre across that gaze
    appears in the picture."""
    x, y, _ = camera.rays(crops[:, :2]).T
    rotation = gaze_rotation(x, y)
    if rolls is not None:
        rotation = rolled_cameras(rotation, rolls)
    return rotation, camera.K[0, 0] * np.sqrt(1 + x * x + y * y)
