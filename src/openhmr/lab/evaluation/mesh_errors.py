"""Errors of many meshes at once, in the order that memory likes: axes in front, vertices last, all in one
pass."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from openhmr.bodies.body import Body
from openhmr.bodies.stature import stature
from openhmr.geometry.alignment import scale_and_rotation
from openhmr.joints import HUMAN36
from openhmr.lab.metrics.errors import mpjpe, pa_mpjpe
from openhmr.lab.models.pose2mesh.compact import sparse_matrix
from openhmr.predict.coarse_mesh import coarse_regressor

METRICS = ("MPJPE", "PA-MPJPE", "MPVPE", "PA-MPVPE", "height")


class ExactMesh:
    """The body's own vertices ``(B,3,V)`` in metres from skinning rotations ``(B,J,3,3)``, translations
    ``(B,J,3)`` metres and ``betas (B,S)``."""

    def __init__(self, body: Body) -> None:
        shape = np.concatenate([body.v_template[:, :, None], body.shapedirs], 2)
        self.shape = torch.as_tensor(np.ascontiguousarray(shape.transpose(2, 1, 0))).flatten(1)
        self.weights = torch.as_tensor(np.ascontiguousarray(body.weights.T))

    def __call__(self, rotations: Tensor, translations: Tensor, betas: Tensor) -> Tensor:
        rest = (torch.cat([torch.ones_like(betas[:, :1]), betas], 1) @ self.shape).unflatten(1, (3, -1))
        transforms = torch.cat([rotations, translations[..., None]], -1).permute(0, 2, 3, 1)  # (B,3,4,J)
        blended = transforms @ self.weights
        out = blended[:, :, 3].clone()
        for axis in range(3):
            out.addcmul_(blended[:, :, axis], rest[:, axis : axis + 1])
        return out


class MeshErrors:
    """MPJPE and PA-MPJPE (14 Human3.6M joints), MPVPE and PA-MPVPE of coarse meshes of ``body``, upsampled,
    and the error of the height that they tell."""

    def __init__(self, body: Body) -> None:
        level = body.level("coarse")
        assert level.upsample is not None
        rows, cols, values = level.upsample
        self._upsampling = sparse_matrix(rows, cols, values, (body.num_vertices, len(level.vertex_ids)))
        self._human36 = coarse_regressor(body, body.joint_regressor(HUMAN36))
        self._pelvis, self._body = torch.tensor(body.J_regressor[0]), body

    def upsample(self, coarse: NDArray) -> Tensor:
        """``(B,Vc,3)`` -> ``(B,3,V)``."""
        columns = torch.from_numpy(np.ascontiguousarray(coarse.transpose(1, 2, 0))).flatten(1)
        return (self._upsampling @ columns).unflatten(1, (3, -1)).permute(2, 1, 0).contiguous()

    def __call__(self, coarse: NDArray, truth: Tensor, human36: NDArray) -> NDArray[np.float64]:
        """The errors ``(5,B)`` in mm, in the order of :data:`METRICS`, of ``coarse (B,Vc,3)`` against the
        body's own vertices ``truth (B,3,V)`` and joints ``human36 (B,17,3)``, all in metres."""
        joints, mesh = np.matmul(self._human36, coarse), self.upsample(coarse)
        shift = (mesh - truth) @ self._pelvis
        per_vertex = (mesh - truth).sub_(shift[..., None]).square_().sum(1).sqrt_().mean(-1)
        errors = (
            mpjpe(joints, human36, HUMAN36),
            pa_mpjpe(joints, human36, HUMAN36),
            per_vertex,
            _aligned(mesh, truth),
            np.abs(np.subtract(*(stature(self._body, m.mT.numpy()) for m in (mesh, truth)))),
        )
        return 1000 * np.stack([np.asarray(e, np.float64) for e in errors])


def _aligned(mesh: Tensor, truth: Tensor) -> NDArray:
    """Mean distance ``(B,)`` of meshes ``(B,3,V)`` after similarity alignment, without a copy of the aligned
    mesh for each step: only its 3 x 3 moments are needed to find the alignment."""
    mesh, truth = (x - x.mean(-1, keepdim=True) for x in (mesh, truth))
    covariance = (mesh @ truth.mT).double().numpy() / mesh.shape[-1]
    scale, rotation = scale_and_rotation(covariance, mesh.square().sum(1).mean(-1).double().numpy())
    turn = torch.as_tensor(scale[:, None, None] * rotation, dtype=mesh.dtype)
    return torch.baddbmm(truth, turn, mesh, beta=-1).square_().sum(1).sqrt_().mean(-1).numpy()
