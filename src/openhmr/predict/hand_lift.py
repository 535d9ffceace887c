"""Hands from 21 points: a network of right hands, a fit to what it found, left hands through a mirror."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from openhmr.bodies.body import Body
from openhmr.bodies.mirror import mirrored
from openhmr.bodies.shipped import Side
from openhmr.bodies.skinning import skin
from openhmr.camera import Camera, check_camera, image_size_around
from openhmr.joints import JointSet
from openhmr.keypoints import Keypoints
from openhmr.people import People, Rig
from openhmr.predict.hand_fit import fitted
from openhmr.predict.lift import Lifter
from openhmr.predict.session import read_metadata

MIRROR = np.array([-1, 1, 1], np.float32)


class HandLifter(Lifter):
    """A :class:`Lifter` of right hands, which lifts left ones if ``side`` says so: what it is given, and its
    camera, are seen in a mirror, and so is what it returns, as hands of the mirrored ``hand``.

    Meshes of the compact network are replaced by the hand that fits them and the 2D points
    (:mod:`openhmr.predict.hand_fit`); the official networks' stay as they are. Raises :class:`InputError` as
    a lifter does.
    """

    def __init__(
        self, onnx_path: str | Path, hand: Body, joint_set: JointSet | None = None, side: Side = "right"
    ) -> None:
        super().__init__(onnx_path, hand, joint_set)
        self.left = mirrored(hand) if side == "left" else None
        self.fits = read_metadata(onnx_path).get("form") == "compact"

    def __call__(
        self, pose2d: ArrayLike | Keypoints, camera: Camera | None = None, *, order_known: bool = False
    ) -> People:
        keypoints = self._keypoints(pose2d)
        if camera is None:
            camera = Camera.assumed(keypoints.image_size or image_size_around(keypoints.points))
        check_camera(camera)
        keypoints, camera = keypoints.undistorted(camera), camera.straight()
        keypoints = replace(keypoints, image_size=camera.image_size)
        if self.left is None:
            return self._fitted(super().__call__(keypoints, camera, order_known=order_known))
        width = camera.image_size[1]
        K = np.array(camera.K)
        K[0, 2] = width - 1 - K[0, 2]
        seen = replace(keypoints, points=_flipped(keypoints.points, width))
        other = replace(camera, K=K, down=None)
        right = self._fitted(super().__call__(seen, other, order_known=order_known))
        rig = right.rig
        if rig is not None:
            rig = Rig(rig.pose * -MIRROR, rig.betas, rig.translation * MIRROR)
        return People(self.left, camera, keypoints, right.vertices * MIRROR, rig=rig, sigma=right.sigma)

    def _fitted(self, people: People) -> People:
        if not self.fits or not len(people):
            return people
        sigma = np.zeros_like(people.vertices) if people.sigma is None else people.sigma.vertices
        rig = fitted(people.body, people.vertices, sigma, people.keypoints.points, people.camera)
        vertices, _ = skin(people.body, rig.pose, rig.betas, rig.translation.astype(np.float32))
        return replace(people, vertices=vertices.astype(np.float32), rig=rig)


def _flipped(points: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """Points ``(N,J,3)`` as a mirrored picture of ``width`` shows them; missing ones stay zero."""
    x = np.where(points[..., 2] > 0, width - 1 - points[..., 0], 0)
    return np.concatenate([x[..., None], points[..., 1:]], -1).astype(np.float32)
