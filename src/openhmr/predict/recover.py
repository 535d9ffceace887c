"""I2L-MeshNet at run time: a photo and boxes in, placed bodies with their uncertainty out, through one ONNX
file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from openhmr.bodies.body import Body
from openhmr.bodies.skinning import skin
from openhmr.camera import Camera, check_camera
from openhmr.errors import InputError
from openhmr.geometry.camera_fit import NEAR_M
from openhmr.io.images import Photo
from openhmr.io.photos import camera_of, photo_of
from openhmr.joints import COCO
from openhmr.keypoints import Keypoints
from openhmr.people import People, Sigma
from openhmr.predict.body_fit import BodyFit
from openhmr.predict.coarse_mesh import CoarseMesh
from openhmr.predict.detect.movenet import detect_people
from openhmr.predict.fuse import HALF_CONFIDENCE_M
from openhmr.predict.person_crop import (
    DEPTH_M,
    LIXELS,
    PATCH,
    check_boxes,
    cut,
    picture_px,
    squares,
    virtual_cameras,
)
from openhmr.predict.plain import plain_network
from openhmr.predict.session import check_body, check_signature, image_threads, open_session, read_metadata
from openhmr.predict.upright import unrolled_sigma, upright_rolls

KIND = "i2l-body"
CHUNK = 8
"""Crops per network call; bounds the memory of a crowd."""

Outputs = dict[str, NDArray[np.float32]]
OUTPUTS = (
    "joints_lixel", "joints_sigma", "vertices_lixel", "vertices_sigma", "scale_m", "rotations", "betas"
)  # fmt: skip
"""What a network that sees pictures returns."""


class Recoverer:
    """An I2L-MeshNet and the body it was trained on: ``recoverer(image, boxes) -> People``.

    The ONNX file takes ``image (B,3,256,256)`` RGB in [0,1] and returns ``joints_lixel, joints_sigma
    (B,19,3)``, ``vertices_lixel, vertices_sigma (B,Vc,3)`` (level ``coarse``, or the whole mesh of a body
    without one), ``scale_m (B,)``, ``rotations (B,J,3,3)`` and ``betas (B,S)``. Its metadata hold ``kind`` =
    i2l-body and ``body`` (:meth:`Body.content_hash`). Without ``mirrored`` a network that averages each crop
    with its mirror image sees the crop alone, in half the time (see :mod:`openhmr.predict.plain`). Raises
    :class:`InputError` if the file is missing, is no such model, or belongs to another body.
    """

    def __init__(self, onnx_path: str | Path, body: Body, *, mirrored: bool = True) -> None:
        metadata = read_metadata(onnx_path)
        if metadata.get("kind", "") != KIND:
            raise InputError(
                f"{onnx_path} is no I2L-MeshNet of a body, which recovers people from photos; "
                f"give one of those"
            )
        check_body(metadata, onnx_path, body)
        content = None if mirrored else plain_network(onnx_path)
        self.session = open_session(onnx_path, image_threads(), content)
        self.body = body
        self._mesh, self._fit = CoarseMesh(body), BodyFit(body)
        points, vertices = (COCO.size, 3), (len(self._mesh.vertex_ids), 3)
        shapes = (points, points, vertices, vertices, (), (body.num_joints, 3, 3), (body.num_betas,))
        image = {"image": (3, PATCH, PATCH)}
        check_signature(self.session, onnx_path, image, dict(zip(OUTPUTS, shapes, strict=True)))

    def __call__(
        self,
        image: NDArray[np.uint8] | Photo | Image.Image | str | Path,
        boxes: ArrayLike | None = None,
        camera: Camera | None = None,
        *,
        rolls: NDArray | None = None,
        scores: NDArray[np.float64] | None = None,
    ) -> People:
        """Recover the people in ``boxes (N,4)`` (x, y, width, height in pixels; one row may go without its
        axis), to which a detector gave the ``scores (N,)``.

        ``rolls (N,)`` of people who do not stand upright in the picture, where they are known: the angle in
        radians by which the picture is to be turned clockwise until they do
        (:func:`~openhmr.predict.upright.upright_rolls`). Those who are detected have them of the detector.

        ``image`` is a file, a PIL image, or an array (height, width, 3) of uint8 in the order **RGB**: OpenCV
        reads BGR, which moves a mesh by centimetres without any error. Without boxes everybody is detected.
        Without a ``camera`` the focal length comes from the file's EXIF data, or the
        field of view is taken as 52 degrees. Lens distortion of the camera is undone: the people's camera,
        boxes and keypoints are those of its :meth:`Camera.straight`. The meshes are those of body parameters
        fitted to what the network draws, which :meth:`People.lixel` shows. Raises :class:`InputError`.
        """
        photo = photo_of(image)
        size = photo.image.shape[:2]
        if camera is None:
            camera = camera_of(photo)
        if check_camera(camera).image_size != size:
            raise InputError(
                f"the picture has (height, width) {size}, but its camera {camera.image_size}; calibrate for "
                f"this size"
            )
        found = None if boxes is None else camera.undistort_boxes(check_boxes(boxes, size))
        pixels, camera = camera.undistort_image(photo.image), camera.straight()
        if found is None:
            detected = detect_people(pixels)
            found, scores = detected.boxes, detected.scores
            rolls = upright_rolls(detected.points, detected.joint_set)
        if found is None or not len(found):
            return self._nobody(camera)
        rolls = np.zeros(len(found)) if rolls is None else np.asarray(rolls, np.float64)
        people = self._place(*self._seen(pixels, squares(found), rolls), found, camera)
        return replace(people, keypoints=replace(people.keypoints, scores=scores))

    def _nobody(self, camera: Camera) -> People:
        keypoints = Keypoints.nobody(COCO, camera.image_size)
        return People(self.body, camera, keypoints, np.zeros((0, self.body.num_vertices, 3), np.float32))

    def run(self, patches: NDArray[np.float32]) -> Outputs:
        """The network's outputs for ``patches (N,3,256,256)``, by name."""
        parts = [
            self.session.run(list(OUTPUTS), {"image": patches[i : i + CHUNK]})
            for i in range(0, len(patches), CHUNK)
        ]
        return {name: np.concatenate(columns) for name, *columns in zip(OUTPUTS, *parts, strict=True)}

    def _seen(
        self, pixels: NDArray[np.uint8], crops: NDArray, rolls: NDArray
    ) -> tuple[Outputs, NDArray, NDArray]:
        return self.run(cut(pixels, crops, rolls=rolls)), crops, rolls

    def _place(self, out: Outputs, crops: NDArray, rolls: NDArray, boxes: NDArray, camera: Camera) -> People:
        rotation, focal = virtual_cameras(crops, camera, rolls)
        depth = depths(out["vertices_lixel"])
        root = out["scale_m"] * focal / (crops[:, 2] / LIXELS)
        root = np.maximum(root, NEAR_M - depth.min(1))
        coarse = restore(out["vertices_lixel"], crops, rotation, root, camera, rolls)
        # Metres a lixel: across the gaze at the pelvis' depth, and along it.
        step = np.stack([out["scale_m"], out["scale_m"], np.full_like(out["scale_m"], DEPTH_M / LIXELS)], -1)
        sigma = unrolled_sigma(out["vertices_sigma"] * step[:, None], rolls)
        joints_sigma = unrolled_sigma(out["joints_sigma"] * step[:, None], rolls)
        # Neighbours err alike, so deviations are carried over like positions; the matrix extrapolates a
        # little, hence the limits.
        spread = np.clip(self._mesh.upsample(sigma), sigma.min(1, keepdims=True), sigma.max(1, keepdims=True))
        keypoints = Keypoints(COCO, pose2d(out, crops, rolls), camera.image_size, boxes)
        turned = out["rotations"].astype(np.float64)
        turned[:, 0] = rotation.swapaxes(-1, -2) @ turned[:, 0]
        rig = self._fit(coarse, sigma, turned, out["betas"])
        skinned, _ = skin(self.body, rig.pose, rig.betas)
        rig.translation[:, 2] += np.maximum(NEAR_M - (skinned[..., 2].min(1) + rig.translation[:, 2]), 0)
        return People(
            self.body,
            camera,
            keypoints,
            skinned + rig.translation[:, None].astype(np.float32),
            rig,
            Sigma(spread, joints_sigma),
            lixel_vertices=self._mesh.upsample(coarse.astype(np.float32)),
        )


def pose2d(out: Outputs, crops: NDArray, rolls: NDArray | None = None) -> NDArray[np.float32]:
    """The network's own 2D joints ``(N,19,3)`` in pixels, with a confidence from their spread."""
    spread_m = np.sqrt((out["joints_sigma"][..., :2] ** 2).mean(-1)) * out["scale_m"][:, None]
    confidence = np.maximum(1 / (1 + (spread_m / HALF_CONFIDENCE_M) ** 2), 0.01)
    return np.concatenate([picture_px(out["joints_lixel"], crops, rolls), confidence[..., None]], -1).astype(
        np.float32
    )


def depths(lixels: NDArray) -> NDArray[np.float64]:
    """Metres ``(N,P)`` behind the pelvis along the gaze of the virtual camera, of lixels ``(N,P,3)``."""
    return (lixels[..., 2].astype(np.float64) / LIXELS - 0.5) * DEPTH_M


def restore(
    lixels: NDArray,
    crops: NDArray,
    rotation: NDArray,
    root: NDArray,
    camera: Camera,
    rolls: NDArray | None = None,
) -> NDArray[np.float64]:
    """Camera coordinates ``(N,P,3)`` in metres of lixels: each lies on the ray through its own pixel, ``root
    (N,)`` plus its depth along the gaze of the virtual camera ``rotation (N,3,3)`` (exact inverse of the
    training targets; ours)."""
    rays = camera.rays(picture_px(lixels, crops, rolls))
    along = (rays @ rotation.swapaxes(-1, -2))[..., 2:]
    return rays * ((root[:, None] + depths(lixels))[..., None] / np.maximum(along, 0.05))
