"""Paths of places before a camera, which sees how far away something is far worse than where in the picture
it lies."""

import numpy as np
from numpy.typing import NDArray

from openhmr.sequence.outliers import stray_places
from openhmr.sequence.penalised import Bands, penalty, solve_path, stiffness

Array = NDArray[np.float64]

ROUNDS = 3
DOUBTED = 3.0
"""Distance in standard deviations from which a frame's weight falls (Cauchy's)."""
LEAST_M = 1e-4
REACH_M = 0.5
"""A frame that lies so far from both of its neighbours does not belong to the path."""


def fill_places(path: Array, known: NDArray[np.bool_], times: Array) -> Array:
    """``path (T,3)`` with a straight way at constant speed where it is not ``known (T,)``; before the first
    and after the last known place it stands still."""
    return np.stack([np.interp(times, times[known], column[known]) for column in path.T], -1)


def sight_weights(path: Array, depth: float) -> Array:
    """Weights ``(T,3,3)`` that are 1 across the line of sight to ``path (T,3)``, and ``depth`` along it."""
    sight = path / np.linalg.norm(path, axis=-1, keepdims=True)
    return np.eye(3) - (1 - depth) * sight[:, :, None] * sight[:, None, :]


def smooth_places(
    path: Array, times: Array, weights: Array, across_hz: float, along_hz: float
) -> tuple[Array, Array]:
    """The smooth path ``(T,3)`` near to the measured one in the camera's axes, and the weights ``(T,3,3)``
    that frames were given.

    ``weights (T,)`` say how certain the frames are (0: not at all). Motion of ``across_hz`` across the line
    of sight, and of ``along_hz`` along it, is halved. Frames far from the path lose their weight. Motion at
    constant velocity is a fixed point.
    """
    known = weights > 0
    rows = np.flatnonzero(known)
    stray = stray_places(path[rows], REACH_M)
    weights = np.array(weights)
    weights[rows[stray]] = 0
    out = fill_places(path, weights > 0, times)
    if len(out) < 3:
        return out, weights[:, None, None] * np.eye(3)
    period = float(np.median(np.diff(times)))
    stiff = stiffness(across_hz, period)
    shape = sight_weights(out, stiff / stiffness(along_hz, period))
    bands = penalty(times, stiff)
    trusted = weights[:, None, None] * shape
    for _ in range(ROUNDS):
        # About the filled path, so that what it is far away costs no digits.
        off = np.where(weights[:, None] > 0, path - out, 0)[..., None]
        agreement = _agreement((off.swapaxes(-1, -2) @ shape @ off)[:, 0, 0], weights)
        trusted = (weights * agreement)[:, None, None] * shape
        bend = _bend(out, bands)
        out = out + solve_path(trusted, trusted @ off - bend[..., None], bands)[..., 0]
    return out, trusted


def _bend(path: Array, bands: Bands) -> Array:
    """The penalty's matrix times the path ``(T,3)``."""
    diagonal, next_, over = (band[:, None] for band in bands)
    out = diagonal * path
    out[:-1] += next_ * path[1:]
    out[1:] += next_ * path[:-1]
    out[:-2] += over * path[2:]
    out[2:] += over * path[:-2]
    return out


def _agreement(squared: Array, weights: Array) -> Array:
    known = weights > 0
    usual = 1.4826 * np.sqrt(np.median(squared[known]))
    return 1 / (1 + squared / max(DOUBTED * usual, LEAST_M) ** 2)
