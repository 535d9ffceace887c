"""Penalised least squares over time (Whittaker 1923, Eilers 2003): zero-phase smoothing of unevenly certain
paths.

Of all paths the one is found that lies near to the measured one, and whose velocity changes little. That is
what a Kalman filter and its backward pass (Rauch et al. 1965) find for a point of constant velocity. For even
weights it is a low pass without delay; motion at constant velocity passes unchanged.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Bands = tuple[Array, Array, Array]
SHORTEST = 0.05
"""Of the usual step of time."""


def stiffness(cutoff_hz: float, period_s: float) -> float:
    """The penalty on second differences that halves motion of ``cutoff_hz`` in a path of weight 1 that is
    measured every ``period_s``."""
    return float((2 * np.sin(np.pi * min(cutoff_hz * period_s, 0.5))) ** -4)


def strides(times: Array) -> Array:
    """Steps of time ``(T-1,)`` in units of the usual one; of frames that come almost at once not so short
    that they alone would count."""
    steps = np.diff(times)
    return np.maximum(steps / np.median(steps), SHORTEST)


def curvature(times: Array) -> Array:
    """Weights ``(T-2,3)`` of three neighbours in a path's second difference, at ``times (T,)``; 1, -2, 1
    where they are even."""
    steps = strides(times)
    before, after = 1 / steps[:-1], 1 / steps[1:]
    # A second derivative that is integrated over time weighs long steps as long.
    scale = np.sqrt(2 / (steps[:-1] + steps[1:]))
    return scale[:, None] * np.stack([before, -before - after, after], -1)


def penalty(times: Array, stiff: float = 1.0) -> Bands:
    """The three upper diagonals ``(T,), (T-1,), (T-2,)`` of ``stiff`` times the sum of squared second
    differences."""
    count = len(times)
    bands = np.zeros(count), np.zeros(max(count - 1, 0)), np.zeros(max(count - 2, 0))
    if count > 2:
        rows = curvature(times)
        for i in range(3):
            for j in range(i, 3):
                bands[j - i][i : count - 2 + i] += stiff * rows[:, i] * rows[:, j]
    return bands


def solve_path(weights: Array, right: Array, bands: Bands) -> Array:
    """The path ``(T,...,b,k)`` at which ``weights x + penalty x = right``.

    ``weights (T,...,b,b)`` are positive semidefinite, ``right (T,...,b,k)``; ``bands`` are the upper
    diagonals ``(T,...), (T-1,...), (T-2,...)`` of the penalty, or of any other symmetric coupling of
    neighbours, as numbers or as matrices ``(...,b,b)``. Two frames at once make the matrix block-tridiagonal.
    """
    count, size = right.shape[0], right.shape[-2]
    pairs = -(-count // 2)
    batch = right.shape[1:-2]
    whole = np.zeros((2 * pairs, *batch, size, size))
    whole[:count] = weights + _matrices(bands[0], whole)
    if count % 2:
        whole[-1] = np.eye(size)
    next_, over = np.zeros_like(whole), np.zeros_like(whole)
    next_[: count - 1] = _matrices(bands[1], whole)
    over[: max(count - 2, 0)] = _matrices(bands[2], whole)
    diagonal = np.concatenate(
        [
            np.concatenate([whole[::2], next_[::2]], -1),
            np.concatenate([next_[::2].swapaxes(-1, -2), whole[1::2]], -1),
        ],
        -2,
    )
    upper = np.concatenate(
        [
            np.concatenate([over[:-2:2], np.zeros_like(over[:-2:2])], -1),
            np.concatenate([next_[1:-2:2], over[1:-2:2]], -1),
        ],
        -2,
    )
    padded = np.zeros((2 * pairs, *right.shape[1:]))
    padded[:count] = right
    out = _solve_tridiagonal(diagonal, upper, np.concatenate([padded[::2], padded[1::2]], -2))
    return np.stack([out[..., :size, :], out[..., size:, :]], 1).reshape(padded.shape)[:count]


def _matrices(band: Array, like: Array) -> Array:
    """Numbers ``(T,...)`` times the identity of ``like (T,...,b,b)``; matrices as they are."""
    if band.ndim == like.ndim:
        return band
    band = band.reshape(band.shape + (1,) * (like.ndim - band.ndim))
    return band * np.eye(like.shape[-1])


def _solve_tridiagonal(diagonal: Array, upper: Array, right: Array) -> Array:
    """Cyclic reduction (Buzbee et al. 1970) of a symmetric block-tridiagonal system, every second block at
    once: stable, because what is left of a positive definite matrix is one."""
    count = len(diagonal)
    if count == 1:
        return np.asarray(np.linalg.solve(diagonal, right), np.float64)
    odd, lower = slice(1, None, 2), upper.swapaxes(-1, -2)
    inverse = np.linalg.inv(diagonal[odd])
    # What the odd ones take from the even ones before (left) and after them.
    left, after = upper[::2] @ inverse, lower[1::2] @ inverse[: len(upper[1::2])]
    half, rest = diagonal[::2].copy(), right[::2].copy()
    half[: len(left)] -= left @ lower[::2]
    rest[: len(left)] -= left @ right[odd]
    half[1 : len(after) + 1] -= after @ upper[1::2]
    rest[1 : len(after) + 1] -= after @ right[odd][: len(after)]
    coupling = -left[: len(after)] @ upper[1::2]
    even = _solve_tridiagonal(half, coupling, rest)
    out = np.empty_like(right)
    out[::2] = even
    given = right[odd] - lower[::2] @ even[: len(left)]
    given[: len(after)] -= upper[1::2] @ even[1 : len(after) + 1]
    out[odd] = inverse @ given
    return out
