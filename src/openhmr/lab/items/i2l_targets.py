"""Where a sample's joints and its fitted body lie in the lixel grid, and whether the two agree.

Source: docs/originals/i2l_meshnet.md, "Coordinates" and "Targets".

Lixels ``(x, y, z)`` lie in [0, 64): x and y are patch pixels over 4, z spans ``box_m`` metres about the root.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.body import Body
from openhmr.bodies.mano import mano_joints21
from openhmr.bodies.skinning import skin
from openhmr.bodies.smpl import face_regressor
from openhmr.errors import InputError
from openhmr.geometry.pinhole import cam2pixel, pixel2cam
from openhmr.joints import HUMAN36_TOP, SMPL
from openhmr.joints.coco import COCO17
from openhmr.lab.crops.i2l_meshnet import apply_affine, patch_affines
from openhmr.lab.data.types import Sample
from openhmr.predict.person_crop import LIXELS, PATCH

FIT_LIMIT_MM, FIT_LIMIT_LIXELS = 25.0, 3.0
"""A fit that lies further than this from the annotated joints is masked out (sets with and without 3D
joints)."""


@dataclass(frozen=True)
class JointTargets:
    """The data set's joints, mirrored if asked: lixels ``(J,3)``, metres relative to the root ``(J,3)``,
    masks ``(J,1)``."""

    lixel: NDArray
    relative_m: NDArray
    valid: NDArray
    seen: NDArray


@dataclass(frozen=True)
class FitTargets:
    """The body model in the camera (metres) and in lixels, mirrored if asked; ``*_seen (.,1)`` is 1 inside
    the grid."""

    mesh_cam_m: NDArray
    mesh_lixel: NDArray
    mesh_seen: NDArray
    joints_lixel: NDArray
    joints_seen: NDArray
    relative_m: NDArray


def lixels(pixels: NDArray, depth_m: NDArray, affine: NDArray, box_m: float) -> NDArray:
    """``(N,3)`` from image ``pixels (N,2)``, depths relative to the root ``(N,)`` and the ``(2,3)`` map into
    the patch."""
    xy = apply_affine(affine, pixels) / PATCH * LIXELS
    return np.concatenate([xy, (depth_m[:, None] / (box_m / 2) + 1) / 2 * LIXELS], axis=1)


def lixels_to_camera(points: NDArray, sample: Sample, box_m: float) -> NDArray[np.float64]:
    """The inverse of :func:`lixels` for a test sample: ``points (N,3)`` in metres of its camera, at its root
    depth."""
    _, back = patch_affines(sample.crop_xywh)
    points = np.asarray(points, np.float64)
    pixels = apply_affine(back, points[:, :2] / LIXELS * PATCH)
    depth = (points[:, 2:] / LIXELS * 2 - 1) * (box_m / 2) + sample.root_depth_m
    return pixel2cam(np.concatenate([pixels, depth], axis=1), sample.focal_px, sample.principal_px)


def inside(points: NDArray) -> NDArray[np.float32]:
    """``(N,1)``: 1 where all coordinates of ``points (N,2|3)`` lie in the grid."""
    return np.all((points >= 0) & (points < LIXELS), axis=1, keepdims=True).astype(np.float32)


def joint_targets(sample: Sample, affine: NDArray, flip: bool, box_m: float) -> JointTargets:
    """Joints of the data set. Without 3D the third coordinate is 0 (not the 32 of the root), and whether a
    joint is seen depends on x and y alone."""
    pixels, relative = sample.joints_px.copy(), np.zeros((len(sample.joints_px), 3), np.float32)
    if sample.has_3d:
        relative = sample.joints_cam_m - sample.joints_cam_m[sample.joint_set.root]
    valid = sample.joints_valid
    if flip:
        swap = sample.joint_set.flip_permutation
        pixels[:, 0] = sample.image_hw[1] - 1 - pixels[:, 0]
        pixels, relative, valid = pixels[swap], (relative * (-1, 1, 1))[swap], valid[swap]
    out = lixels(pixels, relative[:, 2], affine, box_m)
    if not sample.has_3d:
        out[:, 2] = 0
    seen = valid[:, None] * inside(out if sample.has_3d else out[:, :2])
    return JointTargets(out, relative, valid[:, None], seen)


def fitted_pose(sample: Sample, flip: bool) -> NDArray[np.float32]:
    """Axis-angle pose ``(P,3)`` of the fit, mirrored if asked."""
    if not flip:
        return sample.pose
    return np.asarray(sample.pose[SMPL.flip_permutation] * (1, -1, -1), np.float32)


def fit_targets(sample: Sample, body: Body, affine: NDArray, flip: bool, box_m: float) -> FitTargets:
    """The fit of ``sample`` skinned, mirrored if asked, and projected."""
    mesh, own = skin(body, fitted_pose(sample, flip), sample.betas, sample.trans_m)
    joints = (
        mano_joints21(mesh, own)
        if body.hands_mean is not None
        else np.concatenate([own, face_regressor(body) @ mesh])
    )
    if flip:
        # A mirrored pose still stands where the original does: it is moved so that its root appears at the
        # mirrored place.
        offset = (sample.image_hw[1] - 1) / 2 - sample.principal_px[0]
        shift = 2 * offset / sample.focal_px[0] * joints[0, 2] - 2 * joints[0, 0]
        moved = np.array([shift, 0, 0], np.float32)
        mesh, joints = mesh + moved, joints + moved
    points = np.concatenate([mesh, joints])
    pixels = cam2pixel(points, sample.focal_px, sample.principal_px)[:, :2]
    grid = lixels(pixels, points[:, 2] - joints[0, 2], affine, box_m)
    m, j = grid[: len(mesh)], grid[len(mesh) :]
    return FitTargets(mesh, m, inside(m), j, inside(j), joints - joints[0])


def no_fit(vertices: int, joints: int) -> FitTargets:
    """Zeros, masked out."""
    mesh, points = np.zeros((vertices, 3), np.float32), np.zeros((joints, 3), np.float32)
    return FitTargets(mesh, mesh, mesh[:, :1], points, points[:, :1], points)


def fit_agrees(
    sample: Sample, body: Body, given: JointTargets, fit: FitTargets, affine: NDArray, pelvis_product: bool
) -> bool:
    """Whether the fit lies near the annotated joints: in 3D up to a translation, else in the patch."""
    if sample.has_3d:
        rows = [
            (a, sample.joint_set.names.index(n))
            for a, n in enumerate(HUMAN36_TOP.names)
            if n in sample.joint_set.names
        ]
        fitted_rows, given_rows = (list(r) for r in zip(*rows, strict=True))
        fitted, truth = regressor(body, "human36")[fitted_rows] @ fit.mesh_cam_m, given.relative_m[given_rows]
        difference = (fitted - fitted.mean(0)) - (truth - truth.mean(0))
        return bool(np.linalg.norm(difference, axis=1).mean() * 1000 <= FIT_LIMIT_MM)
    joints = regressor(body, "coco")[: len(COCO17)] @ fit.mesh_cam_m
    hips = joints[[sample.joint_set.names.index(n) for n in ("L_Hip", "R_Hip")]]
    pelvis = hips.mean(0, keepdims=True)
    if pelvis_product:
        pelvis[0, 2] = hips[0, 2] * hips[1, 2]
    pixels = cam2pixel(np.concatenate([joints, pelvis]), sample.focal_px, sample.principal_px)[:, :2]
    distance = np.linalg.norm(apply_affine(affine, pixels) / PATCH * LIXELS - given.lixel[:, :2], axis=1)
    chosen = given.valid[:, 0] > 0
    return bool(chosen.any() and distance[chosen].mean() <= FIT_LIMIT_LIXELS)


def regressor(body: Body, name: str) -> NDArray[np.float32]:
    """The body's joint regressor ``name``; raises :class:`InputError` if it has none."""
    if not body.has_joint_regressor(name):
        raise InputError(
            f"body has no joint regressor {name!r} to check fits with; add it with "
            f"openhmr.lab.data.regressors.add"
        )
    return body.joint_regressor(name)
