"""2D joints of two networks as one."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from openhmr.errors import InputError
from openhmr.joints import COCO, HUMAN36
from openhmr.keypoints import Keypoints
from openhmr.predict.fuse import (
    APART,
    DETECTED,
    LOW_HIPS,
    LOW_SHOULDERS,
    SHARE_A_METRE,
    deviation_m,
    fused,
    lowered,
)
from openhmr.predict.recover import HALF_CONFIDENCE_M
from tests.test_upright import standing

SIZE = 200.0


def seen(points: np.ndarray) -> Keypoints:
    boxes = np.tile([100.0, 100, 120, SIZE], (len(points), 1))
    return Keypoints(COCO, points.astype(np.float32), (401, 401), boxes)


def as_detected(points: np.ndarray) -> np.ndarray:
    """What :func:`lowered` turns into ``points``."""
    out = points.astype(np.float64)
    shoulders, hips = (out[:, rows, :2].mean(1, keepdims=True) for rows in ([5, 6], [11, 12]))
    trunk = (hips - shoulders) / (1 + LOW_HIPS - LOW_SHOULDERS)
    for rows, share in (([5, 6, 18], LOW_SHOULDERS), ([11, 12, 17], LOW_HIPS)):
        out[:, rows, :2] -= share * trunk
    return out


def test_equal_joints_stay() -> None:
    points = standing()
    assert_allclose(lowered(as_detected(points)), points, atol=1e-4)
    both = fused(seen(points), seen(as_detected(points)))
    assert_allclose(both.points[..., :2], points[..., :2], atol=1e-3)
    assert_array_equal(both.boxes, seen(points).boxes)


def test_exchanged_sides_are_exchanged_back() -> None:
    points = standing()
    swapped = points[:, [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15, 17, 18]]
    both = fused(seen(points), seen(as_detected(swapped)))
    assert_allclose(both.points[..., :2], points[..., :2], atol=1e-3)


def test_the_mean_is_weighted_by_variances_and_leaves_what_disagrees() -> None:
    points = standing(1)
    points[..., 2] = 0.7
    wrist = COCO.names.index("L_Wrist")
    for shift in (1.0, 0.1 * APART * SIZE, 20 * APART * SIZE):
        moved = as_detected(points)
        moved[0, wrist, 0] += shift
        both = fused(seen(points), seen(moved))
        own = (SHARE_A_METRE * deviation_m(np.array(0.7))) ** 2
        apart = shift / SIZE
        other = DETECTED**2 * (1 + (apart / APART) ** 4)
        assert_allclose(
            both.points[0, wrist, 0] - points[0, wrist, 0], shift * own / (own + other), atol=2e-3
        )
    assert both.points[0, wrist, 2] < 0.1 < points[0, wrist, 2], "and the joint is doubtful then"
    assert abs(both.points[0, wrist, 0] - points[0, wrist, 0]) < 1


def test_deviations_are_those_of_the_confidences() -> None:
    metres = np.array([0.02, 0.1, 0.3])
    assert_allclose(deviation_m(1 / (1 + (metres / HALF_CONFIDENCE_M) ** 2)), metres)


def test_hips_that_were_not_seen_move_nothing() -> None:
    points = standing().astype(np.float64)
    points[:, [11, 12], 2] = 0
    assert_array_equal(lowered(points), points)


def test_other_people_are_refused() -> None:
    points = standing()
    human36 = Keypoints(HUMAN36, np.ones((3, 17, 3), np.float32))
    for one, other in (
        (seen(points), human36),
        (seen(points), seen(points[:2])),
        (replace(seen(points), boxes=None), seen(points)),
    ):
        with pytest.raises(InputError, match="the same people in COCO joints, the first with boxes"):
            fused(one, other)
