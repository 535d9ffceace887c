"""MediaPipe Pose beside our networks, where its package is installed: a rival in benchmarks, never needed."""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from openhmr.errors import InputError
from openhmr.joints import MEDIAPIPE33

Size = Literal["lite", "full", "heavy"]


class MediaPipePose:
    """``pose(image) -> (joints, points)`` or None: the one person whom MediaPipe's own detector finds.

    Each picture is taken by itself. Raises :class:`InputError` if the package is missing, or the file of this
    ``size``, which it fetches when it is first used (only ``full`` comes with it).
    """

    def __init__(self, size: Size = "full") -> None:
        self.name = f"MediaPipe {size}"
        try:
            from mediapipe.python.solutions.pose import Pose
        except ImportError:
            raise InputError(
                "MediaPipe is not installed; install mediapipe 0.10.14 beside openhmr, in Python 3.9 to 3.12 "
                "with numpy below 2, or leave it out"
            ) from None
        try:
            self._pose = Pose(static_image_mode=True, model_complexity=get_args(Size).index(size))
        except OSError as error:
            raise InputError(f"MediaPipe has no file of its size {size} ({error}); take full") from None

    def __call__(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Joints ``(35,3)`` in metres, about the middle of the hips along the camera's axes, and points
        ``(35,3)``: pixels and a visibility in 0..1, of :data:`~openhmr.joints.MEDIAPIPE33`."""
        found = self._pose.process(np.ascontiguousarray(image))
        if found.pose_world_landmarks is None:
            return None
        height, width = image.shape[:2]
        joints = [(p.x, p.y, p.z) for p in found.pose_world_landmarks.landmark]
        # Its coordinates are shares of the picture, from edge to edge.
        points = [
            (p.x * width - 0.5, p.y * height - 0.5, p.visibility) for p in found.pose_landmarks.landmark
        ]
        return MEDIAPIPE33.complete(np.array(joints)), MEDIAPIPE33.complete(np.array(points))
