"""Inputs and targets of the official Pose2Mesh, made from the samples of any data set.

Source: docs/originals/pose2mesh.md, "2D normalisation", "Augmentation" and "Data sets".
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from openhmr.bodies.body import Body
from openhmr.bodies.mano import mano_joints21
from openhmr.bodies.skinning import skin
from openhmr.errors import InputError
from openhmr.geometry.pinhole import cam2pixel
from openhmr.joints import COCO, HUMAN36, MANO, SMPL, JointSet
from openhmr.joints.coco import COCO17
from openhmr.lab.crops.pose2mesh import (
    CROP_SIZE,
    j2d_processing,
    j3d_processing,
    standardise_axes,
    tight_box,
    widened_box,
)
from openhmr.lab.data.noise import ERROR_FRAME_PX, box_area, human36_error, synthesize_pose
from openhmr.lab.data.types import Sample, Samples
from openhmr.lab.items.fit_errors import LIMITS, centred_error, muco_error, pixel_error

NOISY = ("Human36M", "MuCo", "COCO", "AMASS")
"""Data sets whose clean 2D poses get synthetic errors in training."""
FLIPPED_FIRST = ("MuCo", "SURREAL")
"""Data sets whose 2D poses are mirrored before the errors are put on them."""
MEASURED = {"SURREAL": SMPL, "FreiHAND": MANO}
"""Data sets that have one joint set only: the body model's own."""
HALF = 0.5

Arrays = dict[str, NDArray]


@dataclass(frozen=True)
class PoseQuirks:
    """Oddities of the original; its own behaviour is the default."""

    muco_filter: Literal["official", "fixed"] = "official"
    """official: MuCo's fits are compared with the wrong joints, so that all are masked out in stage 2."""
    muco_noise_processed: bool = True
    """MuCo's synthetic 2D errors are sized by the widened box, those of other data sets by the tight one."""
    clean_pelvis_neck: bool = True
    """Synthetic errors of COCO joints leave Pelvis and Neck where they truly are."""
    truth_box: bool = True
    """Human3.6M's detections are cropped by the box of the true pose."""
    detections_by_position: bool = True
    """Human3.6M's detections are matched by position in the order of names, not by name."""
    turn_lift_only: bool = True
    """Flips and turns reach the 2D pose and the lifted pose, not the mesh and its joints."""
    own_lift_root: bool = True
    """COCO's 3D pose is relative to the middle of its hips, the mesh to Human3.6M's pelvis."""
    surreal_repeat_first: bool = True
    """SURREAL's first training sample comes twice."""
    amass_any_case: bool = False
    """False: AMASS folders must be named CMU and BML, in capitals (the original's README says cmu)."""


@dataclass(frozen=True)
class Truth:
    """One sample in the camera: what is supervised and what the clean 2D pose is.

    ``mesh_m (V,3)``, ``joints_mm (Jt,3)`` and ``lift_mm (J,3)`` are relative to their roots; ``pixels (J,2)``
    of the input joints; the three masks are 0 or 1. All zero where a sample has no truth.
    """

    mesh_m: NDArray
    joints_mm: NDArray
    lift_mm: NDArray
    pixels: NDArray
    mesh_valid: float = 1.0
    joints_valid: float = 1.0
    lift_valid: float = 1.0


@dataclass(frozen=True)
class PoseItems:
    """``samples`` prepared for a network of ``joint_set``; ``body`` is neutral SMPL (MANO for hands) with the
    data sets' regressors.

    ``posenet`` says that stage 1 is trained (it has no filter for MuCo). ``flip`` and ``rotate_factor``
    (degrees) augment in training. Raises :class:`InputError` where a data set does not have the joints.
    """

    samples: Samples
    joint_set: JointSet
    body: Body
    gendered: Mapping[str, Body] = field(default_factory=dict)
    train: bool = True
    use_gt_input: bool = False
    posenet: bool = False
    flip: bool = False
    rotate_factor: float = 0.0
    quirks: PoseQuirks = PoseQuirks()

    def __len__(self) -> int:
        return len(self.samples)

    def tag(self, index: int) -> str:
        """Video and person of a sample where there is one, else its picture's path."""
        sample = self.samples[index]
        return sample.video or str(sample.image_path)

    def item(self, index: int, rng: RandomState, picker: random.Random) -> Arrays:
        """``pose2d (J,2)`` standardised, ``lift_pose3d (J,3)``, ``reg_pose3d (Jt,3)`` mm, ``mesh (V,3)`` m,
        ``*_valid (.,1)``; float32.

        The two generators are called in the original's order.
        """
        sample = self.samples[index]
        truth = self.truth(sample)
        flip, turn = False, 0.0
        if self.train and sample.dataset != "FreiHAND":
            flip, turn = draw_flip_and_turn(self.flip, self.rotate_factor, rng, picker)
        pose2d = self._pose2d(sample, truth, flip, turn, rng, picker)
        pairs, mesh, joints = self.joint_set.flip_pairs, truth.mesh_m, truth.joints_mm
        if not self.quirks.turn_lift_only:
            mesh = j3d_processing(self._mirrored(sample, mesh) if flip else mesh, turn, False, ())
            joints = j3d_processing(joints, turn, flip, (MEASURED.get(sample.dataset) or HUMAN36).flip_pairs)

        def mask(count, value):
            return np.full((count, 1), value, np.float32)

        return {
            "pose2d": pose2d,
            "mesh": np.asarray(mesh, np.float32),
            "mesh_valid": mask(len(mesh), truth.mesh_valid),
            "reg_pose3d": np.asarray(joints, np.float32),
            "reg_pose3d_valid": mask(len(joints), truth.joints_valid),
            "lift_pose3d": j3d_processing(truth.lift_mm, turn, flip, pairs),
            "lift_pose3d_valid": mask(len(truth.lift_mm), truth.lift_valid),
        }

    def truth(self, sample: Sample) -> Truth:
        """The body of ``sample`` and its joints, and whether they count."""
        wanted = MEASURED.get(sample.dataset)
        allowed = (wanted,) if wanted else (COCO,) if sample.dataset == "PW3D" else (COCO, HUMAN36)
        if self.joint_set not in allowed:
            names = " or ".join(s.name for s in allowed)
            raise InputError(
                f"{sample.dataset} gives the joints {names}, the network takes {self.joint_set.name}; "
                f"choose another data set"
            )
        body = self._body(sample)
        if wanted is not None and not sample.has_fit:
            zeros = np.zeros((wanted.size, 3), np.float32)
            return Truth(np.zeros_like(body.v_template), zeros, zeros, zeros[:, :2], 0, 0, 0)
        mesh, own = skin(body, sample.pose, sample.betas, sample.trans_m)
        if wanted is not None:
            joints = own if wanted == SMPL else mano_joints21(mesh, own)
            relative = (joints - joints[wanted.root]) * 1000
            return Truth(mesh - joints[wanted.root], relative, relative, _project(sample, joints))
        human36 = self._regressor("human36") @ mesh
        annotated = sample.joints_cam_m if sample.dataset == "Human36M" else human36
        mesh_root = annotated[HUMAN36.root]
        lift, pixels, lift_root = annotated, sample.joints_px, mesh_root
        if self.joint_set == COCO:
            lift = COCO.complete(self._regressor("coco") @ mesh)
            lift_root = lift[COCO.root] if self.quirks.own_lift_root else mesh_root
        if self.joint_set == COCO or sample.dataset != "Human36M":
            pixels = _project(sample, lift)
        masks = self._masks(sample, mesh, human36, pixels)
        return Truth(
            mesh - mesh_root, (annotated - mesh_root) * 1000, (lift - lift_root) * 1000, pixels, *masks
        )

    def _masks(
        self, sample: Sample, mesh: NDArray, human36: NDArray, pixels: NDArray
    ) -> tuple[float, float, float]:
        """Whether mesh, its joints and the lifted pose count; a nan error does."""
        limit = LIMITS.get(sample.dataset, 0)
        if sample.dataset == "Human36M" and centred_error(sample.joints_cam_m, human36) * 1000 > limit:
            return 0, 1, float(self.joint_set != COCO)
        if sample.dataset == "MuCo" and not self.posenet:
            other = sample.joints_cam_m if self.quirks.muco_filter == "fixed" else human36
            if muco_error(human36, other) * 1000 > limit:
                return 0, 0, 0
        if sample.dataset == "COCO":
            fitted = _project(sample, self._regressor("coco")[: len(COCO17)] @ mesh)
            keypoints, visible = sample.joints_px[: len(COCO17)], sample.joints_valid[: len(COCO17)]
            if pixel_error(tight_box(pixels), keypoints, fitted, visible) > limit:
                return 0, 0, 0
        return 1, 1, 1

    def _pose2d(
        self, sample: Sample, truth: Truth, flip: bool, turn: float, rng: RandomState, picker: random.Random
    ) -> NDArray[np.float32]:
        points, boxed = self._detected(sample, truth), None
        if sample.dataset == "Human36M" and self.quirks.truth_box:
            boxed = truth.pixels
        tight = tight_box(points if boxed is None else boxed)
        box = widened_box(tight)
        if box is None:
            raise InputError(
                f"{sample.dataset} sample {sample.sample_id}: the 2D pose has no extent; correct or remove "
                f"this sample"
            )
        first = sample.dataset in FLIPPED_FIRST
        xy, affine = j2d_processing(points, CROP_SIZE, box, turn, flip and first, self.joint_set.flip_pairs)
        if self.train and not self.use_gt_input and sample.dataset in NOISY:
            widened = sample.dataset == "MuCo" and self.quirks.muco_noise_processed
            xy = self._disturbed(xy, box_area(box if widened else tight, affine), rng, picker)
        if flip and not first:
            xy[:, 0] = CROP_SIZE[0] - xy[:, 0] - 1
            xy = xy[self.joint_set.flip_permutation]
        return standardise_axes(xy / np.array(CROP_SIZE, np.float32))

    def _detected(self, sample: Sample, truth: Truth) -> NDArray:
        found = sample.detected_px
        if not len(found):
            return truth.pixels
        # Human3.6M's 17 detected joints are its own, all others' are COCO's.
        if self.joint_set == COCO and sample.dataset != "Human36M" and len(found) == len(COCO17):
            return COCO.complete(found)
        if len(found) != self.joint_set.size:
            raise InputError(
                f"{sample.dataset} has detections of {len(found)} joints, the network takes "
                f"{self.joint_set.name}; set use_gt_input"
            )
        return found

    def _disturbed(
        self, xy: NDArray[np.float32], area: float, rng: RandomState, picker: random.Random
    ) -> NDArray[np.float32]:
        """Cropped joints with the errors of a detector."""
        if self.joint_set == HUMAN36:
            return (xy + human36_error(rng) / ERROR_FRAME_PX * np.array(CROP_SIZE)).astype(np.float32)
        count = len(COCO17)
        joints = np.concatenate([xy[:count], np.ones((count, 1), np.float32)], axis=1)
        moved = synthesize_pose(joints, area, rng, picker)[:, :2]
        return np.concatenate([moved, xy[count:]]) if self.quirks.clean_pelvis_neck else COCO.complete(moved)

    def _mirrored(self, sample: Sample, mesh: NDArray) -> NDArray:
        """The relative ``mesh`` in the mirrored pose, its pelvis where the mirror has it. A body is nearly
        its own mirror image."""
        pose = sample.pose[SMPL.flip_permutation] * (1, -1, -1)
        pelvis, other = self.body.J_regressor[0], skin(self._body(sample), pose, sample.betas)[0]
        return other - pelvis @ other + (pelvis @ mesh) * (-1, 1, 1)

    def _body(self, sample: Sample) -> Body:
        if sample.dataset not in ("PW3D", "SURREAL"):
            return self.body
        if sample.gender not in self.gendered:
            raise InputError(
                f"{sample.dataset} needs the {sample.gender} SMPL body, there are {sorted(self.gendered)}; "
                f"give all genders"
            )
        return self.gendered[sample.gender]

    def _regressor(self, name: str) -> NDArray[np.float32]:
        if not self.body.has_joint_regressor(name):
            raise InputError(
                f"body has no joint regressor {name!r}; put the original's file into the data folder "
                f"or give a regressor of that name"
            )
        return self.body.joint_regressor(name)


def draw_flip_and_turn(
    flip: bool, factor: float, rng: RandomState, picker: random.Random
) -> tuple[bool, float]:
    """Whether to mirror, and the turn in degrees, by the original's order of calls."""
    mirrored = flip and picker.random() <= HALF
    turn = float(np.clip(rng.randn() * factor, -2 * factor, 2 * factor))
    return mirrored, 0.0 if picker.random() <= HALF else turn


def _project(sample: Sample, joints: NDArray) -> NDArray:
    if len(sample.weak_camera):
        return joints[:, :2] * sample.weak_camera[0] + sample.weak_camera[1]
    return cam2pixel(joints, sample.focal_px, sample.principal_px)[:, :2]
