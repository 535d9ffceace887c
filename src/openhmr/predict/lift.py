"""Pose2Mesh at run time: 2D poses in, placed meshes out, through one ONNX file."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from openhmr.bodies.body import Body
from openhmr.camera import Camera, check_camera, image_size_around
from openhmr.errors import InputError
from openhmr.geometry.camera_fit import fit_translation
from openhmr.geometry.pinhole import gaze_rotation
from openhmr.io.poses import check_pose2d
from openhmr.joints import JointSet, get_joint_set
from openhmr.keypoints import Keypoints
from openhmr.people import People
from openhmr.predict.coarse_mesh import CoarseMesh
from openhmr.predict.session import check_body, check_signature, open_session, read_metadata

log = logging.getLogger(__name__)

CHUNK = 64
"""Poses per network call; bounds the memory of a long file. A network that needs much memory says a smaller
number itself."""

BAD_FIT = 0.12
"""Median distance between 2D pose and mesh, over the person's extent, from which something must be wrong
(ours): 0.02 to 0.05 are usual, true 2D poses of dancers reach 0.09."""


class Lifter:
    """A Pose2Mesh network and the body it was trained on: ``lifter(pose2d) -> People``.

    The ONNX file takes ``pose2d (B,J,3)`` (see :func:`standardise`) and returns ``vertices (B,Vc,3)``: the
    body's level ``coarse`` (the whole mesh of a body without one) in metres, camera axes, root at the origin.
    Its metadata hold ``joint_set`` and ``body`` (:meth:`Body.content_hash`). Raises :class:`InputError` if
    the file is missing, is no such model, or belongs to another body.
    """

    def __init__(self, onnx_path: str | Path, body: Body) -> None:
        metadata = read_metadata(onnx_path)
        if "joint_set" not in metadata or "kind" in metadata:
            raise InputError(f"{onnx_path} is no Pose2Mesh model, which lifts 2D poses; give one of those")
        check_body(metadata, onnx_path, body)
        # Small products: more threads wait longer than they work.
        self.session = open_session(onnx_path, threads=2)
        self.body, self.poses_at_once = body, _poses_at_once(metadata)
        self.joint_set: JointSet = get_joint_set(metadata["joint_set"])
        self._mesh = CoarseMesh(body)
        vertices = (len(self._mesh.vertex_ids), 3)
        check_signature(self.session, onnx_path, {"pose2d": (self.joint_set.size, 3)}, {"vertices": vertices})

    def __call__(self, pose2d: ArrayLike | Keypoints, camera: Camera | None = None) -> People:
        """Lift 2D poses: :class:`Keypoints`, or pixels ``(J,2|3)`` or ``(N,J,2|3)`` of the network's joint
        set (see :func:`~openhmr.io.poses.check_pose2d`).

        Without a ``camera`` the field of view is taken as 52 degrees over the keypoints' picture, or over one
        in whose middle the people stand. Lens distortion of the camera is undone: the people's camera is its
        :meth:`Camera.straight`. Raises :class:`InputError`.
        """
        keypoints = self._keypoints(pose2d)
        if camera is None:
            camera = Camera.assumed(keypoints.image_size or image_size_around(keypoints.points))
        check_camera(camera)
        keypoints = replace(keypoints.undistorted(camera), image_size=camera.image_size)
        points, camera = keypoints.points, camera.straight()
        _check_inside(points, camera.image_size)
        if not len(points):
            return People(self.body, camera, keypoints, np.zeros((0, self.body.num_vertices, 3), np.float32))
        turned, rotation = look_at(points, camera)
        # Row vectors: the network answers in the virtual camera's axes, the transpose turns them back.
        coarse = np.matmul(self._coarse(turned), rotation.astype(np.float32))
        joints = self._mesh.joints(coarse, self.joint_set)
        translation = fit_translation(joints, points[..., :2], points[..., 2], camera.K)
        vertices = self._mesh.upsample(coarse) + translation[:, None].astype(np.float32)
        _warn_of_bad_fits(camera.project(joints + translation[:, None]), keypoints)
        return People(self.body, camera, keypoints, vertices)

    def _keypoints(self, pose2d: ArrayLike | Keypoints) -> Keypoints:
        if not isinstance(pose2d, Keypoints):
            return Keypoints(self.joint_set, check_pose2d(pose2d, self.joint_set))
        if pose2d.joint_set != self.joint_set:
            raise InputError(
                f"the poses have {pose2d.joint_set.name} joints, but this model lifts {self.joint_set.name}; "
                "load the model of that joint set"
            )
        absent = np.flatnonzero(~(pose2d.points[..., 2] > 0).any(1))
        if len(absent):
            raise InputError(f"person {absent[0]} has no present joint; drop this pose")
        return pose2d

    def _coarse(self, pose: NDArray[np.float32]) -> NDArray[np.float32]:
        inputs = standardise(pose)
        step = self.poses_at_once
        return np.concatenate(
            [
                self.session.run(["vertices"], {"pose2d": inputs[i : i + step]})[0]
                for i in range(0, len(inputs), step)
            ]
        )


def _check_inside(points: NDArray[np.float32], size: tuple[int, int]) -> None:
    for i, person in enumerate(points):
        x, y = person[person[:, 2] > 0, :2].T
        if np.any((x >= -0.5) & (y >= -0.5) & (x <= size[1] - 0.5) & (y <= size[0] - 0.5)):
            continue
        swapped = np.any((x >= 0) & (y >= 0) & (x <= size[0]) & (y <= size[1]))
        hint = ", or swap (height, width) of the size" if swapped else ", counted from its upper left corner"
        raise InputError(
            f"all joints of person {i} lie outside the picture of {size[1]} x {size[0]} pixels; give pixels "
            f"of that "
            f"picture{hint}"
        )


def _warn_of_bad_fits(seen_px: NDArray, keypoints: Keypoints) -> None:
    """Missing joints given as numbers, other joint orders and 3D poses end in meshes that do not fit their 2D
    pose: ``seen_px (N,J,2)`` are the mesh's own joints."""
    for i, (seen, points) in enumerate(zip(seen_px, keypoints.points, strict=True)):
        present = points[:, 2] > 0
        error = np.median(np.linalg.norm(seen[present] - points[present, :2], axis=-1))
        extent = np.ptp(points[present, :2], axis=0).max()
        if error > BAD_FIT * extent:
            log.warning(
                "the mesh of person %d lies %.0f px from its 2D pose (median), %.0f %% of its extent: are "
                "missing joints marked by confidence 0, and are the joints 2D pixels in the order of %s?",
                i,
                error,
                100 * error / extent,
                keypoints.joint_set.name,
            )


def _poses_at_once(metadata: Mapping[str, str]) -> int:
    said = metadata.get("poses_at_once", "")
    return min(max(int(said), 1), CHUNK) if said.isdecimal() else CHUNK


def look_at(pose2d: NDArray[np.float32], camera: Camera) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Poses ``(N,J,3)`` as a virtual camera of focal length 1 sees them that looks at the middle of their
    present joints, and its rotation ``(N,3,3)`` from the camera's axes.

    A person at the picture's edge is seen from the side; without this rotation a crop cannot tell that from a
    turned person (ours).
    """
    present = pose2d[..., 2] > 0
    rays = camera.rays(pose2d[..., :2])
    middle = (rays[..., :2] * present[..., None]).sum(1) / present.sum(1)[:, None]
    rotation = gaze_rotation(middle[:, 0], middle[:, 1])
    points = rays @ rotation.swapaxes(-1, -2)
    xy = points[..., :2] / np.maximum(points[..., 2:], 0.05)
    turned = np.where(present[..., None], np.concatenate([xy, pose2d[..., 2:]], -1), 0)
    return turned.astype(np.float32), rotation


def standardise(pose2d: NDArray[np.float32]) -> NDArray[np.float32]:
    """Network input from poses ``(N,J,3)``: x and y of the present joints minus their mean, over one
    root-mean-square radius.

    Missing joints (confidence 0) become x = y = 0. One scale for both axes keeps the aspect, unlike the
    original's (ours).
    """
    present = (pose2d[..., 2:] > 0).astype(np.float32)
    count = present.sum(1, keepdims=True)
    centred = (pose2d[..., :2] - (pose2d[..., :2] * present).sum(1, keepdims=True) / count) * present
    scale = np.sqrt((centred * centred).sum((1, 2), keepdims=True) / (2 * count))
    return np.concatenate([centred / scale, pose2d[..., 2:]], -1)
