"""Gravity and the ground from people in motion: they are upright on average, and feet that stand lie in one
plane (ours)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from openhmr.joints.smpl import SMPL_NAMES
from openhmr.sequence.feet import Ground, runs
from openhmr.sequence.penalised import Array

_NECK = SMPL_NAMES.index("Neck")
_ANKLES = [SMPL_NAMES.index(n) for n in ("L_Ankle", "R_Ankle")]

TILT = np.deg2rad(6.0)
"""Standard deviation of the mean direction of upright people from gravity: those who walk lean."""
UNEVEN_M = 0.03
"""Standard deviation of the place of a foot that stands, across the ground."""
BENT = 0.8
"""Share of the largest distance between ankles and neck from which a person is taken for upright."""
ROUNDS = 20


def downwards(joints: Array) -> Array:
    """The mean direction ``(3,)`` from neck to ankles of ``joints (T,24,3)``, in the frames in which the
    person is stretched; robust to frames in which a stretched person lies."""
    way = joints[:, _ANKLES].mean(1) - joints[:, _NECK]
    length = np.linalg.norm(way, axis=-1)
    upright = length >= BENT * length.max()
    directions = way[upright] / length[upright, None]
    mean = np.median(directions, axis=0)
    for _ in range(ROUNDS):
        off = np.linalg.norm(directions - mean / np.linalg.norm(mean), axis=-1)
        mean = (directions / (1 + (off / (2 * TILT)) ** 2)[:, None]).mean(0)
    return mean / np.linalg.norm(mean)


def stands(points: Array, standing: NDArray[np.bool_]) -> Array:
    """Where feet stood ``(C,3)``: the middle of each contact of ``points (T,4,3)``."""
    found = [
        points[start:end, k].mean(0) for k in range(points.shape[1]) for start, end in runs(standing[:, k])
    ]
    return np.reshape(found, (-1, 3))


def fit_grounds(down: Array, places: Sequence[Array]) -> list[Ground | None]:
    """The ground of each person, parallel to each other, from the direction ``down (3,)`` of upright people
    and the ``places (C,3)`` at which each person's feet stood; None for those that never stood.

    Robust least squares with ``down`` as the prior. Everybody has a distance of their own: a person that is
    taken for taller than they are stands on a ground that lies deeper.
    """
    owner = np.repeat(np.arange(len(places)), [len(p) for p in places])
    points = np.concatenate([*places, np.zeros((0, 3))])
    if not len(points):
        return [None] * len(places)
    people = np.unique(owner)
    member = (owner[:, None] == people).astype(np.float64)
    distances = np.array([np.median(points[owner == p] @ down) for p in people])
    prior = down
    for _ in range(ROUNDS):
        off = points @ down - member @ distances
        weights = 1 / (1 + (off / (2 * UNEVEN_M)) ** 2) / UNEVEN_M**2
        sides = _sideways(down)
        rows = np.concatenate([points @ sides.T, -member], 1)
        normal = rows.T @ (weights[:, None] * rows)
        normal[:2, :2] += np.eye(2) / TILT**2
        slope = -rows.T @ (weights * off)
        slope[:2] += sides @ prior / TILT**2
        change = np.linalg.solve(normal, slope)
        down = down + change[:2] @ sides
        distances = distances + change[2:]
        length = np.linalg.norm(down)
        down, distances = down / length, distances / length
    grounds: list[Ground | None] = [None] * len(places)
    for person, distance in zip(people, distances, strict=True):
        grounds[person] = Ground(down, float(distance))
    return grounds


def _sideways(down: Array) -> Array:
    """Two directions ``(2,3)`` at right angles to ``down`` and to each other."""
    return np.linalg.svd(down[None])[2][1:]
