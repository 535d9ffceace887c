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
from openhmr.joints import COCO, JOINT_SETS, POINTS, JointSet, get_joint_set, has_points, point_indices
from openhmr.keypoints import Keypoints
from openhmr.people import People, Sigma
from openhmr.predict.coarse_mesh import CoarseMesh
from openhmr.predict.session import check_body, check_signature, open_session, read_metadata
from openhmr.predict.upright import (
    LYING,
    finger_rolls,
    rolled_cameras,
    rolled_poses,
    unrolled_sigma,
    upright_rolls,
)

log = logging.getLogger(__name__)

CHUNK = 64
"""Poses per network call; bounds the memory of a long file. A network that needs much memory says a smaller
number itself."""

BAD_FIT = 0.06
"""Median distance between 2D pose and mesh, over the person's extent, from which something must be wrong
(ours): 0.01 is usual, true 2D poses of dancers reach 0.03, with all of Pose2Mesh's synthetic noise 0.05;
other orders of the joints begin at 0.06."""

DOUBTFUL_FIT = 0.025
"""The same from which other orders are tried, and named if one fits far better: CrowdPose's joints taken for
AI Challenger's, whose legs agree, come to 0.036 to 0.056, in their own order to 0.005."""

BETTER = 0.5
"""Share of the distance up to which another order fits far better."""


class Lifter:
    """A Pose2Mesh network and the body it was trained on: ``lifter(pose2d) -> People``.

    The ONNX file takes ``pose2d (B,J,3)`` (see :func:`standardise`) and returns ``vertices (B,Vc,3)``: the
    body's level ``coarse`` (the whole mesh of a body without one) in metres, camera axes, root at the origin,
    and may return ``sigma (B,P,3)``, standard deviations in metres for each part of the body. Its metadata
    hold ``joint_set`` and ``body`` (:meth:`Body.content_hash`), and ``upright`` where it sees hands with
    their fingers up (:func:`~openhmr.predict.upright.finger_rolls`). A network of the joint set ``points``
    lifts poses of every skeleton whose joints are points of the body; ``joint_set`` says which one plain
    arrays have. Raises :class:`InputError` if the file is missing, is no such model, belongs to another body,
    or does not lift ``joint_set``.
    """

    def __init__(self, onnx_path: str | Path, body: Body, joint_set: JointSet | None = None) -> None:
        metadata = read_metadata(onnx_path)
        if "joint_set" not in metadata or "kind" in metadata:
            raise InputError(f"{onnx_path} is no Pose2Mesh model, which lifts 2D poses; give one of those")
        check_body(metadata, onnx_path, body)
        # Small products: more threads wait longer than they work.
        self.session = open_session(onnx_path, threads=2)
        self.body, self.poses_at_once = body, _poses_at_once(metadata)
        self.layout = get_joint_set(metadata["joint_set"])
        self.joint_set: JointSet = joint_set or (COCO if self.layout == POINTS else self.layout)
        self._check_liftable(self.joint_set)
        self.upright = metadata.get("upright") == "true"
        self._outputs = [o.name for o in self.session.get_outputs() if o.name in ("vertices", "sigma")]
        self._mesh = CoarseMesh(body)
        self._shares: dict[str, NDArray[np.float32]] = {}  # by joint set: what each part gives to its joints
        vertices = (len(self._mesh.vertex_ids), 3)
        check_signature(self.session, onnx_path, {"pose2d": (self.layout.size, 3)}, {"vertices": vertices})

    def lifts(self, joint_set: JointSet) -> bool:
        """Whether this network lifts poses of ``joint_set``."""
        return joint_set == self.layout or (self.layout == POINTS and has_points(joint_set))

    def _check_liftable(self, joint_set: JointSet) -> None:
        if not self.lifts(joint_set):
            known = [s.name for s in JOINT_SETS.values() if self.lifts(s)]
            raise InputError(
                f"this model lifts {', '.join(known)} joints, not {joint_set.name}; load a model of that "
                f"joint set"
            )

    def __call__(
        self, pose2d: ArrayLike | Keypoints, camera: Camera | None = None, *, order_known: bool = False
    ) -> People:
        """Lift 2D poses: :class:`Keypoints` of any joint set that this network lifts, or pixels ``(J,2|3)``
        or ``(N,J,2|3)`` of its own :attr:`joint_set` (see :func:`~openhmr.io.poses.check_pose2d`).

        Without a ``camera`` the field of view is taken as 52 degrees over the keypoints' picture, or over one
        in whose middle the people stand. Lens distortion of the camera is undone: the people's camera is its
        :meth:`Camera.straight`. Meshes that do not fit their 2D pose are warned of, for its joints may have
        another order, unless ``order_known``, as where our own networks saw them. Raises
        :class:`InputError`.
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
        coarse, joints, translation, sigma = self._lifted(keypoints, camera)
        vertices = self._mesh.upsample(coarse) + translation[:, None].astype(np.float32)
        if not order_known:
            self._warn_of_bad_fits(joints + translation[:, None], keypoints, camera)
        return People(self.body, camera, keypoints, vertices, sigma=sigma)

    def _lifted(
        self, keypoints: Keypoints, camera: Camera
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64], Sigma | None]:
        """Coarse vertices ``(N,Vc,3)`` and joints ``(N,J,3)`` about the root joint in camera axes, where they
        stand ``(N,3)``, and how sure all is."""
        points, joint_set = keypoints.points, keypoints.joint_set
        if joint_set != self.layout:
            points = np.zeros((len(points), self.layout.size, 3), np.float32)
            points[:, point_indices(joint_set)] = keypoints.points
        turned, rotation = look_at(points, camera)
        if self.upright:
            rolls = finger_rolls(turned)
            found = self._run(standardise(rolled_poses(turned, rolls)))
        else:
            own = turned if joint_set == self.layout else turned[:, point_indices(joint_set)]
            found, rolls = self._upright(turned, upright_rolls(own, joint_set, LYING))
        rotation = rolled_cameras(rotation, rolls)
        # Row vectors: the network answers in the virtual camera's axes, the transpose turns them back.
        coarse = np.matmul(found["vertices"], rotation.astype(np.float32))
        joints = self._mesh.joints(coarse, joint_set)
        xy, confidence = keypoints.points[..., :2], keypoints.points[..., 2]
        translation = fit_translation(joints, xy, confidence, camera.K)
        if "sigma" not in found:
            return coarse, joints, translation, None
        if joint_set.name not in self._shares:
            share = np.abs(self.body.joint_regressor(joint_set)) @ self.body.weights
            self._shares[joint_set.name] = share
        parts = unrolled_sigma(found["sigma"], rolls)
        sigma = Sigma(np.matmul(self.body.weights, parts), np.matmul(self._shares[joint_set.name], parts))
        return coarse, joints, translation, sigma

    def _upright(
        self, poses: NDArray[np.float32], rolls: NDArray
    ) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.float64]]:
        """What the network makes of ``poses`` as a virtual camera sees them, and the rolls ``(N,)`` of the
        cameras in whose axes that is: of turned people the surer of two answers, to them as they are (they
        may lie, or bend down) and turned upright by ``rolls``."""
        found, used = self._run(standardise(poses)), np.zeros(len(poses))
        rows = np.flatnonzero(rolls)
        if not len(rows):
            return found, used
        again = self._run(standardise(rolled_poses(poses[rows], rolls[rows])))
        surer = np.ones(len(rows), bool)
        if "sigma" in found:
            before, after = (
                np.linalg.norm(s, axis=-1).mean(-1) for s in (found["sigma"][rows], again["sigma"])
            )
            surer = after < before
        for name, values in again.items():
            found[name][rows[surer]] = values[surer]
        used[rows[surer]] = rolls[rows[surer]]
        return found, used

    def _keypoints(self, pose2d: ArrayLike | Keypoints) -> Keypoints:
        if not isinstance(pose2d, Keypoints):
            return Keypoints(self.joint_set, check_pose2d(pose2d, self.joint_set))
        self._check_liftable(pose2d.joint_set)
        absent = np.flatnonzero(~(pose2d.points[..., 2] > 0).any(1))
        if len(absent):
            raise InputError(f"person {absent[0]} has no present joint; drop this pose")
        return pose2d

    def _run(self, inputs: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        step = self.poses_at_once
        parts = [
            self.session.run(self._outputs, {"pose2d": inputs[i : i + step]})
            for i in range(0, len(inputs), step)
        ]
        return {
            name: np.concatenate(part)
            for name, part in zip(self._outputs, zip(*parts, strict=True), strict=True)
        }

    def _warn_of_bad_fits(self, joints: NDArray, keypoints: Keypoints, camera: Camera) -> None:
        """Missing joints given as numbers, other joint orders and 3D poses end in meshes that do not fit
        their 2D pose: ``joints (N,J,3)`` are the meshes' own, in camera axes."""
        errors, extents = _distances(joints, keypoints, camera)
        for i in np.flatnonzero(errors > DOUBTFUL_FIT * extents):
            better = self._better_order(keypoints[i], errors[i], camera)
            if better or errors[i] > BAD_FIT * extents[i]:
                log.warning(
                    "the mesh of person %d lies %.0f px from its 2D pose (median), %.0f %% of its extent: "
                    "are missing joints marked by confidence 0, and are the joints 2D pixels in the order "
                    "of %s?%s",
                    i,
                    errors[i],
                    100 * errors[i] / extents[i],
                    keypoints.joint_set.name,
                    better,
                )

    def _better_order(self, person: Keypoints, error: float, camera: Camera) -> str:
        """A sentence that names the joint set in whose order the pose of one person fits far better."""
        given, errors = person.points[:, : len(person.joint_set.base)], dict[str, float]()
        for other in JOINT_SETS.values():
            if other == person.joint_set or not self.lifts(other) or not self.body.has_joint_regressor(other):
                continue
            for points in (given, person.points):
                if points.shape[1] not in (len(other.base), other.size):
                    continue
                guess = replace(person, joint_set=other, points=other.complete(points, "present"))
                _, joints, translation, _ = self._lifted(guess, camera)
                distance = _distances(joints + translation[:, None], guess, camera)[0][0]
                if distance < BETTER * error:
                    errors[other.name] = min(distance, errors.get(other.name, error))
        # The first that none fits far better than: sets that differ in a joint or two fit alike.
        best = next((name for name, e in errors.items() if BETTER * e <= min(errors.values())), None)
        return f" In the order of {best} they fit far better." if best else ""


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


def _distances(
    joints: NDArray, keypoints: Keypoints, camera: Camera
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Median distance ``(N,)`` in pixels between projected ``joints (N,J,3)`` and the present 2D joints, and
    the extent ``(N,)`` of these."""
    seen, points = camera.project(joints), keypoints.points
    present = points[..., 2] > 0
    distance = np.where(present, np.linalg.norm(seen - points[..., :2], axis=-1), np.nan)
    xy = np.where(present[..., None], points[..., :2], np.nan)
    return np.nanmedian(distance, axis=1), (np.nanmax(xy, axis=1) - np.nanmin(xy, axis=1)).max(1)


def _poses_at_once(metadata: Mapping[str, str]) -> int:
    """What a model file says, within 1 to :data:`CHUNK`; what is no count means CHUNK."""
    said = metadata.get("poses_at_once", "")
    # Python refuses to read numbers of thousands of digits.
    return min(max(int(said), 1), CHUNK) if said.isdecimal() and len(said) <= 10 else CHUNK


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
