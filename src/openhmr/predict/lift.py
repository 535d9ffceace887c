"""Pose2Mesh at run time: 2D poses in, placed meshes out, through one ONNX file."""

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from onnxruntime import InferenceSession

from openhmr.bodies.body import Body
from openhmr.errors import InputError
from openhmr.geometry.camera import gaze_rotation
from openhmr.geometry.camera_fit import assumed_image_size, fit_translation, intrinsics
from openhmr.io.pose2d import check_pose2d
from openhmr.joints import COCO, HUMAN36, JointSet
from openhmr.predict.coarse_mesh import CoarseMesh
from openhmr.predict.result import Result
from openhmr.predict.session import open_session

CHUNK = 64
"""Poses per network call; bounds the memory of a long file. A network that needs much memory says a smaller
number itself."""


class Lifter:
    """A Pose2Mesh network and the body it was trained on: ``lifter(pose2d) -> Result``.

    The ONNX file takes ``pose2d (B,J,3)`` (see :func:`standardise`) and returns ``vertices (B,Vc,3)``: the
    body's level ``coarse`` in metres, camera axes, pelvis at the origin. Its metadata holds ``joint_set`` and
    ``body`` (:meth:`Body.content_hash`). Raises :class:`InputError` if the file is missing, is no such model,
    or belongs to another body.
    """

    def __init__(self, onnx_path: str | Path, body: Body) -> None:
        # Small products: more threads wait longer than they work.
        self.session = open_session(onnx_path, threads=2)
        sets = {s.name: s for s in (COCO, HUMAN36)}
        metadata = self.session.get_modelmeta().custom_metadata_map
        name, made_for = metadata.get("joint_set", ""), metadata.get("body")
        if name not in sets or made_for != body.content_hash():
            raise InputError(
                f"{onnx_path} says joint set {name!r} and body {made_for!r}; needed are {' or '.join(sets)} "
                f"and body "
                f"{body.content_hash()!r}: use the model and the body of one export"
            )
        self.joint_set: JointSet = sets[name]
        self.faces = body.faces
        self._mesh = CoarseMesh(body)

    def __call__(
        self, pose2d: ArrayLike, focal: float | None = None, image_size: tuple[int, int] | None = None
    ) -> Result:
        """Lift ``pose2d`` (``(J,2|3)`` or ``(N,J,2|3)`` pixels, see :func:`~openhmr.io.pose2d.check_pose2d`).

        ``focal`` in pixels and ``image_size (height, width)`` fix the camera; without focal length the field
        of view is taken as 52 degrees, without a size the people are taken to stand in the picture's middle.
        Raises :class:`InputError`.
        """
        pose = check_pose2d(pose2d, self.joint_set)
        size = assumed_image_size(pose) if image_size is None else image_size
        K = intrinsics(size, focal)
        for i, person in enumerate(pose):
            x, y = person[person[:, 2] > 0, :2].T
            if not np.any((x >= 0) & (y >= 0) & (x <= size[1]) & (y <= size[0])):
                raise InputError(
                    f"all joints of person {i} lie outside the picture of {size[1]} x {size[0]} pixels; "
                    f"give pixels of that picture, "
                    "counted from its upper left corner"
                )
        turned, rotation = look_at(pose, K)
        # Row vectors: the network answers in the virtual camera's axes, the transpose turns them back.
        coarse = np.matmul(self._coarse(turned), rotation.astype(np.float32))
        joints = self._mesh.joints(coarse)
        translation = fit_translation(joints[self.joint_set.name], pose[..., :2], pose[..., 2], K)
        shift = translation[:, None].astype(np.float32)
        vertices = self._mesh.upsample(coarse) + shift
        return Result(
            vertices,
            self.faces,
            {k: v + shift for k, v in joints.items()},
            K,
            translation,
            size,
            pose,
            self.joint_set,
        )

    def _coarse(self, pose: NDArray[np.float32]) -> NDArray[np.float32]:
        inputs = standardise(pose)
        step = poses_at_once(self.session)
        parts = [
            self.session.run(["vertices"], {"pose2d": inputs[i : i + step]})[0]
            for i in range(0, len(inputs), step)
        ]
        return np.concatenate(parts)


def poses_at_once(session: InferenceSession) -> int:
    """How many poses a network is given per call: as many as its file says, at most :data:`CHUNK`."""
    said = session.get_modelmeta().custom_metadata_map.get("poses_at_once", "")
    return min(max(int(said), 1), CHUNK) if said.isdecimal() else CHUNK


def look_at(
    pose2d: NDArray[np.float32], K: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Poses ``(N,J,3)`` as a virtual camera sees them (focal length 1) that looks at the middle of their
    present joints, and its rotation ``(N,3,3)`` from the camera's axes.

    A person at the picture's edge is seen from the side; without this turn a crop cannot tell that from a
    turned person (ours).
    """
    present = pose2d[..., 2] > 0
    rays = (pose2d[..., :2] - K[:2, 2]) / [K[0, 0], K[1, 1]]
    middle = (rays * present[..., None]).sum(1) / present.sum(1)[:, None]
    rotation = gaze_rotation(middle[:, 0], middle[:, 1])
    points = np.concatenate([rays, np.ones_like(rays[..., :1])], -1) @ rotation.swapaxes(-1, -2)
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
