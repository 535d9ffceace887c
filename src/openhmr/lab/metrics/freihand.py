"""FreiHAND's scores, which its server computes, here where there is a ground truth.

Scores as defined by the data set's paper (Zimmermann et al. 2019): errors and F-scores after similarity
alignment, the area under the curve of correct points between 0 and 50 mm.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from openhmr.errors import InputError
from openhmr.geometry.alignment import align_similarity

LIMIT_MM = 50.0
F_THRESHOLDS_MM = (5.0, 15.0)


def read_truth(path: Path, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Ground truth ``(N, points, 3)`` of one of FreiHAND's JSON lists (metres). Raises
    :class:`InputError`."""
    try:
        truth = np.array(json.loads(path.read_text()), np.float64)
    except (OSError, ValueError, TypeError, OverflowError, RecursionError) as error:
        reason = str(error)[:60]
        raise InputError(
            f"{path} is no list of points ({reason}); give FreiHAND's evaluation_xyz.json or "
            f"evaluation_verts.json"
        ) from None
    if truth.shape != shape:
        raise InputError(
            f"{path} holds an array of shape {truth.shape}, the predictions {shape}; give the truth of the "
            f"same samples"
        )
    return truth


def f_scores(
    predicted: NDArray, truth: NDArray, thresholds: Sequence[float] = F_THRESHOLDS_MM
) -> dict[float, float]:
    """Mean F-score (harmonic mean of precision and recall of the points ``(N,V,3)``) at each distance, in the
    points' unit."""
    scores = {t: [] for t in thresholds}  # type: dict[float, list[float]]
    for p, g in zip(predicted, truth, strict=True):
        to_truth, to_predicted = cKDTree(g).query(p)[0], cKDTree(p).query(g)[0]
        for t in thresholds:
            precision, recall = float((to_truth < t).mean()), float((to_predicted < t).mean())
            scores[t].append(2 * precision * recall / (precision + recall) if precision + recall else 0.0)
    return {t: float(np.mean(v)) for t, v in scores.items()}


def curve(errors: NDArray, steps: int = 100) -> tuple[NDArray, float]:
    """Share of ``errors`` (mm) within each of ``steps`` thresholds from 0 to 50 mm, and the area under it (0
    to 1)."""
    shares = (np.asarray(errors).ravel() <= np.linspace(0, LIMIT_MM, steps)[:, None]).mean(1)
    return shares, float((shares[1:] + shares[:-1]).mean() / 2)


def scores(
    joints: NDArray, vertices: NDArray, true_joints: NDArray, true_vertices: NDArray
) -> dict[str, float]:
    """All aligned scores of the challenge, from millimetres ``(N,21,3)`` and ``(N,778,3)``; any root and
    scale cancels."""
    aligned_joints, aligned = align_similarity(joints, true_joints), align_similarity(vertices, true_vertices)
    joint, vertex = (
        np.linalg.norm(a - b, axis=-1) for a, b in ((aligned_joints, true_joints), (aligned, true_vertices))
    )
    out = {
        "PA-MPJPE": float(joint.mean()),
        "joint AUC": curve(joint)[1],
        "PA-MPVPE": float(vertex.mean()),
        "mesh AUC": curve(vertex)[1],
    }
    return out | {f"F@{t:g}": score for t, score in f_scores(aligned, true_vertices).items()}
