"""Paths of rotations: gaps filled, noise removed, on the manifold of rotations itself."""

import numpy as np
from numpy.typing import NDArray

from openhmr.geometry import quaternions
from openhmr.geometry.quaternions import Quaternions
from openhmr.sequence.penalised import penalty, solve_path, stiffness, strides

ROUNDS = 4
"""Steps of the solver: more of them move joints of recorded motion by a few hundredths of a degree in the
mean."""
DOUBTED = 3.0
"""Distance from the path in standard deviations of the clip from which a frame's weight falls (Cauchy's)."""
LEAST = 1e-3
"""Share of the deviation at which all frames of a joint agree: rounding errors are no noise."""

Array = NDArray[np.float64]


def fill_turns(path: Quaternions, known: NDArray[np.bool_], times: Array) -> Quaternions:
    """Rotations ``(T,J,4)`` with those that are not ``known (T,J)`` on the shortest way at constant speed
    between the nearest known ones (before the first and after the last: equal to it).

    Joints that are never known stay as they are.
    """
    out = np.array(path)
    for j in np.flatnonzero(~known.all(0) & known.any(0)):
        here, gaps = np.flatnonzero(known[:, j]), np.flatnonzero(~known[:, j])
        after = np.searchsorted(here, gaps)
        a, b = here[np.maximum(after - 1, 0)], here[np.minimum(after, len(here) - 1)]
        length = np.where(a == b, 1, times[b] - times[a])
        out[gaps, j] = quaternions.slerp(path[a, j], path[b, j], (times[gaps] - times[a]) / length)
    return out


def smooth_turns(path: Quaternions, times: Array, weights: Array, cutoff_hz: Array) -> Quaternions:
    """The path ``(T,J,4)`` that lies near to the measured one and whose angular velocity changes little.

    ``weights (T,J)`` say how certain the frames are (0: not at all, about 1: usual), ``cutoff_hz (J,)`` is
    the frequency that is halved where weights are 1. Minimises ``sum w |log(x_t^-1 y_t)|^2 + s |v_t -
    v_(t-1)|^2`` with ``v_t = log(x_t^-1 x_(t+1))`` by Gauss-Newton steps in the axes that rotations turn in;
    frames far from the path lose their weight as the rounds go on. Rotation at constant angular velocity is a
    fixed point. The same backwards in time, and after any rotation of the axes.
    """
    out = fill_turns(path, weights > 0, times)
    if len(out) < 3:
        return out
    period = float(np.median(np.diff(times)))
    stiff = np.array([stiffness(float(hz), period) for hz in cutoff_hz])
    steps = strides(times)[:, None, None]
    diagonal, next_, over = (band[:, None] * stiff for band in penalty(times))
    trusted = weights
    for _ in range(ROUNDS):
        # In the axes outside: a way's direction is the same seen from both of its ends.
        off = quaternions.log(quaternions.multiply(path, quaternions.inverse(out)))
        way = quaternions.log(quaternions.multiply(out[1:], quaternions.inverse(out[:-1]))) / steps
        bend = np.diff(way, axis=0)
        span = 2 / (steps[1:] + steps[:-1])
        pull = np.zeros_like(off)
        flow = bend * span * stiff[:, None]
        pull[:-2] -= flow / steps[:-1]
        pull[1:-1] += flow / steps[:-1] + flow / steps[1:]
        pull[2:] -= flow / steps[1:]
        trusted = weights * _agreement(off, weights)
        right = trusted[..., None] * off + pull
        change = solve_path(trusted[..., None, None], right[..., None, :], (diagonal, next_, over))[..., 0, :]
        out = quaternions.multiply(quaternions.exp(change), out)
        out /= np.linalg.norm(out, axis=-1, keepdims=True)
    return out


def _agreement(off: Array, weights: Array) -> Array:
    """Share of its weight ``(T,J)`` that a frame keeps, by how far the path is from it."""
    distance = np.linalg.norm(off, axis=-1)
    usual = 1.4826 * np.nanmedian(np.where(weights > 0, distance, np.nan), axis=0)
    return 1 / (1 + (distance / np.maximum(DOUBTED * usual, LEAST)) ** 2)
