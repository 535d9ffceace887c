"""The errors that Pose2Mesh puts on clean 2D poses in training, call for call as the original draws them.

Two laws: per-joint Gaussian errors measured on Human3.6M (Moon et al. 2019, arXiv 1910.12029), and the errors
of a COCO detector (PoseFix: Moon et al. 2019, after Ronchi and Perona 2017: jitter, miss, inversion, good).
Both take their random generators as arguments; the order of the draws is part of the contract, so seeded runs
repeat the original's.
"""

import random

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

# Mean x, y, standard deviation x, y in pixels of a 256-pixel crop, and how often the joint is affected;
# human36 order.
HUMAN36_ERRORS = np.array(
    [
        (-0.06, -2.37, 1.33, 2.13, 1.00),
        (-0.83, -2.07, 3.41, 2.69, 1.00),
        (-0.04, -1.01, 1.74, 2.20, 0.95),
        (0.52, -3.40, 1.39, 2.14, 0.93),
        (0.78, -2.79, 3.26, 2.28, 1.00),
        (0.42, -0.15, 1.53, 1.99, 0.94),
        (-0.15, -3.78, 1.39, 2.39, 0.93),
        (-0.05, 0.10, 1.36, 1.74, 0.99),
        (0.14, -2.56, 1.18, 1.15, 0.99),
        (0.13, -0.26, 0.78, 0.59, 0.98),
        (0.09, 0.49, 1.35, 0.87, 0.99),
        (-0.19, 0.31, 2.51, 1.48, 0.99),
        (0.11, -0.60, 1.79, 1.76, 0.95),
        (-0.02, 0.88, 2.02, 2.10, 0.91),
        (0.52, -0.12, 2.23, 1.73, 0.99),
        (0.06, -0.44, 1.93, 1.63, 0.95),
        (0.05, 0.16, 2.02, 2.24, 0.90),
    ]
)
ERROR_FRAME_PX = 256
"""Side of the square that :func:`human36_error` is measured in."""

# Keypoint falloff constants of the COCO evaluation (object keypoint similarity).
KEYPOINT_SIGMAS = (
    np.array(
        [0.26, 0.25, 0.25, 0.35, 0.35, 0.79, 0.79, 0.72, 0.72, 0.62, 0.62, 1.07, 1.07, 0.87, 0.87, 0.89, 0.89]
    )
    / 10
)
# Probability of each kind of error per COCO joint, for a person whose joints are all visible.
JITTER = np.array([0.10] + [0.15] * 10 + [0.20] * 2 + [0.10] * 4)
MISS = np.array([0.02] * 5 + [0.05] * 2 + [0.10] * 8 + [0.05] * 2)
INVERSION = np.array([0.01] * 5 + [0.03] * 6 + [0.06] * 6)
_POINTS = 500

Point = tuple[float, float]


def human36_error(rng: RandomState) -> NDArray[np.float32]:
    """One draw of detection errors ``(17, 2)`` for the human36 joints, in pixels of a 256-pixel frame.

    To apply it to a crop, add ``error / 256 * (width, height)``.
    """
    error = rng.normal(HUMAN36_ERRORS[:, :2], HUMAN36_ERRORS[:, 2:4])
    affected = HUMAN36_ERRORS[:, 4].astype(np.float32) > rng.uniform(size=len(error))
    return (error * affected[:, None]).astype(np.float32)


def box_area(bbox: NDArray, transform: NDArray) -> float:
    """Area in square crop pixels of ``bbox [x, y, w, h]`` mapped by the affine ``transform (2, 3)``."""
    x, y, w, h = bbox
    corners = np.array([(x, y, 1), (x + w, y, 1), (x + w, y + h, 1)]) @ transform.T
    return float(np.prod(np.linalg.norm(np.diff(corners, axis=0), axis=-1)))


def keypoint_radius(similarity: float, area: float) -> NDArray[np.float64]:
    """Distance ``(17,)`` from the truth at which a COCO joint has the given keypoint similarity, in the unit
    of sqrt(area)."""
    return np.sqrt(-2 * area * (2 * KEYPOINT_SIGMAS) ** 2 * np.log(similarity))


def synthesize_pose(
    joints: NDArray, area: float, rng: RandomState, picker: random.Random
) -> NDArray[np.float32]:
    """A pose as a detector might return it: ``(17, 3)`` float32 in the pixels of ``joints (17, 3)``, last
    column 1.

    ``joints`` are COCO keypoints of one person, all visible; ``area`` is the person's box in square pixels
    (:func:`box_area`). Joints are treated in order, and a joint's opposite may already have moved when it is
    treated. If no error of any kind is possible, the joint becomes (0, 0, 0).
    """
    r10, r50, r85 = (keypoint_radius(s, area) for s in (0.10, 0.50, 0.85))
    out = np.array(joints, np.float32)
    for j in range(17):
        here = out[j, :2]
        # COCO lists the left joint first: 1-2, 3-4, ..., 15-16; the nose has no opposite.
        opposite = None if j == 0 else out[j + 1 if j % 2 else j - 1, :2]
        kinds = [
            _outside(here, opposite, r85[j], r50[j], _POINTS, rng, picker),
            _missed(here, opposite, r50[j], r10[j], rng, picker),
            None if opposite is None else _outside(opposite, here, 0, r50[j], _POINTS, rng, picker),
            _outside(here, opposite, 0, r85[j], _POINTS // 4, rng, picker),
        ]
        shares = np.array([JITTER[j], MISS[j], INVERSION[j], 0.0])
        shares[3] = 1 - shares.sum()
        shares *= [kind is not None for kind in kinds]
        if shares.sum() == 0:
            out[j] = 0
            continue
        chosen = kinds[rng.choice(4, p=shares / shares.sum())]
        out[j] = (*chosen, 1)  # type: ignore[misc]  # a kind without points has share 0
    return out


class _Ring:
    """``count`` random points around ``centre``, as angles and radii: only the one that is picked gets
    coordinates."""

    def __init__(self, centre: NDArray, low: float, high: float, count: int, rng: RandomState) -> None:
        self.centre = centre
        self.angle = rng.uniform(0, 2 * np.pi, count)
        self.radius = rng.uniform(low, high, count)

    def far_from(self, other: NDArray, limit: float | NDArray[np.float64]) -> NDArray[np.int64]:
        """Which points lie farther than ``limit`` from ``other``, by the law of cosines."""
        x, y = other.astype(np.float64) - self.centre
        along = 2 * np.hypot(x, y) * np.cos(self.angle - np.arctan2(y, x))
        return np.flatnonzero(self.radius * (self.radius - along) + (x * x + y * y) > limit * limit)

    def point(self, index: int) -> Point:
        angle, radius = self.angle[index], self.radius[index]
        return float(self.centre[0] + radius * np.cos(angle)), float(self.centre[1] + radius * np.sin(angle))


def _outside(
    centre: NDArray,
    other: NDArray | None,
    low: float,
    high: float,
    count: int,
    rng: RandomState,
    picker: random.Random,
) -> Point | None:
    """A point around ``centre`` that is farther from ``other`` than from ``centre``, if there is one."""
    ring = _Ring(centre, low, high, count, rng)
    if other is None:
        return ring.point(picker.randrange(count))
    kept = ring.far_from(other, ring.radius)
    return ring.point(kept[picker.randrange(len(kept))]) if len(kept) else None


def _missed(
    here: NDArray, opposite: NDArray | None, r50: float, r10: float, rng: RandomState, picker: random.Random
) -> Point | None:
    """A point far from the joint and its opposite; a quarter as many candidates come from around the
    opposite."""
    ring = _Ring(here, r50, r10, 4 * _POINTS, rng)
    if opposite is None:
        return ring.point(picker.randrange(4 * _POINTS))
    kept, around = ring.far_from(opposite, r50), _Ring(opposite, r50, r10, 4 * _POINTS, rng)
    others = around.far_from(here, r50)
    others = others[rng.choice(len(others), len(others) // 4)] if len(others) else others
    if not len(kept) + len(others):
        return None
    picked = picker.randrange(len(kept) + len(others))
    return ring.point(kept[picked]) if picked < len(kept) else around.point(others[picked - len(kept)])
