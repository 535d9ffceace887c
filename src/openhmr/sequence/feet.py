"""Heels and balls of the feet, and when they stand."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.body import Body
from openhmr.joints.smpl import SMPL_NAMES, SMPL_PARENTS
from openhmr.sequence.penalised import Array

LEGS = tuple(tuple(SMPL_NAMES.index(f"{side}_{n}") for n in ("Hip", "Knee", "Ankle", "Toe")) for side in "LR")
"""Joints of the left and of the right leg."""
POINTS_OF_FEET = ("L_Heel", "L_Ball", "R_Heel", "R_Ball")

SLOW, STILL = 0.45, 0.25
"""A point of the foot stands from where it moves at less than STILL m/s, and as long as at less than SLOW."""
LOW_M = 0.08
"""Highest place above the ground from which it stands: meshes of lifted people err by centimetres."""
FEWEST_S = 0.1
"""Shorter contacts are none."""


def has_feet(body: Body) -> bool:
    """Whether a body has the 24 joints that legs and feet are known of."""
    return tuple(int(p) for p in body.parents) == SMPL_PARENTS


@lru_cache(maxsize=4)
def sole_regressor(body: Body) -> NDArray[np.float32]:
    """Rows ``(4,V)`` that take :data:`POINTS_OF_FEET` from the vertices: under the heel and under the ball of
    each foot, where the sole of the T-pose is lowest; the nearest of a body without vertices there."""
    rest, out = body.J_regressor @ body.v_template, np.zeros((4, body.num_vertices), np.float32)
    part = body.weights.argmax(1)
    for side, (_, _, ankle, toe) in enumerate(LEGS):
        foot = np.flatnonzero(np.isin(part, (ankle, toe)))
        ahead = body.v_template[foot, 2]
        heel = foot[ahead < rest[ankle, 2]]
        ball = foot[np.abs(ahead - rest[toe, 2]) < 0.25 * (rest[toe, 2] - rest[ankle, 2])]
        for k, (some, joint) in enumerate(((heel, ankle), (ball, toe))):
            nearest = np.linalg.norm(body.v_template - rest[joint], axis=1).argmin()
            lowest = some[body.v_template[some, 1].argmin()] if len(some) else nearest
            out[2 * side + k, lowest] = 1
    return out


@dataclass(frozen=True, eq=False)
class Ground:
    """A plane in camera axes: points x on it have ``down @ x = distance_m``; ``down (3,)`` is gravity's
    direction, of length 1."""

    down: Array
    distance_m: float

    def heights(self, points: Array) -> Array:
        """Metres ``(...)`` above the ground of ``points (...,3)``."""
        return self.distance_m - points @ self.down


def speeds(points: Array, times: Array) -> Array:
    """Metres a second ``(T,...)`` of ``points (T,...,3)``, over the frames before and after."""
    if len(points) < 2:
        return np.zeros(points.shape[:-1])
    step = np.gradient(points, times, axis=0)
    return np.linalg.norm(step, axis=-1)


def standing(points: Array, times: Array, ground: Ground | None) -> NDArray[np.bool_]:
    """Which of the feet's ``points (T,4,3)`` stand in which frames ``(T,4)``: they are slow, and low, where
    there is a ``ground``; without one the lower ones of those that are slow."""
    speed = speeds(points, times)
    maybe = speed < SLOW
    if ground is not None:
        maybe &= ground.heights(points) < LOW_M
    out = np.zeros(maybe.shape, bool)
    for k in range(maybe.shape[1]):
        for start, end in runs(maybe[:, k]):
            long = times[end - 1] - times[start] >= FEWEST_S
            out[start:end, k] = long and speed[start:end, k].min() < STILL
    return out


def runs(marked: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Starts and ends (behind the last) of what is ``marked (T,)`` in a row."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
