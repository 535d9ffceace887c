"""A pinhole camera with its picture's size, and what it does with lens distortion."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from openhmr.errors import InputError

FIELD_OF_VIEW = np.deg2rad(52.0)
"""Over the longer image side, when nothing is known: ours; a 35 mm equivalent of 37 mm, between a phone's
wide main camera (about 70 degrees) and Human3.6M's (47 degrees)."""

FOCAL_LIMITS = 0.1, 100.0
"""Of the longer image side: from a field of view of 157 degrees, wider than any lens that draws straight
lines, to one of half a degree. (Systems of weak perspective pass for pinhole cameras of 5,000 px on a 256 px
crop.)"""

MAX_SIDE_PX = 100_000
DISTORTION_COUNTS = (4, 5, 8, 12, 14)
"""OpenCV's models: k1, k2, p1, p2[, k3[, k4, k5, k6[, s1, s2, s3, s4[, tx, ty]]]]."""

_FARTHEST_PRINCIPAL = 10.0
"""Of the longer image side, from the picture's centre: crops of a large picture keep its principal point."""

_MAX_DISTORTION = 100.0
_UNDISTORT_ROUNDS = 10

Source = Literal["given", "exif", "assumed"]


@dataclass(frozen=True, eq=False)
class Camera:
    """A calibrated or assumed pinhole camera.

    **Pixel coordinates**, here and everywhere in this package, are those of OpenCV and of most data sets: the
    *centre* of the upper left pixel is (0, 0), so that a picture of width w spans -0.5 to w - 0.5. **Camera
    axes** are x right, y down, z forward.

    ``K (3,3)`` has focal lengths and principal point in pixels and no skew, ``image_size`` is (height,
    width), ``source`` says where the focal length came from. ``dist`` holds OpenCV's distortion coefficients,
    or is None: then lines are straight. ``down (3,)`` is the direction of gravity in camera axes where it is
    known. Raises :class:`InputError` for what cannot be a camera.
    """

    K: NDArray[np.float64]
    image_size: tuple[int, int]
    source: Source = "given"
    dist: NDArray[np.float64] | None = None
    down: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        size = check_image_size(self.image_size)
        set_ = object.__setattr__
        set_(self, "image_size", size)
        set_(self, "K", _read_only(_check_matrix(self.K, size)))
        if self.source not in get_args(Source):
            raise InputError(
                f"source is {self.source!r}; a camera is {', '.join(get_args(Source))}: leave it out"
            )
        if self.dist is not None:
            set_(self, "dist", _read_only(_check_distortion(self.dist)))
        if self.down is not None:
            set_(self, "down", _read_only(_check_direction(self.down)))

    @classmethod
    def from_focal(cls, focal_px: float, image_size: Sequence[int], source: Source = "given") -> "Camera":
        """Square pixels and the principal point in the picture's centre. ``focal_px`` in pixels."""
        height, width = check_image_size(image_size)
        if isinstance(focal_px, bool) or not isinstance(focal_px, int | float | np.integer | np.floating):
            raise InputError(
                f"focal length is {focal_px!r}; a number of pixels is needed: leave it out if unknown"
            )
        focal = _check_focal(focal_px, (height, width))
        K = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1.0]])
        return cls(K, (height, width), source)

    @classmethod
    def assumed(cls, image_size: Sequence[int]) -> "Camera":
        """A camera of 52 degrees over the longer side of a picture of ``image_size`` (height, width)."""
        longer = max(check_image_size(image_size))
        return cls.from_focal(0.5 * longer / np.tan(0.5 * FIELD_OF_VIEW), image_size, "assumed")

    @property
    def focal_px(self) -> NDArray[np.float64]:
        """``(2,)``: horizontal and vertical focal length in pixels."""
        return self.K[(0, 1), (0, 1)]

    @property
    def principal_px(self) -> NDArray[np.float64]:
        """``(2,)``: the pixel that the optical axis passes through."""
        return self.K[:2, 2]

    def project(self, points_m: NDArray) -> NDArray[np.float64]:
        """Pixels ``(...,2)`` of ``points_m (...,3)`` in camera axes, by the pinhole alone (without
        ``dist``)."""
        points = np.asarray(points_m, np.float64)
        return points[..., :2] / points[..., 2:] * self.focal_px + self.principal_px

    def rays(self, pixels: NDArray) -> NDArray[np.float64]:
        """Directions ``(...,3)`` with z = 1 that ``pixels (...,2)`` look along, by the pinhole alone."""
        xy = (np.asarray(pixels, np.float64)[..., :2] - self.principal_px) / self.focal_px
        return np.concatenate([xy, np.ones_like(xy[..., :1])], -1)

    def straight(self) -> "Camera":
        """The same camera behind a lens without distortion: what undistorted pixels belong to."""
        return self if self.dist is None else replace(self, dist=None)

    def undistort_points(self, pixels: NDArray) -> NDArray[np.float64]:
        """``pixels (...,2)`` of a distorted picture in the picture of :meth:`straight`."""
        points = np.asarray(pixels, np.float64)[..., :2]
        if self.dist is None or not points.size:
            return points
        import cv2

        flat, none = np.ascontiguousarray(points.reshape(-1, 1, 2)), np.zeros(3)
        rays = cv2.undistortPoints(flat, self.K, self.dist)
        # OpenCV's few rounds leave tenths of a pixel at the edge of wide lenses; the same steps, further on.
        for _ in range(_UNDISTORT_ROUNDS):
            seen, _ = cv2.projectPoints(cv2.convertPointsToHomogeneous(rays), none, none, self.K, self.dist)
            rays = rays + (flat - seen) / self.focal_px
        return (rays * self.focal_px + self.principal_px).reshape(points.shape)

    def undistort_image(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """``image (height, width, 3)`` as :meth:`straight` would have taken it."""
        if self.dist is None:
            return image
        import cv2

        return np.asarray(cv2.undistort(image, self.K, self.dist), np.uint8)

    def undistort_boxes(self, boxes: NDArray) -> NDArray[np.float64]:
        """Boxes ``(N,4)`` x, y, width, height around what ``boxes (N,4)`` enclose in the distorted
        picture."""
        boxes = np.asarray(boxes, np.float64)
        if self.dist is None:
            return boxes
        at = np.linspace(0, 1, 9)
        zero, one = np.zeros(9), np.ones(9)
        edge = np.concatenate([np.stack(p, 1) for p in ((at, zero), (at, one), (zero, at), (one, at))])
        outline = self.undistort_points(boxes[:, None, :2] + edge * boxes[:, None, 2:])
        low = outline.min(1)
        return np.concatenate([low, outline.max(1) - low], 1)


def check_camera(camera: object) -> Camera:
    """``camera``, if it is one. Raises :class:`InputError` for numbers and matrices, which leave the
    picture's size open."""
    if not isinstance(camera, Camera):
        raise InputError(
            f"camera is {type(camera).__name__}; a Camera is needed, such as "
            f"Camera.from_focal(1150, (height, width)) or Camera(K, (height, width))"
        )
    return camera


def check_image_size(image_size: object) -> tuple[int, int]:
    """``(height, width)`` as whole numbers. Raises :class:`InputError` if they are none, or not positive."""
    numbers = int | float | np.integer | np.floating
    if (
        not isinstance(image_size, tuple | list | np.ndarray)
        or len(image_size) != 2
        or any(isinstance(n, bool | np.bool_) or not isinstance(n, numbers) for n in image_size)
        or not all(1 <= n <= MAX_SIDE_PX and n == int(n) for n in image_size)
    ):
        raise InputError(
            f"image_size is {image_size!r}; (height, width) of the picture is needed, each a whole number "
            f"from 1 "
            f"to {MAX_SIDE_PX:,} pixels"
        )
    return int(image_size[0]), int(image_size[1])


def image_size_around(points: NDArray) -> tuple[int, int]:
    """``(height, width)`` of a picture in whose middle the people ``points (N,J,3)`` (x, y, confidence)
    stand.

    Ours: margins on the right and below equal those on the left and above, and are at least a tenth of the
    people's extent. Raises :class:`InputError` for people beyond the upper left corner.
    """
    xy = points[points[..., 2] > 0, :2]
    low, high = xy.min(0), xy.max(0)
    if (high < 0).any():
        raise InputError(
            f"all joints lie at negative pixels, up to {high[0]:.4g}, {high[1]:.4g}; pixels count from the "
            f"picture's upper left corner"
        )
    margin = np.maximum(low, 0.1 * (high - low).max())
    width, height = np.ceil(high + margin).astype(int)
    return max(int(height), 1), max(int(width), 1)


def _read_only(array: NDArray) -> NDArray:
    out = np.array(array, np.float64)
    out.flags.writeable = False
    return out


def _floats(value: ArrayLike) -> NDArray[np.float64]:
    """``value`` as float64, empty where it holds no numbers."""
    try:
        return np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        return np.zeros(0)


def _check_matrix(K: ArrayLike, size: tuple[int, int]) -> NDArray[np.float64]:
    matrix = _floats(K)
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all():
        raise InputError(f"K is {str(K)[:200]}; a 3 x 3 camera matrix of finite numbers is needed")
    if (matrix[2] != (0, 0, 1)).any():
        raise InputError(
            f"the last row of K is {matrix[2].tolist()}; it must be 0, 0, 1: divide K by its last number"
        )
    for focal in matrix[(0, 1), (0, 1)]:
        _check_focal(float(focal), size)
    if max(abs(matrix[0, 1]), abs(matrix[1, 0])) > 1e-6 * matrix[0, 0]:
        raise InputError(
            f"K has a skew of {matrix[0, 1]:g} and {matrix[1, 0]:g}; only cameras with upright pixels are "
            "supported: warp the pictures to a camera without skew"
        )
    centre, reach = np.array([size[1] - 1, size[0] - 1]) / 2, _FARTHEST_PRINCIPAL * max(size)
    if (np.abs(matrix[:2, 2] - centre) > reach).any():
        raise InputError(
            f"K has its principal point at {matrix[0, 2]:g}, {matrix[1, 2]:g}, far outside the picture of "
            f"{size[1]} x "
            f"{size[0]} pixels; give pixels of that picture, and image_size as (height, width)"
        )
    return matrix


def _check_focal(focal: float, size: tuple[int, int]) -> float:
    shortest, longest = (limit * max(size) for limit in FOCAL_LIMITS)
    if not shortest <= focal <= longest:
        raise InputError(
            f"focal length is {focal}; in a picture of {size[1]} x {size[0]} pixels it must lie between "
            f"{shortest:.0f} and {longest:,.0f} pixels: leave it out if unknown"
        )
    return float(focal)


def _check_distortion(dist: ArrayLike) -> NDArray[np.float64]:
    out = _floats(dist).reshape(-1)
    if len(out) not in DISTORTION_COUNTS or not np.isfinite(out).all() or np.abs(out).max() > _MAX_DISTORTION:
        raise InputError(
            f"dist is {str(dist)[:200]}; OpenCV's {', '.join(map(str, DISTORTION_COUNTS))} coefficients are "
            f"allowed, "
            f"each at most {_MAX_DISTORTION:g} in size"
        )
    return out


def _check_direction(down: ArrayLike) -> NDArray[np.float64]:
    out = _floats(down)
    if out.shape != (3,) or not np.isfinite(out).all() or not np.linalg.norm(out) > 0:
        raise InputError(f"down is {str(down)[:200]}; a direction of three numbers in camera axes is needed")
    return out / np.linalg.norm(out)
