"""The hand fitted to what a lifter found and to the 2D points that it found it from (ours).

A network blurs what it is unsure of: bones shorten, fingertips fray. A skinned hand cannot; and as its joints
must lie on the rays of the 2D points, depth alone is left to the network. Three steps of Gauss-Newton from
the fit to the mesh halve the error of held-out hands.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.body import Body
from openhmr.camera import Camera
from openhmr.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from openhmr.joints import MANO
from openhmr.people import Rig
from openhmr.predict.body_fit import BodyFit
from openhmr.predict.coarse_mesh import coarse_level, coarse_regressor

STEPS = 3
OBSERVATIONS = 21.0
"""All vertices together say as much as so many that err independently."""
LEAST_M = 0.002
"""Deviation of a vertex in metres below which none is believed to be."""
POINTS = (0.005, 0.03)
"""Least and largest standard deviation of the 2D points, in shares of the longer side of the box about them;
between these, what their distances from the hand tell."""
TURN_RAD, BETA = 0.5, 1.0
"""Standard deviations of how far joints turn from the fit to the mesh, and of betas."""
NEAREST_M = 0.05
"""No joint comes nearer to the camera."""

Array = NDArray[np.float64]


class HandFit(BodyFit):
    """Fits ``hand`` to meshes of its coarse level and to 2D points."""

    def __init__(self, hand: Body) -> None:
        super().__init__(hand)
        self._regressor = coarse_regressor(hand, hand.joint_regressor(MANO))[:, self._picked].astype(
            np.float64
        )

    def seen(
        self, mesh: NDArray, sigma: NDArray[np.float32], points: NDArray[np.float32], camera: Camera
    ) -> Rig:
        """The hands nearest to ``mesh (N,Vc,3)`` (camera axes, metres, placed), whose vertices deviate by
        ``sigma (N,Vc,3)``, and to pixels ``points (N,21,3)`` with confidences."""
        start = self(
            mesh,
            sigma,
            self.turns(mesh.astype(np.float64)),
            np.zeros((len(mesh), self.num_betas), np.float32),
        )
        local = axis_angle_to_matrix(start.pose.astype(np.float64))
        betas, shift = start.betas.astype(np.float64), start.translation[:, None].copy()
        first, target = local, mesh[:, self._picked].astype(np.float64)
        deviation = (sigma[:, self._picked].astype(np.float64) ** 2).mean(-1)
        share = 1 / (LEAST_M**2 + deviation)
        share *= OBSERVATIONS / 3 / share.shape[1]
        rays = camera.rays(points[..., :2])[..., :2]
        present = points[..., 2] > 0
        seen = points[..., 2].astype(np.float64)
        size = _extent(rays, present)
        count, joints = local.shape[:2]
        sure = np.repeat([TURN_RAD**-2, BETA**-2, 0.0], [3 * joints, betas.shape[1], 3])
        sure[:3] = 1e-6  # the whole hand turns as it likes
        for _ in range(STEPS):
            world, vertices, jacobian = self._linearised(local, betas)
            above = np.concatenate([np.tile(np.eye(3), (count, 1, 1, 1)), world[:, self._parents[1:]]], 1)
            back = above @ matrix_to_axis_angle(first @ local.swapaxes(-1, -2))[..., None]
            back = np.concatenate([back.reshape(count, -1), -betas, np.zeros((count, 3))], 1)
            normal, slope = _of_mesh(target - vertices, jacobian, share)
            found = self._regressor @ vertices + shift
            found[..., 2] = np.maximum(found[..., 2], NEAREST_M)
            moves = (
                np.tensordot(jacobian, self._regressor.astype(np.float32), (1, 1))
                .transpose(0, 3, 1, 2)
                .astype(np.float64)
            )
            more, pull = _of_points(rays, seen, found, moves, size)
            normal, slope = normal + more + np.diag(sure), slope + pull + sure * back
            change = np.linalg.solve(normal, slope[..., None])[..., 0]
            change[:, :-3] = change[:, :-3].clip(-1, 1)
            turn = axis_angle_to_matrix(change[:, : 3 * joints].reshape(count, joints, 3))
            local = above.swapaxes(-1, -2) @ turn @ above @ local
            betas, shift = betas + change[:, 3 * joints : -3], shift + change[:, None, -3:]
        return Rig(matrix_to_axis_angle(local).astype(np.float32), betas.astype(np.float32), shift[:, 0])

    @property
    def num_betas(self) -> int:
        return int(self._vertices.shape[-1]) - 1


def _extent(rays: Array, present: NDArray[np.bool_]) -> Array:
    """Longer side ``(N,1)`` of the tight box about the present rays."""
    seen = np.where(present[..., None], rays, np.nan)
    return (np.nanmax(seen, 1) - np.nanmin(seen, 1)).max(1, keepdims=True)


def _of_mesh(left: Array, jacobian: NDArray[np.float32], share: Array) -> tuple[Array, Array]:
    """Normal equations of the mesh, wherever it lies: a lifter's depth is no observation."""
    total = share.sum(1)[:, None, None]
    left = left - (share[:, None] @ left) / total
    mean = (share[:, None] @ jacobian.reshape(*share.shape, -1)).reshape(len(share), 1, 3, -1)
    root = np.sqrt(share)[..., None]
    rows = (jacobian - mean / total[..., None]) * root[..., None]
    rows = rows.reshape(len(share), -1, jacobian.shape[-1]).astype(np.float32)
    wrong = (left * root).reshape(len(share), -1, 1).astype(np.float32)
    return (rows.swapaxes(1, 2) @ rows).astype(np.float64), (rows.swapaxes(1, 2) @ wrong)[..., 0].astype(
        np.float64
    )


def _of_points(rays: Array, weights: Array, found: Array, moves: Array, size: Array) -> tuple[Array, Array]:
    """Normal equations of the 2D points: ``rays (N,21,2)`` against joints ``found (N,21,3)``, which move by
    ``moves (N,21,3,Q)``; Cauchy's weights forget outliers."""
    depth = found[..., 2:]
    seen = found[..., :2] / depth
    left = rays - seen
    distance = np.linalg.norm(left, axis=-1)
    usual = np.nanmedian(np.where(weights > 0, distance, np.nan), axis=1, keepdims=True)
    deviation = np.clip(usual / size, *POINTS) * size
    weights = weights / deviation**2 / (1 + (distance / (3 * deviation)) ** 2)
    rows = (moves[..., :2, :] - seen[..., None] * moves[..., 2:, :]) / depth[..., None]
    root = np.sqrt(weights)[..., None]
    rows = (rows * root[..., None]).reshape(len(rays), -1, moves.shape[-1])
    wrong = (left * root).reshape(len(rays), -1, 1)
    return rows.swapaxes(1, 2) @ rows, (rows.swapaxes(1, 2) @ wrong)[..., 0]


@lru_cache(maxsize=4)
def fit_of(hand: Body) -> HandFit:
    """One fit for each hand: its tables are made once."""
    return HandFit(hand)


def fitted(hand: Body, mesh: NDArray, sigma: NDArray, points: NDArray[np.float32], camera: Camera) -> Rig:
    """Parameters of ``hand`` for whole meshes ``(N,V,3)`` with deviations ``sigma (N,V,3)`` and 2D points:
    see :meth:`HandFit.seen`."""
    ids = coarse_level(hand).vertex_ids
    return fit_of(hand).seen(mesh[:, ids], sigma[:, ids], points, camera)
