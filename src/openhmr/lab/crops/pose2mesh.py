"""The 2D normalisation of the original Pose2Mesh (Choi et al. 2020), to the bit: box, crop, rotation, flip,
standardisation.

Official weights expect exactly this. Boxes are ``[x, y, w, h]`` in pixels, sizes ``(width, height)``, angles
degrees. Quirks of the original are kept and named where they happen.
"""

from math import cos, pi, sin

import numpy as np
from numpy.typing import ArrayLike, NDArray

from openhmr.errors import InputError

CROP_SIZE = (288, 384)
"""Width and height of the frame that Pose2Mesh crops into."""

Pairs = tuple[tuple[int, int], ...]


def tight_box(points: NDArray) -> NDArray[np.float32]:
    """Tight box ``(4,)`` around all ``points (J, 2+)``, with no margin and no regard to visibility."""
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    centre, size = (low + high) / 2.0, high - low
    # The detour over the centre is the original's and costs the last bit; the crop depends on it.
    start, end = centre - 0.5 * size, centre + 0.5 * size
    return np.concatenate([start, end - start]).astype(np.float32)


def widened_box(
    bbox: ArrayLike, aspect: float = CROP_SIZE[0] / CROP_SIZE[1], scale: float = 1.0
) -> NDArray | None:
    """``bbox (4,)`` widened about its centre to ``aspect`` = width / height and by ``scale``; ``None`` if it
    is empty.

    One pixel is first taken off width and height, as the original does. Floating types are kept.
    """
    box = np.asarray(bbox)
    x, y, w, h = (box if np.issubdtype(box.dtype, np.floating) else box.astype(np.float64)).copy()
    x2, y2 = x + (w - 1), y + (h - 1)
    if not (w * h > 0 and x2 >= x and y2 >= y):
        return None
    return widen(x, y, x2, y2, aspect, scale)


def widen(x: float, y: float, x2: float, y2: float, aspect: float, scale: float) -> NDArray:
    """The box ``(4,)`` from corner to corner, grown about its centre to ``aspect`` and by ``scale``."""
    w, h = x2 - x, y2 - y
    cx, cy = x + w / 2.0, y + h / 2.0
    if w > aspect * h:
        h = w / aspect
    elif w < aspect * h:
        w = h * aspect
    w, h = w * scale, h * scale
    return np.stack([cx - w / 2.0, cy - h / 2.0, w, h])


def solve_affine(src: NDArray, dst: NDArray) -> NDArray[np.float64]:
    """The ``(2, 3)`` affine map that takes three points ``src (3, 2)`` to ``dst (3, 2)``, equal to OpenCV's
    to the bit.

    Textbook LU with partial pivoting in OpenCV's order of operations: another solver differs by 1e-13, which
    the integer truncation of :func:`j2d_processing` can turn into a whole pixel. Raises :class:`InputError`
    for points on one line.
    """
    a, b = np.zeros((6, 6)), np.asarray(dst, np.float64).reshape(6)
    for i, (x, y) in enumerate(np.asarray(src, np.float64)):
        a[2 * i, :3] = a[2 * i + 1, 3:] = x, y, 1.0
    b = b.copy()
    for i in range(6):
        pivot = i + int(np.argmax(np.abs(a[i:, i])))
        if abs(a[pivot, i]) < np.finfo(np.float64).eps * 100:
            raise InputError(
                f"points {np.asarray(src).tolist()} lie on one line and give no crop; pass a box of some size"
            )
        a[[i, pivot]], b[[i, pivot]] = a[[pivot, i]], b[[pivot, i]]
        d = -1.0 / a[i, i]
        for j in range(i + 1, 6):
            factor = a[j, i] * d
            a[j, i + 1 :] += factor * a[i, i + 1 :]
            b[j] += factor * b[i]
    for i in range(5, -1, -1):
        s = b[i]
        for k in range(i + 1, 6):
            s -= a[i, k] * b[k]
        b[i] = s / a[i, i]
    return b.reshape(2, 3)


def crop_affine(bbox: NDArray, rotation_deg: float, size: tuple[int, int] = CROP_SIZE) -> NDArray[np.float64]:
    """The ``(2, 3)`` map from image pixels to a crop of ``size``, turned by ``rotation_deg``.

    Only the box width sets the scale, so the map never shears.
    """
    x, y, w, h = np.asarray(bbox)
    r = pi * rotation_deg / 180
    half = -0.5 * w
    src, dst = np.zeros((3, 2), np.float32), np.zeros((3, 2), np.float32)
    src[0] = x + w * 0.5, y + h * 0.5
    src[1] = src[0] + np.array([-half * sin(r), half * cos(r)], np.float32)
    dst[0] = size[0] * 0.5, size[1] * 0.5
    dst[1] = dst[0] + np.array([0, size[0] * -0.5], np.float32)
    for p in (src, dst):
        dx, dy = p[0] - p[1]
        p[2] = p[1] + np.array([-dy, dx], np.float32)
    return solve_affine(src, dst)


def j2d_processing(
    keypoints: NDArray,
    size: tuple[int, int],
    bbox: NDArray,
    rotation_deg: float,
    flip: bool,
    flip_pairs: Pairs,
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Map ``keypoints (J, 2+)`` into the crop, then mirror if ``flip``: returns float32 keypoints and the
    ``(2, 3)`` map.

    Columns after x, y pass through. Integer keypoints are truncated toward zero after the crop, as in the
    original (whose demo pose is int64); pass floats to avoid that.
    """
    transform, out = crop_affine(bbox, rotation_deg, size), keypoints.copy()
    for point in out:
        # One product per point: a batched one may round differently.
        point[:2] = np.dot(transform, np.array([point[0], point[1], 1.0]))
    if flip:
        out[:, 0] = size[0] - out[:, 0] - 1
        out = _swap(out, flip_pairs)
    return out.astype(np.float32), transform


def j3d_processing(
    joints: NDArray, rotation_deg: float, flip: bool, flip_pairs: Pairs
) -> NDArray[np.float32]:
    """Give 3D ``joints (J, 3)`` (any unit, camera axes) the rotation and flip of :func:`j2d_processing`:
    about z by -angle."""
    r = -rotation_deg * pi / 180
    turn = np.array([[cos(r), -sin(r), 0], [sin(r), cos(r), 0], [0, 0, 1]], np.float32)
    out = np.dot(turn, joints.T).T
    if flip:
        out[:, 0] = -out[:, 0]
        out = _swap(out, flip_pairs)
    return out.astype(np.float32)


def standardise_axes(keypoints: NDArray) -> NDArray[np.float32]:
    """``(..., J, 2)`` to mean 0 and population standard deviation 1 per axis over all joints, present or not.

    The compact network's input has one scale for both axes instead (``predict.lift.standardise``). There is
    no epsilon: a pose without any width or height gives inf or nan, as in the original.
    """
    points = np.asarray(keypoints, np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (points - points.mean(axis=-2, keepdims=True)) / points.std(axis=-2, keepdims=True)


def _swap(joints: NDArray, pairs: Pairs) -> NDArray:
    out = joints.copy()
    for i, j in pairs:
        out[i], out[j] = out[j].copy(), out[i].copy()
    return out
