"""From the coarse mesh that the networks return to the body's own vertices and to joints."""

import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.body import Body, Level
from openhmr.errors import InputError
from openhmr.joints import JointSet


def coarse_level(body: Body) -> Level:
    """The level that networks of ``body`` predict: ``coarse``, or the whole mesh of a body without such a
    level."""
    if "coarse" in body.levels:
        return body.level("coarse")
    every = np.arange(body.num_vertices, dtype=np.int32)
    return Level(every, body.faces, (every, every, np.ones(len(every), np.float32)))


class CoarseMesh:
    """The fixed upsampling of a body's :func:`coarse_level`, and joint regressors on its vertices."""

    def __init__(self, body: Body) -> None:
        self.body, self.vertex_ids = body, coarse_level(body).vertex_ids
        self._whole = len(self.vertex_ids) == body.num_vertices
        self._columns, self._values = _gather_table(body)
        self._regressors: dict[str, NDArray[np.float32]] = {}

    def joints(self, coarse: NDArray[np.float32], joint_set: JointSet) -> NDArray[np.float32]:
        """Joints ``(N,J,3)`` from coarse vertices ``(N,Vc,3)``, in their unit and axes."""
        if joint_set.name not in self._regressors:
            regressor = self.body.joint_regressor(joint_set)
            self._regressors[joint_set.name] = coarse_regressor(self.body, regressor)
        return np.matmul(self._regressors[joint_set.name], coarse)

    def roots(self, coarse: NDArray[np.float32]) -> NDArray[np.float64]:
        """The root joint ``(N,3)`` of coarse vertices ``(N,Vc,3)``."""
        if "root" not in self._regressors:
            self._regressors["root"] = coarse_regressor(self.body, self.body.root_regressor[None])
        return np.matmul(self._regressors["root"], coarse)[:, 0].astype(np.float64)

    def upsample(self, coarse: NDArray[np.float32]) -> NDArray[np.float32]:
        """``(N,Vc,3)`` -> ``(N,V,3)``; one axis at a time, because NumPy gathers single numbers fastest."""
        if self._whole:
            return coarse
        out = np.empty((len(coarse), self._columns.shape[1], 3), np.float32)
        for n, axis in np.ndindex(len(coarse), 3):
            out[n, :, axis] = np.einsum("kv,kv->v", self._values, coarse[n, :, axis].take(self._columns))
        return out


def coarse_regressor(body: Body, regressor: NDArray) -> NDArray[np.float32]:
    """``regressor (J,V)`` times the upsampling matrix: ``(J,Vc)``, so that joints need no full mesh."""
    rows, cols, values, size = _sparse(body)
    return np.stack([np.bincount(cols, row[rows] * values, size) for row in regressor]).astype(np.float32)


def _sparse(body: Body) -> tuple[NDArray, NDArray, NDArray, int]:
    level = coarse_level(body)
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
    columns = np.zeros((counts.max(), len(counts)), np.int64)
    table = np.zeros(columns.shape, np.float32)
    columns[slot, rows], table[slot, rows] = cols, values
    return columns, table
