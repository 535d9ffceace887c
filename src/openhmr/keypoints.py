"""2D poses as detectors and files give them."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from openhmr.camera import Camera
from openhmr.errors import InputError
from openhmr.joints import JointSet

_ROUNDING = 1e-3

Part = Literal["body", "left_hand", "right_hand"]
"""Of a person, what a network sees at once."""

Rows = Any
"""What selects rows of an array: a number, a slice, a mask or a list of numbers."""


@dataclass(frozen=True, eq=False)
class Keypoints:
    """2D poses of N people in one picture.

    ``points (N,J,3)`` float32: x, y in pixels (see :class:`~openhmr.camera.Camera`) and a confidence in [0,
    1], 0 where a joint is missing (then x = y = 0), in the order of ``joint_set``. ``image_size`` (height,
    width) where the source tells it; ``boxes (N,4)`` x, y, width, height in pixels and ``scores (N,)`` where
    a detector gave them. Raises :class:`InputError` for points of another shape, or
    that are not finite, or with other confidences.
    """

    joint_set: JointSet
    points: NDArray[np.float32]
    image_size: tuple[int, int] | None = None
    boxes: NDArray[np.float64] | None = None
    scores: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.joint_set, JointSet):
            raise InputError(
                f"joint_set is {self.joint_set!r}; a JointSet is needed, such as openhmr.joints.COCO"
            )
        shape = np.shape(self.points)
        if len(shape) != 3 or shape[1:] != (self.joint_set.size, 3):
            raise InputError(
                f"points have shape {shape}; keypoints of the {self.joint_set.name} joints have "
                f"(N, {self.joint_set.size}, 3): x, y and confidence"
            )
        if not isinstance(self.points, np.ndarray) or self.points.dtype.kind != "f":
            raise InputError("points are no array of floats; write numpy.array(points, numpy.float32)")
        if not np.isfinite(self.points).all():
            raise InputError("points hold numbers that are not finite; missing joints are 0, 0, 0")
        confidence = self.points[..., 2]
        if ((confidence < 0) | (confidence > 1 + _ROUNDING)).any():
            raise InputError(
                f"points hold confidences from {confidence.min():.4g} to {confidence.max():.4g}; needed are "
                f"0 to 1: divide them by the detector's largest"
            )

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, rows: Rows) -> "Keypoints":
        picked = several(rows)
        optional: Any = {
            k: v if v is None else v[picked] for k, v in (("boxes", self.boxes), ("scores", self.scores))
        }
        return replace(self, points=self.points[picked], **optional)

    @classmethod
    def nobody(cls, joint_set: JointSet, image_size: tuple[int, int]) -> "Keypoints":
        """No people in a picture of ``image_size``: what a detector returns where it finds none."""
        points = np.zeros((0, joint_set.size, 3), np.float32)
        return cls(joint_set, points, image_size, np.zeros((0, 4)), np.zeros(0))

    def undistorted(self, camera: Camera) -> "Keypoints":
        """Points and boxes where :meth:`Camera.straight` of the ``camera`` that they were seen with has
        them."""
        if camera.dist is None:
            return self
        xy, confidence = camera.undistort_points(self.points[..., :2]), self.points[..., 2:]
        points = np.where(confidence > 0, np.concatenate([xy, confidence], -1), 0).astype(np.float32)
        return replace(
            self, points=points, boxes=None if self.boxes is None else camera.undistort_boxes(self.boxes)
        )


def several(rows: Rows) -> Rows:
    """``rows`` such that the first axis stays: a single number becomes a list of one."""
    return [int(rows)] if isinstance(rows, int | np.integer) and not isinstance(rows, bool) else rows
