"""From the coarse mesh that the networks return to the body's own vertices and to joints."""

import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.body import Body
from openhmr.errors import InputError
from openhmr.joints.coco import add_pelvis_neck


class CoarseMesh:
    """The body's level ``coarse``: its fixed upsampling, and the regressors smpl, human36 and coco on its
    vertices."""

    def __init__(self, body: Body) -> None:
        self._columns, self._values = _gather_table(body)
        self._regressors = {
            name: coarse_regressor(body, regressor) for name, regressor in joint_regressors(body).items()
        }

    def joints(self, coarse: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Joint sets ``(N,J,3)`` by name from coarse vertices ``(N,Vc,3)``, in their unit and axes."""
        return {name: np.matmul(regressor, coarse) for name, regressor in self._regressors.items()}

    def upsample(self, coarse: NDArray[np.float32]) -> NDArray[np.float32]:
        """``(N,Vc,3)`` -> ``(N,V,3)``; one axis at a time, because gathering single numbers is what NumPy
        does fastest."""
        out = np.empty((len(coarse), self._columns.shape[1], 3), np.float32)
        for n, axis in np.ndindex(len(coarse), 3):
            out[n, :, axis] = np.einsum("kv,kv->v", self._values, coarse[n, :, axis].take(self._columns))
        return out


def joint_regressors(body: Body) -> dict[str, NDArray]:
    """Name -> ``(J,V)`` of the joint sets that every result holds."""
    return {
        "smpl": body.J_regressor,
        "human36": body.joint_regressors["human36"],
        "coco": add_pelvis_neck(body.joint_regressors["coco"]),
    }


def coarse_regressor(body: Body, regressor: NDArray) -> NDArray[np.float32]:
    """``regressor (J,V)`` times the upsampling matrix: ``(J,Vc)``, so that joints need no full mesh."""
    rows, cols, values, size = _sparse(body)
    return np.stack([np.bincount(cols, row[rows] * values, size) for row in regressor]).astype(np.float32)


def _sparse(body: Body) -> tuple[NDArray, NDArray, NDArray, int]:
    level = body.level("coarse")
    if level.upsample is None:
        raise InputError(
            "the body's coarse level has no upsampling to its own vertices; use a body that has one"
        )
    return *level.upsample, len(level.vertex_ids)


def _gather_table(body: Body) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The upsampling matrix as columns and values ``(k,V)`` each, short rows padded with zeros."""
    rows, cols, values, _ = _sparse(body)
    order = np.argsort(rows, kind="stable")
    rows, cols, values = rows[order], cols[order], values[order]
    counts = np.bincount(rows, minlength=body.num_vertices)
    slot = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    columns, table = (
        np.zeros((counts.max(), len(counts)), np.int64),
        np.zeros((counts.max(), len(counts)), np.float32),
    )
    columns[slot, rows], table[slot, rows] = cols, values
    return columns, table
