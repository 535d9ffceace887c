"""The body fitted to the mesh that an image network draws: Gauss-Newton over pose, shape and place (ours).

Vertices that are drawn one by one come apart where the picture tells little: a forearm becomes a thread, a
head a spike. A skinned body cannot. Two steps from the regressed pose and shape bring it so near to the drawn
mesh that its joints are as right as those are, on rendered and on real pictures. Offsets of single vertices
upon it gained 0.1 mm, so there are none.
"""

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.body import Body
from openhmr.bodies.skinning import local_rotations, posed_joints, world_rotations
from openhmr.errors import InputError
from openhmr.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from openhmr.people import People, Rig
from openhmr.predict.coarse_mesh import coarse_level

STEPS = 2
VERTICES = 300
"""About so many are fitted to: neighbours err alike, so more of them tell nothing new."""
SIGMA_M = 0.03
"""Deviation of a vertex in metres above which its weight falls."""
POSE_RAD, BETAS = 0.5, 0.3
"""Standard deviations of the regressed rotations and betas, which are the prior: a forearm's direction comes
from the mesh, and its twist, of which a thin part's vertices tell little, from the regressor. Betas that are
freer follow the errors of the pose: with 1 the joints are right to 0.2 mm more, and the shape at rest is 4 mm
more wrong."""
MOST = 1.5
"""Largest change of an angle (radians) or beta in one step."""
FREE = 1e-6
"""Precision of the prior of the root's rotation: none, but solvable."""

Array = NDArray[np.float64]


def with_rig(people: People) -> People:
    """The same people with the body parameters that fit their meshes best, for those of a lift.

    Every part's turn is read off its own vertices (Kabsch 1976), then all is fitted together; a fit of the
    body's own mesh is exact to millimetres.
    """
    if not len(people):
        return people
    body = people.body
    fit, ids = _fit_of(body), coarse_level(body).vertex_ids
    mesh = people.vertices[:, ids].astype(np.float64)
    sigma = np.zeros(mesh.shape, np.float32) if people.sigma is None else people.sigma.vertices[:, ids]
    return replace(
        people, rig=fit(mesh, sigma, fit.turns(mesh), np.zeros((len(mesh), body.num_betas), np.float32))
    )


def refitted(people: People) -> People:
    """The same people with the body parameters nearest to their meshes, from their own rig on, and the meshes
    of these. Raises :class:`InputError` where they have no rig."""
    if people.rig is None:
        raise InputError("these people have no body parameters to start from; recover them from a photo")
    ids = coarse_level(people.body).vertex_ids
    mesh = people.vertices[:, ids].astype(np.float64)
    sigma = np.zeros(mesh.shape, np.float32) if people.sigma is None else people.sigma.vertices[:, ids]
    start = axis_angle_to_matrix(people.rig.pose.astype(np.float64))
    rig = _fit_of(people.body)(mesh, sigma, start, people.rig.betas)
    return replace(people, rig=rig, vertices=replace(people, rig=rig).parametric().vertices)


@lru_cache(maxsize=4)
def _fit_of(body: Body) -> "BodyFit":
    return BodyFit(body)


class BodyFit:
    """Fits ``body`` to meshes of its coarse level."""

    def __init__(self, body: Body) -> None:
        ids = coarse_level(body).vertex_ids
        weights = body.weights[ids].T.astype(np.float64)
        self._share = weights / np.maximum(weights.sum(1, keepdims=True), 1e-9)
        self._rest = body.v_template[ids].astype(np.float64)
        self._picked = slice(None, None, max(1, len(ids) // VERTICES))
        ids, self._parents = ids[self._picked], np.asarray(body.parents)
        # The mean shape, then what each beta adds: skinning is linear in these.
        shapes = np.concatenate([body.v_template[..., None], body.shapedirs], -1).astype(np.float64)
        self._vertices, self._weights = shapes[ids], body.weights[ids].astype(np.float64)
        self._joints = np.tensordot(body.J_regressor.astype(np.float64), shapes, 1)
        self._correctives = body.posedirs[ids].astype(np.float64)
        self._below = np.eye(len(self._parents))  # [k, j]: whether joint j is k or hangs on it
        for j in range(len(self._parents) - 1, 0, -1):
            self._below[self._parents[j]] += self._below[j]
        self._carried = (self._below @ self._weights.T)[..., None]

    def turns(self, mesh: Array) -> Array:
        """Rotations ``(N,J,3,3)`` relative to the parent joints, of ``mesh (N,Vc,3)`` against the T-pose: for
        every part the one that fits its vertices best, weighted by how far they go with it."""
        share, rest = self._share, self._rest
        start = share @ rest
        count, parts = len(mesh), len(share)
        moment = (share @ (mesh[..., :, None] * rest[:, None]).reshape(count, -1, 9)).reshape(
            count, parts, 3, 3
        )
        moment = moment - (share @ mesh)[..., None] * start[:, None]
        u, _, vt = np.linalg.svd(moment + 1e-9 * np.eye(3))
        u[..., 2] *= np.linalg.det(u @ vt)[..., None]
        return local_rotations(u @ vt, self._parents)

    def __call__(
        self, mesh: NDArray, sigma: NDArray[np.float32], rotations: Array, betas: NDArray[np.float32]
    ) -> Rig:
        """The bodies nearest to ``mesh (N,Vc,3)`` metres, whose vertices deviate by ``sigma (N,Vc,3)``.

        ``rotations (N,J,3,3)``, relative to the parent, and ``betas (N,S)`` are start and prior.
        """
        target = mesh[:, self._picked].astype(np.float64)
        precision = 1 / (SIGMA_M**2 + (sigma[:, self._picked].astype(np.float64) ** 2).mean(-1))
        local, shape = rotations.astype(np.float64), betas.astype(np.float64)
        count, joints = local.shape[:2]
        sure = np.concatenate(
            [
                np.repeat([FREE] + [POSE_RAD**-2] * (joints - 1), 3),
                np.full(shape.shape[1], BETAS**-2),
                np.zeros(3),
            ]
        )
        shift = np.zeros((count, 1, 3))
        for step in range(STEPS):
            world, vertices, jacobian = self._linearised(local, shape)
            left = target - vertices - shift
            if step == 0:
                mean = (precision[:, None] @ left) / precision.sum(-1)[:, None, None]
                shift, left = mean, left - mean
            # Turns are about the mesh's axes, and so is the way back to the prior.
            above = np.concatenate([np.tile(np.eye(3), (count, 1, 1, 1)), world[:, self._parents[1:]]], 1)
            back = above @ matrix_to_axis_angle(rotations @ local.swapaxes(-1, -2))[..., None]
            back = np.concatenate([back.reshape(count, -1), betas - shape, np.zeros((count, 3))], 1)
            root = np.sqrt(precision)[..., None]
            rows = (jacobian * root[..., None].astype(np.float32)).reshape(count, -1, len(sure))
            wrong = (left * root).reshape(count, -1, 1).astype(np.float32)
            normal = (rows.swapaxes(1, 2) @ rows).astype(np.float64) + np.diag(sure)
            slope = (rows.swapaxes(1, 2) @ wrong)[..., 0] + sure * back
            change = np.linalg.solve(normal, slope[..., None])[..., 0]
            # No person's mesh asks for more in one step; what is no person shall not run away.
            change[:, :-3] = change[:, :-3].clip(-MOST, MOST)
            turn = axis_angle_to_matrix(change[:, : 3 * joints].reshape(count, joints, 3))
            local = above.swapaxes(-1, -2) @ turn @ above @ local
            shape, shift = shape + change[:, 3 * joints : -3], shift + change[:, None, -3:]
        return Rig(matrix_to_axis_angle(local).astype(np.float32), shape.astype(np.float32), shift[:, 0])

    def _linearised(self, local: Array, betas: Array) -> tuple[Array, Array, NDArray[np.float32]]:
        """World rotations ``(N,J,3,3)``, the picked vertices ``(N,P,3)``, and their derivatives
        ``(N,P,3,3 J + S + 3)`` by turns of the joints, betas and translation."""
        world = world_rotations(local, self._parents)
        count, joints = world.shape[:2]
        rest = self._vertices[..., 0] + np.tensordot(betas, self._vertices[..., 1:], (1, 2))
        at = np.repeat(self._joints[None], count, 0)  # (N,J,3,1+S)
        at[..., 0] += np.tensordot(betas, self._joints[..., 1:], (1, 2))
        if self._correctives.shape[-1]:
            features = (local[:, 1:] - np.eye(3)).reshape(count, -1)
            rest += np.tensordot(features, self._correctives, (1, 2))
        posed = posed_joints(world[:, None], np.moveaxis(at, -1, 1), self._parents)
        offsets = np.moveaxis(posed, 1, -1) - world @ at  # what skinning adds to turned vertices
        # What each joint contributes to each vertex; then what it and all that hang on it do: the root, all.
        share = rest[:, None] @ world.swapaxes(-1, -2) + offsets[:, :, None, :, 0]
        share *= self._weights.T[..., None]
        share = (self._below @ share.reshape(count, joints, -1)).reshape(share.shape)  # (N,J,P,3)
        arm = share - posed[:, 0, :, None] * self._carried
        blended = (self._weights @ world.reshape(count, joints, 9)).reshape(count, -1, 3, 3)
        shaped = blended @ self._vertices[..., 1:]
        shaped += (self._weights @ offsets[..., 1:].reshape(count, joints, -1)).reshape(shaped.shape)
        out = np.zeros((*shaped.shape[:3], 3 * joints + betas.shape[1] + 3), np.float32)
        for axis in range(3):
            x, y = (axis + 1) % 3, (axis + 2) % 3
            out[:, :, x, axis : 3 * joints : 3] = -arm[..., y].swapaxes(1, 2)
            out[:, :, y, axis : 3 * joints : 3] = arm[..., x].swapaxes(1, 2)
            out[:, :, axis, axis - 3] = 1
        out[..., 3 * joints : -3] = shaped
        return world, share[:, 0], out
