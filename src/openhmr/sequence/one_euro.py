"""Smoothing of poses over time."""

import numpy as np
from numpy.typing import NDArray


def _alpha(cutoff: NDArray | float) -> NDArray:
    r = 2 * np.pi * np.asarray(cutoff)
    return r / (r + 1)


def smooth_one_euro(points: NDArray, min_cutoff: float = 0.004, beta: float = 0.7) -> NDArray:
    """One-euro filter (Casiez et al. 2012) over the first axis of ``points (T, ...)``, each coordinate by
    itself.

    Cutoffs are per frame. ``min_cutoff`` damps what stands still, ``beta`` (per unit of ``points``) lets fast
    motion through. The first frame passes unchanged; each derivative is taken against the previous *filtered*
    value, as Pose2Mesh does.
    """
    out = np.array(points, np.result_type(points, np.float32))
    slope = np.zeros_like(out[0]) if len(out) else out
    for i in range(1, len(out)):
        step = out[i] - out[i - 1]
        slope = slope + _alpha(1.0) * (step - slope)
        out[i] = out[i - 1] + _alpha(min_cutoff + beta * np.abs(slope)) * step
    return out
