"""Pictures made worse: the truth stays with the picture, to a fraction of a pixel."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from openhmr.camera import Camera
from openhmr.joints import COCO
from openhmr.lab.evaluation import degradations as bad
from openhmr.lab.evaluation.degradations import SWEEPS, Shot

RNG = np.random.default_rng
K = np.array([[520.0, 0, 171.3], [0, 520, 190.6], [0, 0, 1]])
SPOTS = [COCO.names.index(n) for n in ("L_Wrist", "R_Knee", "L_Ankle")]
"""Joints that the picture shows, each as a soft spot in a colour of its own."""


def shot(K: np.ndarray = K) -> Shot:
    """Somebody standing 3 m away in a picture of 380 x 340 pixels."""
    names = [n.removeprefix("L_").removeprefix("R_") for n in COCO.names]
    up = {
        "Shoulder": 0.5,
        "Neck": 0.5,
        "Elbow": 0.3,
        "Wrist": -0.02,
        "Hip": 0,
        "Pelvis": 0,
        "Knee": -0.4,
        "Ankle": -0.8,
    }
    side = {"L": 0.2, "R": -0.2}
    joints = np.array(
        [
            [side.get(full[0], 0.0) if full[1] == "_" else 0.0, -0.1 - up.get(name, 0.7), 3 + 0.03 * i]
            for i, (full, name) in enumerate(zip(COCO.names, names, strict=True))
        ]
    )
    camera = Camera(K, (380, 340))
    image = np.zeros((380, 340, 3), np.uint8)
    y, x = np.mgrid[:380, :340]
    for channel, (u, v) in enumerate(camera.project(joints[SPOTS])):
        image[..., channel] = np.rint(250 * np.exp(-((x - u) ** 2 + (y - v) ** 2) / 18))
    xy = camera.project(joints)
    low, high = xy.min(0) - 12, xy.max(0) + 12
    return Shot(image, camera, joints, np.ones(19, bool), np.concatenate([low, high - low]))


def spots(of: Shot) -> np.ndarray:
    """Where the three spots are seen: the middle of each colour ``(3,2)``."""
    y, x = np.mgrid[: of.image.shape[0], : of.image.shape[1]]
    weight = of.image.astype(float)
    return np.stack([(weight * a[..., None]).sum((0, 1)) / weight.sum((0, 1)) for a in (x, y)], -1)


def consistent(of: Shot) -> None:
    assert of.image.shape[:2] == of.camera.image_size and of.image.dtype == np.uint8
    assert_allclose(spots(of), of.camera.project(of.joints_m[SPOTS]), atol=0.1)


def test_the_picture_shows_its_joints() -> None:
    consistent(shot())


@pytest.mark.parametrize("size", [310.7, 150, 77, 900])
def test_scaling_keeps_the_camera_with_the_picture(size: float) -> None:
    before = shot()
    after = bad.shrunk(before, size)
    consistent(after)
    assert_array_equal(after.joints_m, before.joints_m)
    assert after.size_px == pytest.approx(size, rel=0.01)
    # Half a pixel of the picture's edge stays its edge.
    zoom = np.array(after.camera.image_size[::-1]) / np.array(before.camera.image_size[::-1])
    assert_allclose(after.camera.principal_px + 0.5, (before.camera.principal_px + 0.5) * zoom)
    assert_allclose(after.camera.focal_px, before.camera.focal_px * zoom)


@pytest.mark.parametrize("degrees", [-30, 20, 45, 90, 135, 180])
def test_rotation_turns_the_truth_along(degrees: float) -> None:
    before = shot()
    after = bad.rotated(before, degrees)
    consistent(after)
    assert after.inside.all()
    assert_allclose(after.joints_m[:, 2], before.joints_m[:, 2])
    assert_allclose(np.linalg.norm(after.joints_m, axis=1), np.linalg.norm(before.joints_m, axis=1))
    assert_allclose(bad.rotated(after, -degrees).joints_m, before.joints_m, atol=1e-12)


def test_quarter_turns_are_exact() -> None:
    before = shot()
    assert_array_equal(bad.rotated(before, 90).image, np.rot90(before.image, -1))
    assert_array_equal(bad.rotated(before, 180).image, before.image[::-1, ::-1])
    # To the right of the principal point becomes below it.
    right = replace(before, joints_m=np.tile([1.0, 0, 3], (19, 1)))
    assert_allclose(bad.rotated(right, 90).joints_m[0], [0, 1, 3], atol=1e-12)


def test_unequal_focal_lengths_turn_too() -> None:
    after = bad.rotated(shot(K * [[0.8], [1], [1]]), 70)
    consistent(after)
    assert np.ptp(after.camera.focal_px) == 0


def test_cropping_moves_the_principal_point() -> None:
    before = shot()
    after = bad.cropped(before, np.array([30.0, 41]), np.array([310.0, 370]))
    consistent(after)
    assert_array_equal(after.image, before.image[41:370, 30:310])
    assert_allclose(before.camera.principal_px - after.camera.principal_px, [30, 41])
    beyond = bad.cropped(before, np.array([-50.0, -9]), np.array([9e3, 9e3]))
    assert_array_equal(beyond.image, before.image)
    assert_array_equal(beyond.camera.K, before.camera.K)


@pytest.mark.parametrize(
    "where, last, first", [("knees", "Knee", "Ankle"), ("hips", "Hip", "Knee"), ("chest", "Elbow", "Hip")]
)
def test_cuts_leave_what_is_above(where: str, last: str, first: str) -> None:
    after = bad.cut_below(shot(), where)
    inside = dict(zip(COCO.names, after.inside, strict=True))
    assert inside["L_" + last] and inside["R_" + last]
    assert not inside["L_" + first] and not inside["R_" + first]
    assert_array_equal(after.camera.K, K)
    assert after.box[1] + after.box[3] <= after.camera.image_size[0] - 0.5 + 1e-9
    assert after.image.shape[1] == 340


def test_boxes_move_by_their_share() -> None:
    before = shot()
    moved = [bad.box_moved(before, p, RNG(3)) for p in (0, 10, 20)]
    assert_array_equal(moved[0].box, before.box)
    assert all(m.box_given and m.image is before.image for m in moved)
    one, two = (
        np.concatenate([m.box[:2], m.box[:2] + m.box[2:]])
        - np.concatenate([before.box[:2], before.box[:2] + before.box[2:]])
        for m in moved[1:]
    )
    # The same directions at every strength.
    assert_allclose(two, 2 * one)
    assert (abs(one) <= 0.1 * np.tile(before.box[2:], 2)).all() and abs(one).min() > 0


def test_patches_cover_their_share_of_the_box() -> None:
    before = replace(shot(), image=np.full((380, 340, 3), 77, np.uint8))
    after = bad.hidden(before, 20, RNG(1))
    changed = (after.image != 77).any(-1)
    assert changed.sum() == pytest.approx(0.2 * before.box[2] * before.box[3], rel=0.03)
    x = np.nonzero(changed)[1]
    assert x.min() >= before.box[0] - 1 and x.max() <= before.box[0] + before.box[2] + 1
    assert len(np.unique(after.image[changed], axis=0)) == 1


def test_jpeg_noise_and_grey() -> None:
    rng = RNG(0)
    before = replace(shot(), image=rng.integers(60, 190, (380, 340, 3)).astype(np.uint8))
    losses = [np.abs(bad.jpeg(before, q, rng).image - before.image.astype(float)).mean() for q in (95, 30, 5)]
    assert 0 < losses[0] < losses[1] < losses[2]
    assert np.std(bad.noisy(before, 5, RNG(1)).image - before.image.astype(float)) == pytest.approx(
        12.75, rel=0.01
    )
    plain = bad.grey(before, "none", rng).image
    assert (plain == plain[..., :1]).all()
    assert_allclose(plain[..., 0], before.image @ [0.299, 0.587, 0.114], atol=1)


def test_sweeps_take_their_own_strengths() -> None:
    for sweep in SWEEPS.values():
        for strength in sweep.strengths:
            after = sweep.degrade(shot(), strength, RNG(0))
            assert after.image.shape[:2] == after.camera.image_size and after.image.flags.c_contiguous
