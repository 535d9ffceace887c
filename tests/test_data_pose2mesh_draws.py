"""What Pose2Mesh draws at random in training: errors of 2D poses, flips and turns, call for call."""

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from openhmr.joints import COCO, HUMAN36, JointSet
from openhmr.lab.crops.pose2mesh import j2d_processing, tight_box, widened_box
from openhmr.lab.data.human36m import Human36MPoses
from openhmr.lab.data.muco import MuCoPoses
from openhmr.lab.data.noise import box_area, human36_error, synthesize_pose
from openhmr.lab.items.pose2mesh import PoseItems, PoseQuirks
from tests import pose_trees as trees
from tests.test_data_pose2mesh import BODY, clean, get, standard


@pytest.mark.parametrize("joint_set", [HUMAN36, COCO])
@pytest.mark.parametrize("flip", [False, True])
def test_noise_and_flip_follow_the_official_draws(tmp_path: Path, joint_set: JointSet, flip: bool) -> None:
    trees.human36m(tmp_path, BODY)
    items = PoseItems(Human36MPoses(tmp_path, "train", BODY), joint_set, BODY, flip=flip)
    without = get(replace(items, flip=False, use_gt_input=True), 0)
    seed = next(s for s in range(9) if random.Random(s).random() <= 0.5) if flip else 0
    item = get(items, 0, seed)
    rng, picker = np.random.RandomState(seed), random.Random(seed)
    if flip:
        picker.random()
    rng.randn(), picker.random()
    truth = items.truth(items.samples[0]).pixels
    tight = tight_box(truth)
    xy, affine = j2d_processing(truth, (288, 384), widened_box(tight), 0, False, ())
    if joint_set == HUMAN36:
        xy = xy + human36_error(rng) / 256 * [288, 384]
    else:
        xy[:17] = synthesize_pose(
            np.column_stack([xy[:17], np.ones(17)]).astype(np.float32), box_area(tight, affine), rng, picker
        )[:, :2]
    lift = without["lift_pose3d"]
    if flip:
        swap = joint_set.flip_permutation
        xy, lift = (xy * (-1, 1))[swap], (lift * (-1, 1, 1))[swap]
    np.testing.assert_allclose(item["pose2d"], standard(xy), atol=1e-4)
    np.testing.assert_allclose(item["lift_pose3d"], lift, atol=1e-3)
    # The mesh stays as it is, unless the switch says otherwise; then its joints are the mirrored ones.
    np.testing.assert_array_equal(item["mesh"], without["mesh"])
    np.testing.assert_array_equal(item["reg_pose3d"], without["reg_pose3d"])
    sane = get(replace(items, quirks=PoseQuirks(turn_lift_only=False)), 0, seed)
    expected = (
        (without["reg_pose3d"] * (-1, 1, 1))[HUMAN36.flip_permutation] if flip else without["reg_pose3d"]
    )
    np.testing.assert_allclose(sane["reg_pose3d"], expected, atol=1e-3)
    pelvis = BODY.J_regressor[0] @ without["mesh"]
    np.testing.assert_allclose(
        BODY.J_regressor[0] @ sane["mesh"], pelvis * (-1 if flip else 1, 1, 1), atol=1e-5
    )


def test_turn(tmp_path: Path) -> None:
    """Turning the picture by an angle turns the lifted pose by its opposite, as seen with y down."""
    trees.human36m(tmp_path, BODY)
    items = clean(Human36MPoses(tmp_path, "train", BODY), HUMAN36, rotate_factor=30.0)
    seed = next(s for s in range(9) if random.Random(s).random() > 0.5)
    angle = np.clip(np.random.RandomState(seed).randn() * 30, -60, 60) * np.pi / 180
    plain, turned = get(replace(items, rotate_factor=0.0), 0), get(items, 0, seed)
    c, s = np.cos(-angle), np.sin(-angle)
    np.testing.assert_allclose(
        turned["lift_pose3d"], plain["lift_pose3d"] @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]), atol=1e-2
    )
    pixels = items.truth(items.samples[0]).pixels
    np.testing.assert_allclose(turned["pose2d"], standard(pixels @ np.array([[c, s], [-s, c]])), atol=1e-4)


@pytest.mark.parametrize("whole_crop", [True, False])
def test_muco_flips_before_the_noise_of_the_whole_crop(tmp_path: Path, whole_crop: bool) -> None:
    trees.muco(tmp_path, BODY)
    items = PoseItems(
        MuCoPoses(tmp_path), COCO, BODY, flip=True, quirks=PoseQuirks(muco_noise_processed=whole_crop)
    )
    seed = next(s for s in range(9) if random.Random(s).random() <= 0.5)
    rng, picker = np.random.RandomState(seed), random.Random(seed)
    picker.random(), rng.randn(), picker.random()
    truth = items.truth(items.samples[0]).pixels
    xy, affine = j2d_processing(truth, (288, 384), widened_box(tight_box(truth)), 0, True, COCO.flip_pairs)
    joints = np.column_stack([xy[:17], np.ones(17)]).astype(np.float32)
    area = 288 * 384.0 if whole_crop else box_area(tight_box(truth), affine)
    assert whole_crop or area < 0.9 * 288 * 384
    xy[:17] = synthesize_pose(joints, area, rng, picker)[:, :2]
    np.testing.assert_allclose(get(items, 0, seed)["pose2d"], standard(xy), atol=1e-3)
    joined = get(replace(items, quirks=PoseQuirks(clean_pelvis_neck=False)), 0, seed)["pose2d"]
    np.testing.assert_allclose(joined[17], joined[[11, 12]].mean(0), atol=1e-5)
