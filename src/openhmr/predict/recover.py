"""I2L-MeshNet at run time: a photo and boxes in, placed meshes with their uncertainty out, through one ONNX
file."""

import os
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from openhmr.bodies.body import Body
from openhmr.bodies.skinning import skin
from openhmr.errors import InputError
from openhmr.geometry.camera_fit import NEAR_M, fit_translation, intrinsics
from openhmr.geometry.rotations import matrix_to_axis_angle
from openhmr.joints import COCO
from openhmr.predict.coarse_mesh import CoarseMesh, joint_regressors
from openhmr.predict.person_crop import (
    DEPTH_M,
    LIXELS,
    check_boxes,
    cut,
    picture_px,
    squares,
    virtual_cameras,
)
from openhmr.predict.pose_fit import PoseFit
from openhmr.predict.result import Recovered
from openhmr.predict.search import find_person
from openhmr.predict.session import open_session

KIND = "i2l-body"
CHUNK = 8
"""Crops per network call; bounds the memory of a crowd."""
HALF_CONFIDENCE_M = 0.10
"""A 2D joint whose standard deviation is this gets confidence 0.5 (ours; a lift is trained with 0.55 for
misplaced joints)."""

Outputs = dict[str, NDArray[np.float32]]


class Recoverer:
    """A compact I2L-MeshNet and the body it was trained on: ``recoverer(image, boxes) -> Recovered``.

    The ONNX file takes ``image (B,3,256,256)`` RGB in [0,1] and returns ``joints_lixel, joints_sigma
    (B,19,3)``, ``vertices_lixel, vertices_sigma (B,Vc,3)`` (level ``coarse``), ``scale_m (B,)``, ``rotations
    (B,24,3,3)`` and ``betas (B,S)``. Its metadata holds ``kind`` = i2l-body and ``body``
    (:meth:`Body.content_hash`). Raises :class:`InputError` if the file is missing, is no such model, or
    belongs to another body.
    """

    def __init__(self, onnx_path: str | Path, body: Body) -> None:
        self.session = open_session(onnx_path, threads=min(4, os.cpu_count() or 1))
        metadata = self.session.get_modelmeta().custom_metadata_map
        kind, made_for = metadata.get("kind", ""), metadata.get("body")
        if kind != KIND or made_for != body.content_hash():
            raise InputError(
                f"{onnx_path} says kind {kind!r} and body {made_for!r}; needed are kind {KIND!r} and body "
                f"{body.content_hash()!r}: "
                "use the model and the body of one export"
            )
        self.body = body
        self._mesh, self._regressors, self._pose_fit = CoarseMesh(body), joint_regressors(body), PoseFit(body)

    def __call__(
        self,
        image: NDArray[np.uint8],
        boxes: ArrayLike | None = None,
        focal: float | None = None,
        K: NDArray | None = None,
    ) -> Recovered:
        """Recover the people in ``boxes (N,4)`` (x, y, width, height in pixels; one row may go without its
        axis) of ``image``.

        ``image (height, width, 3)`` RGB uint8. Without boxes the one most certain person is searched.
        ``focal`` in pixels, or the whole ``K (3,3)``, fix the camera; without, the field of view is taken as
        52 degrees. Raises :class:`InputError`.
        """
        if (
            not isinstance(image, np.ndarray)
            or image.dtype != np.uint8
            or image.ndim != 3
            or image.shape[2] != 3
            or not image.size
        ):
            given = (
                f"{image.dtype} of shape {image.shape}"
                if isinstance(image, np.ndarray)
                else type(image).__name__
            )
            raise InputError(
                f"image is {given}; RGB uint8 of shape (height, width, 3) is needed: "
                f"openhmr.io.images.read_photo(path).image"
            )
        size = (image.shape[0], image.shape[1])
        camera = intrinsics(size, focal) if K is None else camera_matrix(K)
        found = find_person(self.run, image) if boxes is None else check_boxes(boxes, size)
        crops = squares(found)
        out = self.run(cut(image, crops))
        return self._place(out, found, crops, camera, size)

    def run(self, patches: NDArray[np.float32]) -> Outputs:
        """The network's outputs for ``patches (N,3,256,256)``, by name."""
        names = [o.name for o in self.session.get_outputs()]
        parts = [
            self.session.run(names, {"image": patches[i : i + CHUNK]}) for i in range(0, len(patches), CHUNK)
        ]
        return {
            name: np.concatenate(columns)
            for name, columns in zip(names, zip(*parts, strict=True), strict=True)
        }

    def _place(
        self, out: Outputs, boxes: NDArray, crops: NDArray, K: NDArray, size: tuple[int, int]
    ) -> Recovered:
        rotation, focal = virtual_cameras(crops, K)
        depth = depths(out["vertices_lixel"])
        root = out["scale_m"] * focal / (crops[:, 2] / LIXELS)
        root = np.maximum(root, NEAR_M - depth.min(1))
        coarse = restore(out["vertices_lixel"], crops, rotation, root, K).astype(np.float32)
        joints = self._mesh.joints(coarse)
        pose2d = self._pose2d(out, crops)
        # Metres a lixel: across the gaze at the pelvis' depth, and along it.
        step = np.stack([out["scale_m"], out["scale_m"], np.full_like(out["scale_m"], DEPTH_M / LIXELS)], -1)[
            :, None
        ]
        sigma = out["vertices_sigma"] * step
        # Neighbours err alike, so deviations are carried over like positions; the matrix extrapolates a
        # little, hence the limits.
        spread = np.clip(self._mesh.upsample(sigma), sigma.min(1, keepdims=True), sigma.max(1, keepdims=True))
        turned = out["rotations"].astype(np.float64)
        turned[:, 0] = rotation.swapaxes(-1, -2) @ turned[:, 0]
        regressed, _ = skin(self.body, matrix_to_axis_angle(turned).astype(np.float32), out["betas"])
        pose = matrix_to_axis_angle(self._pose_fit(coarse, sigma, regressed, turned)).astype(np.float32)
        skinned, _ = skin(self.body, pose, out["betas"])
        local = {name: np.matmul(regressor, skinned) for name, regressor in self._regressors.items()}
        shift = fit_translation(local["coco"], pose2d[..., :2], pose2d[..., 2], K)
        moved = shift[:, None].astype(np.float32)
        return Recovered(
            self._mesh.upsample(coarse),
            self.body.faces,
            joints,
            K,
            joints["human36"][:, 0].astype(np.float64),
            size,
            pose2d,
            COCO,
            boxes,
            spread,
            out["joints_sigma"] * step,
            pose,
            out["betas"],
            skinned + moved,
            {k: v + moved for k, v in local.items()},
            shift,
        )

    def _pose2d(self, out: Outputs, crops: NDArray) -> NDArray[np.float32]:
        """The network's own 2D joints ``(N,19,3)`` in pixels, with a confidence from their spread."""
        spread_m = np.sqrt((out["joints_sigma"][..., :2] ** 2).mean(-1)) * out["scale_m"][:, None]
        confidence = 1 / (1 + (spread_m / HALF_CONFIDENCE_M) ** 2)
        return np.concatenate(
            [picture_px(out["joints_lixel"], crops), np.maximum(confidence, 0.01)[..., None]], -1
        ).astype(np.float32)


def camera_matrix(K: ArrayLike) -> NDArray[np.float64]:
    """``K (3,3)`` as float64. Raises :class:`InputError` if it is no camera matrix."""
    try:
        camera = np.asarray(K, np.float64)
    except (TypeError, ValueError):
        camera = np.zeros(0)
    if (
        camera.shape != (3, 3)
        or not np.isfinite(camera).all()
        or min(camera[0, 0], camera[1, 1]) <= 0
        or (camera[2] != (0, 0, 1)).any()
    ):
        raise InputError(
            f"K is {K!r}; a 3 x 3 camera matrix with positive focal lengths in pixels and a last row of 0, "
            f"0, 1 is needed"
        )
    return camera


def depths(lixels: NDArray) -> NDArray[np.float64]:
    """Metres ``(N,P)`` behind the pelvis along the gaze of the virtual camera, of lixels ``(N,P,3)``."""
    return (lixels[..., 2].astype(np.float64) / LIXELS - 0.5) * DEPTH_M


def restore(
    lixels: NDArray, crops: NDArray, rotation: NDArray, root: NDArray, K: NDArray
) -> NDArray[np.float64]:
    """Camera coordinates ``(N,P,3)`` in metres of lixels: each lies on the ray through its own pixel, ``root
    (N,)`` plus its depth along the gaze of the virtual camera ``rotation (N,3,3)`` (exact inverse of the
    training targets; ours)."""
    xy = (picture_px(lixels, crops) - K[:2, 2]) / K[(0, 1), (0, 1)]
    rays = np.concatenate([xy, np.ones_like(xy[..., :1])], -1)
    along = (rays @ rotation.swapaxes(-1, -2))[..., 2:]
    return rays * ((root[:, None] + depths(lixels))[..., None] / np.maximum(along, 0.05))
