"""Errors of poses and meshes as the field reports them. Inputs in millimetres give errors in millimetres."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from openhmr.geometry.alignment import align_similarity
from openhmr.joints.joint_set import JointSet


def root_relative(points: NDArray, roots: NDArray) -> NDArray:
    """``points (..., N, 3)`` minus ``roots (..., 3)``."""
    return points - roots[..., None, :]


def mean_distance(a: NDArray, b: NDArray) -> NDArray:
    """Mean Euclidean distance over the points of ``a, b (..., N, 3)``: one number ``(...)`` per sample."""
    return np.linalg.norm(a - b, axis=-1).mean(axis=-1)


def mpjpe(predicted: NDArray, truth: NDArray, joint_set: JointSet) -> NDArray:
    """Mean per-joint position error ``(...)`` of ``(..., J, 3)`` poses, each relative to its own root, over
    the eval joints."""
    return mean_distance(*_evaluated(predicted, truth, joint_set))


def pa_mpjpe(predicted: NDArray, truth: NDArray, joint_set: JointSet) -> NDArray:
    """MPJPE ``(...)`` after similarity Procrustes alignment of the prediction, on the same joints."""
    p, t = _evaluated(predicted, truth, joint_set)
    return mean_distance(align_similarity(p, t), t)


def kept_errors(
    predicted: NDArray, truth: NDArray, keep: NDArray, root: int | Sequence[int]
) -> tuple[float, float]:
    """MPJPE and PA-MPJPE of one pose ``(J, 3)`` over the joints that the mask ``keep (J,)`` names, each
    relative to (the mean of) its own ``root``; nan where fewer than four are kept."""
    if keep.sum() < 4:
        return float("nan"), float("nan")
    p, t = (root_relative(x, x[np.atleast_1d(root)].mean(0))[keep] for x in (predicted, truth))
    return float(mean_distance(p, t)), float(mean_distance(align_similarity(p, t), t))


def mpvpe(predicted: NDArray, truth: NDArray, root_regressor: NDArray) -> NDArray:
    """Mean per-vertex position error ``(...)`` of ``(..., V, 3)`` meshes.

    ``root_regressor (V,)`` gives the point that each mesh is relative to: SMPL's pelvis, row 0 of its joint
    regressor, in the original's final evaluation (its per-epoch figure takes the root of the target joints
    instead, and differs by a percent).
    """
    p, t = (root_relative(mesh, root_regressor @ mesh) for mesh in (predicted, truth))
    return mean_distance(p, t)


def pa_mpvpe(predicted: NDArray, truth: NDArray) -> NDArray:
    """MPVPE ``(...)`` after similarity Procrustes alignment of the predicted ``(..., V, 3)`` mesh (any root
    cancels)."""
    return mean_distance(align_similarity(predicted, truth), truth)


def broken_edges(vertices: NDArray, whole: NDArray, edges: NDArray) -> NDArray:
    """Share ``(...)`` of ``edges (E,2)`` that are longer than twice or shorter than half of what they are in
    ``whole (..., V, 3)``: of a mesh ``vertices (..., V, 3)`` with threads and spikes (ours)."""
    lengths, wanted = (
        np.linalg.norm(mesh[..., edges[:, 0], :] - mesh[..., edges[:, 1], :], axis=-1)
        for mesh in (np.asarray(vertices, np.float64), np.asarray(whole, np.float64))
    )
    return ((lengths > 2 * wanted) | (lengths < wanted / 2)).mean(axis=-1)


def acceleration_error(predicted: NDArray, truth: NDArray, visible: NDArray | None = None) -> NDArray:
    """Mean over joints of the difference of second differences ``(T - 2,)``, unit per frame squared (Kanazawa
    et al. 2019).

    ``predicted, truth (T, J, 3)``. With ``visible (T,)`` the three frames that an invisible one enters are
    dropped.
    """
    p, t = (x[:-2] - 2 * x[1:-1] + x[2:] for x in (predicted, truth))
    error = mean_distance(p, t)
    if visible is None:
        return error
    seen = np.asarray(visible, bool)
    return error[seen[:-2] & seen[1:-1] & seen[2:]]


def _evaluated(predicted: NDArray, truth: NDArray, joint_set: JointSet) -> tuple[NDArray, NDArray]:
    keep = list(joint_set.eval_joints)
    p, t = (root_relative(x, x[..., joint_set.root, :])[..., keep, :] for x in (predicted, truth))
    return p, t
