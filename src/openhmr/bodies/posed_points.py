"""Joints and landmarks of many posed bodies without their vertices: exact for linear blend skinning."""

import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.body import Body
from openhmr.bodies.skinning import posed_joints, world_rotations


def regressor_tables(regressor: NDArray, body: Body) -> tuple[NDArray, NDArray]:
    """``P (K,J,3,1+S)`` and ``m (K,J)`` such that regressed joint k of a posed mesh is ``sum_b R_b (P[k,b] @
    [1, betas]) + m[k,b] t_b``, where skinning maps x to ``R_b x + t_b``; pose correctives are left out."""
    shape = np.concatenate([body.v_template[:, :, None], body.shapedirs], 2).astype(np.float64)
    used = np.nonzero(regressor.any(0))[0]
    r, w = regressor[:, used].astype(np.float64), body.weights[used].astype(np.float64)
    return np.einsum("kv,vb,vcs->kbcs", r, w, shape[used], optimize=True), r @ w


class PosedPoints:
    """Points of ``body`` that a ``regressor (K,V)`` takes from its vertices, and its joints, in many poses,
    of one shape ``betas (S,)`` or of one for each pose ``(T,S)``."""

    def __init__(self, body: Body, betas: NDArray, regressor: NDArray) -> None:
        table, self._mass = regressor_tables(regressor, body)
        betas = np.asarray(betas, np.float64)
        shape = np.concatenate([np.ones((*betas.shape[:-1], 1)), betas], -1)
        self._local = np.tensordot(shape, table, (-1, -1))
        # Few parts carry a point.
        self._carriers = [np.flatnonzero(np.abs(m) > 1e-7) for m in self._mass]
        self.parents = body.parents
        regress = body.J_regressor.astype(np.float64)
        spread = np.tensordot(regress, body.shapedirs.astype(np.float64), 1)
        self.rest = regress @ body.v_template + np.tensordot(betas, spread, (-1, -1))
        """The joints ``(J,3)`` or ``(T,J,3)`` at rest."""

    def __call__(self, rotations: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        """World rotations ``(T,J,3,3)``, joints ``(T,J,3)`` and points ``(T,K,3)`` of local ``rotations
        (T,J,3,3)``; the root joint stays at rest."""
        world = world_rotations(rotations, self.parents)
        rest = np.broadcast_to(self.rest, (*world.shape[:-2], 3))
        joints = posed_joints(world, rest, self.parents)
        return world, joints, self.points(world, joints)

    def points(self, world: NDArray, joints: NDArray) -> NDArray:
        """``(T,K,3)`` of given world rotations ``(T,J,3,3)`` and joints ``(T,J,3)``."""
        out = np.zeros((len(world), len(self._mass), 3))
        for k, carriers in enumerate(self._carriers):
            for b in carriers:
                arm = self._local[..., k, b, :] - self._mass[k, b] * self.rest[..., b, :]
                out[:, k] += (world[:, b] @ arm[..., None])[..., 0] + self._mass[k, b] * joints[:, b]
        return out
