"""Inputs and targets of the official I2L-MeshNet, made from the samples of any data set.

Source: docs/originals/i2l_meshnet.md, "Boxes and crops", "Augmentation" and "Targets".

Targets bear the official names: ``orig_*`` come from the data set's own joints, ``fit_*`` from the body model
fitted to them.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import cos, pi, sin
from typing import Literal

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from openhmr.bodies.body import Body
from openhmr.bodies.skinning import skin
from openhmr.errors import InputError
from openhmr.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from openhmr.io.images import read_image
from openhmr.joints import MANO, SMPL29, JointSet
from openhmr.joints.joint_set import transfer
from openhmr.lab.crops.i2l_meshnet import crop_square, cut_patch, patch_affines
from openhmr.lab.data.types import Sample, Samples
from openhmr.lab.items.i2l_augmentation import Augmentation, draw_augmentation
from openhmr.lab.items.i2l_targets import fit_agrees, fit_targets, fitted_pose, joint_targets, no_fit
from openhmr.predict.person_crop import DEPTH_M

BOX_M = {"body": DEPTH_M, "hand": 0.3}
"""Metres that the 64 lixels of depth span."""
BETA_LIMIT = 3.0

Arrays = dict[str, NDArray]
Triple = tuple[Arrays, Arrays, Arrays]


@dataclass(frozen=True)
class InputQuirks:
    """Oddities of the original; its own behaviour is the default."""

    shift_boxes: bool = True
    """In training a box that begins left of or above the picture is moved into it at full size, not cut."""
    zero_large_betas: bool = True
    """A fitted body with any coefficient beyond 3 has a shape target of zero, though its mesh keeps the
    shape."""
    coco_pelvis_product: bool = True
    """When COCO's fits are checked, the depth of the pelvis is the product of the hips' depths, not their
    mean."""
    ignore_hand_joints: bool = True
    """FreiHAND's annotated joints are masked out: only the body model's are trained on."""


@dataclass(frozen=True)
class Preparation:
    """How samples become inputs of the network for ``body`` (SMPL for ``kind`` ``body``, MANO for ``hand``).

    Fits are checked with the body's joint regressors ``human36`` and, for sets without 3D joints, ``coco``.
    The truth of 3DPW is skinned with the ``gendered`` body of its annotation.
    """

    kind: Literal["body", "hand"]
    body: Body
    gendered: Mapping[str, Body] = field(default_factory=dict)
    quirks: InputQuirks = InputQuirks()

    @property
    def joint_set(self) -> JointSet:
        return MANO if self.kind == "hand" else SMPL29

    def train(self, sample: Sample, augmentation: Augmentation) -> Triple:
        """``inputs``, ``targets`` and ``meta_info`` of a training sample, all float32.

        ``img (3,256,256)`` in [0,1]; ``orig_joint_img``, ``fit_joint_img (J,3)``, ``fit_mesh_img (V,3)`` in
        lixels; ``orig_joint_cam``, ``fit_joint_cam (J,3)`` relative to the root in metres (a hand's
        ``fit_joint_cam`` in millimetres); ``pose_param (3P,)``, ``shape_param (10,)``; masks ``(.,1)``.
        Raises :class:`InputError` for an unreadable picture.
        """
        a, box_m = augmentation, BOX_M[self.kind]
        if a.flip and self.kind == "hand":
            raise InputError(
                "a hand cannot be mirrored, MANO is a right one; draw the augmentation without flips"
            )
        affine, _ = patch_affines(
            self._square(sample), a.scale, a.rotation_deg, sample.image_hw[1] if a.flip else 0
        )
        given, betas, valid_fit = joint_targets(sample, affine, a.flip, box_m), sample.betas, False
        if sample.has_fit:
            fit = fit_targets(sample, self.body, affine, a.flip, box_m)
            product = self.quirks.coco_pelvis_product
            valid_fit = sample.exact_fit or fit_agrees(sample, self.body, given, fit, affine, product)
            if self.quirks.zero_large_betas and self.kind == "body" and np.any(np.abs(betas) > BETA_LIMIT):
                betas = np.zeros_like(betas)
        else:
            fit = no_fit(self.body.num_vertices, self.joint_set.size)
        # The turn is about the optical axis through the root: only nearly what turning the picture does.
        turn, pose = _about_z(-a.rotation_deg), fitted_pose(sample, a.flip).copy()
        pose[0] = matrix_to_axis_angle(turn @ axis_angle_to_matrix(pose[0].astype(np.float64)))
        used = 0 if self.kind == "hand" and self.quirks.ignore_hand_joints else 1

        def to_set(values):
            return transfer(values * used, sample.joint_set, self.joint_set)

        targets = {
            "orig_joint_img": to_set(given.lixel),
            "fit_joint_img": fit.joints_lixel,
            "fit_mesh_img": fit.mesh_lixel,
            "orig_joint_cam": to_set(given.relative_m @ turn.T),
            "fit_joint_cam": fit.relative_m @ turn.T * (1000 if self.kind == "hand" else 1),
            "pose_param": pose.reshape(-1),
            "shape_param": betas,
        }
        meta = {
            "orig_joint_valid": to_set(given.valid),
            "orig_joint_trunc": to_set(given.seen),
            "fit_joint_trunc": fit.joints_seen,
            "fit_mesh_trunc": fit.mesh_seen,
            "is_valid_fit": np.array(valid_fit),
            "is_3D": np.array(sample.has_3d),
        }
        return {"img": _image(sample, affine, a)}, _float32(targets), _float32(meta)

    def _square(self, sample: Sample) -> NDArray:
        # A box wholly outside the picture gives no square; the official one then serves as well as any.
        cut = None if self.quirks.shift_boxes else crop_square(sample.box_xywh, sample.image_hw, shift=False)
        return sample.crop_xywh if cut is None else cut

    def test(self, sample: Sample) -> Triple:
        """The same of a test sample: ``img``; for 3DPW ``fit_mesh_coord_cam (V,3)`` in metres; ``bb2img_trans
        (2,3)``."""
        affine, back = patch_affines(sample.crop_xywh)
        return (
            {"img": _image(sample, affine, Augmentation())},
            _float32(self.truth(sample)),
            {"bb2img_trans": back},
        )

    def truth(self, sample: Sample) -> Arrays:
        """The target of :meth:`test`, without reading the picture."""
        if sample.dataset != "PW3D":
            return {}
        if sample.gender not in self.gendered:
            raise InputError(
                f"3DPW annotation {sample.sample_id} needs the {sample.gender} SMPL body; pass all three as "
                f"gendered"
            )
        return {
            "fit_mesh_coord_cam": skin(
                self.gendered[sample.gender], sample.pose, sample.betas, sample.trans_m
            )[0]
        }


@dataclass(frozen=True)
class I2LItems:
    """A data set prepared for training: inputs, targets and masks of a sample in one mapping."""

    samples: Samples
    preparation: Preparation

    def __len__(self) -> int:
        return len(self.samples)

    def item(self, index: int, rng: RandomState | None = None, picker: random.Random | None = None) -> Arrays:
        """Sample ``index``, augmented by draws from the two generators (global ones if not given)."""
        inputs, targets, meta = self.preparation.train(
            self.samples[index], draw_augmentation(self.preparation.kind == "body", rng, picker)
        )
        return inputs | targets | meta


def _about_z(angle_deg: float) -> NDArray[np.float32]:
    r = angle_deg * pi / 180
    return np.array([[cos(r), -sin(r), 0], [sin(r), cos(r), 0], [0, 0, 1]], np.float32)


def _image(sample: Sample, affine: NDArray, augmentation: Augmentation) -> NDArray[np.float32]:
    try:
        image = read_image(sample.image_path, upright=False)
    except InputError as error:
        raise InputError(f"{sample.dataset} sample {sample.sample_id}: {error}") from None
    if image.shape[:2] != sample.image_hw:
        raise InputError(
            f"{sample.dataset} sample {sample.sample_id}: {sample.image_path} has height and width "
            f"{image.shape[:2]}, its annotation says "
            f"{sample.image_hw}; use the original picture"
        )
    patch = cut_patch(image, affine, augmentation.flip)
    if augmentation.colour != (1.0, 1.0, 1.0):
        patch = np.clip(patch * np.array(augmentation.colour), 0, 255).astype(np.float32)
    return np.ascontiguousarray(patch.transpose(2, 0, 1)) / np.float32(255)


def _float32(arrays: Mapping[str, NDArray]) -> Arrays:
    return {k: np.asarray(v, np.float32) for k, v in arrays.items()}
