"""Left hands through a network of right ones: mirrored in and out, exactly."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from openhmr.bodies.body import Body
from openhmr.bodies.mirror import mirrored
from openhmr.camera import Camera, check_camera, image_size_around
from openhmr.joints import JointSet
from openhmr.keypoints import Keypoints
from openhmr.people import People
from openhmr.predict.lift import Lifter


class LeftHandLifter(Lifter):
    """A :class:`Lifter` of right hands that lifts left ones: what it is given, and its camera, are seen in a
    mirror, and so is what it returns, as hands of the mirrored ``hand``.

    Raises :class:`InputError` as a lifter does.
    """

    def __init__(self, onnx_path: str | Path, hand: Body, joint_set: JointSet | None = None) -> None:
        super().__init__(onnx_path, hand, joint_set)
        self.left = mirrored(hand)

    def __call__(
        self, pose2d: ArrayLike | Keypoints, camera: Camera | None = None, *, order_known: bool = False
    ) -> People:
        keypoints = self._keypoints(pose2d)
        if camera is None:
            camera = Camera.assumed(keypoints.image_size or image_size_around(keypoints.points))
        check_camera(camera)
        keypoints, camera = keypoints.undistorted(camera), camera.straight()
        width = camera.image_size[1]
        K = np.array(camera.K)
        K[0, 2] = width - 1 - K[0, 2]
        seen = replace(keypoints, points=_flipped(keypoints.points, width), image_size=camera.image_size)
        right = super().__call__(seen, replace(camera, K=K, down=None), order_known=order_known)
        return People(
            self.left,
            camera,
            replace(keypoints, image_size=camera.image_size),
            right.vertices * np.array([-1, 1, 1], np.float32),
            sigma=right.sigma,
        )


def _flipped(points: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """Points ``(N,J,3)`` as a mirrored picture of ``width`` shows them; missing ones stay zero."""
    x = np.where(points[..., 2] > 0, width - 1 - points[..., 0], 0)
    return np.concatenate([x[..., None], points[..., 1:]], -1).astype(np.float32)
