"""Frames that do not belong to a path: limbs that flip in depth for a frame, bodies that turn about, lost
people (ours).

Of all ways through the frames the cheapest is sought, exactly (Viterbi 1967): leaving a frame out costs 1,
going from one frame to a later one the square of the distance between them, in units of ``reach``. A frame
that lies far from both neighbours is so left out, and also several in a row that lie far from all around
them, but never motion that goes on: one long step costs more than its two halves.
"""

import numpy as np
from numpy.typing import NDArray

from openhmr.geometry import quaternions
from openhmr.geometry.quaternions import Quaternions

LONGEST = 15
"""So many frames in a row may be left out."""

Array = NDArray[np.float64]


def stray_turns(path: Quaternions, reach: Array) -> NDArray[np.bool_]:
    """Which frames ``(T,J)`` of rotations ``(T,J,4)`` do not belong; ``reach (J,)`` radians."""
    steps = [quaternions.between(path[lag:], path[:-lag]) for lag in _lags(len(path))]
    return _left_out(len(path), path.shape[1], [step / reach for step in steps])


def stray_places(path: Array, reach: float) -> NDArray[np.bool_]:
    """Which frames ``(T,)`` of places ``(T,3)`` do not belong; ``reach`` metres."""
    steps = [np.linalg.norm(path[lag:] - path[:-lag], axis=-1) / reach for lag in _lags(len(path))]
    return _left_out(len(path), 1, [step[:, None] for step in steps])[:, 0]


def _lags(count: int) -> range:
    return range(1, min(LONGEST + 2, count))


def _left_out(count: int, joints: int, steps: list[Array]) -> NDArray[np.bool_]:
    """``steps[k] (T-1-k,J)``: from every frame to the one ``k + 1`` later."""
    costs = np.full((count, len(steps), joints), np.inf)
    for k, step in enumerate(steps):
        costs[k + 1 :, k] = step**2 + k
    best = np.empty((count, joints))
    came = np.zeros((count, joints), np.int64)  # how far back the way came from; 0: it starts here
    ways = np.empty((len(steps) + 1, joints))
    for t in range(count):
        ways[0], reached = t, min(t, len(steps))
        np.add(best[t - reached : t][::-1], costs[t, :reached], out=ways[1 : reached + 1])
        came[t] = ways[: reached + 1].argmin(0)
        best[t] = np.take_along_axis(ways, came[t][None], 0)[0]
    out = np.ones((count, joints), bool)
    at = (best + np.arange(count)[::-1, None]).argmin(0) if count else np.zeros(joints, np.int64)
    column = np.arange(joints)
    while count and (at >= 0).any():
        here = at >= 0
        out[at[here], column[here]] = False
        back = came[np.maximum(at, 0), column]
        at = np.where(here & (back > 0), at - back, -1)
    return out
