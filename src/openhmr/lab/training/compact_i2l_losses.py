"""What the compact I2L-MeshNet learns from: its losses, and lixels as metres."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from openhmr.bodies.body import Body
from openhmr.joints import COCO
from openhmr.lab.synth.crops import CropBatch
from openhmr.lab.synth.pairs import Skeleton
from openhmr.predict.coarse_mesh import coarse_regressor
from openhmr.predict.person_crop import DEPTH_M, LIXELS, PATCH

MARGIN = 40
"""Lixels outside of the crop up to which points are still learned: the legs of somebody cut off at the hips,
which a body is then fitted to, have to be somewhere sensible."""


@dataclass(frozen=True)
class LossWeights:
    """Weights of the terms; those in lixels are the original's (its normals are left out: they cost more than
    they gave)."""

    first: float = 0.5
    lifted: float = 0.5
    edge: float = 1.0
    joint3d: float = 0.5
    scale: float = 5.0
    likelihood: float = 0.05
    rotation: float = 5.0
    betas: float = 0.1


def restore(lixel: Tensor, scale_m: Tensor, batch: CropBatch) -> Tensor:
    """Lixels ``(B,N,3)`` as metres in the rolled virtual camera ``(B,N,3)``: the ray of each pixel at its
    depth."""
    affine, K = batch.affine, batch.K
    xy = (lixel[..., :2] * (PATCH / LIXELS) - affine[:, None, :, 2]) @ torch.linalg.inv(affine[:, :, :2]).mT
    centre = torch.linalg.solve(affine[:, :, :2], PATCH / 2 - affine[:, :, 2])

    def normalised(pixel: Tensor) -> Tensor:
        return (pixel - K[:, None, :2, 2]) / K[:, None, (0, 1), (0, 1)]

    plane = normalised(xy)
    rays = torch.cat([plane, torch.ones_like(plane[..., :1])], -1) @ batch.virtual.mT
    focal = K[:, 0, 0] * (1 + normalised(centre[:, None])[:, 0].square().sum(1)).sqrt()
    side = PATCH / affine[:, :, :2].det().sqrt()
    depth = (scale_m * focal * LIXELS / side)[:, None, None] + (lixel[..., 2:] / LIXELS - 0.5) * DEPTH_M
    return rays / rays[..., 2:].clamp(min=0.05) * depth


class CompactI2LLosses(nn.Module):
    """``losses(output of the network, batch)`` -> the named terms, on the coarse level of ``body``.

    ``human36 (17,Vc)`` and ``regressor (36,Vc)`` lead from vertices to Human3.6M's joints, and to those and
    COCO's.
    """

    human36: Tensor
    regressor: Tensor
    edges: Tensor

    def __init__(self, body: Body, weights: LossWeights) -> None:
        super().__init__()
        self.weights, self.skeleton = weights, Skeleton(body)
        human36 = coarse_regressor(body, body.joint_regressor("human36"))
        coco = coarse_regressor(body, body.joint_regressor(COCO))
        self.register_buffer("human36", torch.tensor(human36, dtype=torch.float32))
        both = np.concatenate([human36, coco])
        self.register_buffer("regressor", torch.tensor(both, dtype=torch.float32))
        self.register_buffer("edges", torch.as_tensor(_edges(body.level("coarse").faces)))

    def forward(self, out: dict[str, Tensor], batch: CropBatch) -> dict[str, Tensor]:
        return self.lixel_losses(out, batch) | self.metric_losses(out, batch)

    def lixel_losses(self, out: dict[str, Tensor], batch: CropBatch) -> dict[str, Tensor]:
        """In lixels, where the target lies in or near the crop's volume, and how likely the errors are."""
        w, mesh = self.weights, out["vertices_lixel"]
        seen, seen_joints = near(batch.vertices), near(batch.joints)
        error, joint_error = (mesh - batch.vertices).abs(), (out["joints_lixel"] - batch.joints).abs()
        regressed = self.regressor @ batch.vertices
        a, b = self.edges.unbind(1)
        stretched = (_lengths(mesh, a, b) - _lengths(batch.vertices, a, b)).abs()[..., None]
        unlikely = _mean(_unlikely(error, out["vertices_sigma"]), seen)
        unlikely = unlikely + _mean(_unlikely(joint_error, out["joints_sigma"]), seen_joints)
        return {
            "joint": _mean(joint_error, seen_joints),
            "first": w.first * _mean((out["first_lixel"] - batch.joints).abs(), seen_joints),
            "lifted": w.lifted * _mean((out["lifted_lixel"] - batch.vertices).abs(), seen),
            "mesh": _mean(error, seen),
            "mesh_joint": _mean((self.regressor @ mesh - regressed).abs(), near(regressed)),
            "edge": w.edge * _mean(stretched, seen[:, a] * seen[:, b]),
            "likelihood": w.likelihood * unlikely,
        }

    def metric_losses(self, out: dict[str, Tensor], batch: CropBatch) -> dict[str, Tensor]:
        """In metres (as lixels of depth), of the restored joints, the scale, and the parametric mesh."""
        w, per_metre = self.weights, LIXELS / DEPTH_M
        restored = self.human36 @ restore(out["vertices_lixel"], out["scale_m"], batch)
        whole = (near(batch.vertices).mean((1, 2)) > 0.95)[:, None, None].float()
        r, t = self.skeleton.transforms(out["rotations"], out["betas"])
        skinned = self.skeleton.vertices(r, t, out["betas"])
        skinned = skinned - self.skeleton.roots(r, t, out["betas"])
        metric = _mean((restored - restored[:, :1] - batch.human36_m).abs(), whole)
        return {
            "joint3d": w.joint3d * per_metre * metric,
            "scale": w.scale * (out["scale_m"].log() - batch.scale_m.log()).abs().mean(),
            "rotation": w.rotation * (out["rotations"] - batch.rotations).abs().mean(),
            "param_mesh": per_metre * (skinned - batch.points_m).abs().mean(),
            "betas": w.betas * (out["betas"] - batch.betas).abs().mean(),
        }


def _edges(faces: NDArray) -> NDArray[np.int64]:
    """Edges ``(E,2)`` of a mesh, each once."""
    f = faces.astype(np.int64)
    return np.unique(np.sort(np.concatenate([f[:, [0, 1]], f[:, [1, 2]], f[:, [0, 2]]]), 1), axis=0)


def near(lixels: Tensor) -> Tensor:
    """1 for points ``(B,N,3)`` in the crop's volume or at most ``MARGIN`` outside of it, else 0:
    ``(B,N,1)``."""
    return ((lixels >= -MARGIN) & (lixels < LIXELS + MARGIN)).all(-1, keepdim=True).float()


def _mean(value: Tensor, mask: Tensor) -> Tensor:
    """Masked elements count in the mean, as zeros."""
    return (value * mask).mean()


def _lengths(points: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return (points.index_select(1, a) - points.index_select(1, b)).square().sum(-1).add(1e-6).sqrt()


def _unlikely(error: Tensor, sigma: Tensor) -> Tensor:
    """Negative log likelihood under a Laplace distribution of standard deviation ``sigma``; only ``sigma``
    learns from it."""
    return sigma.log() + 2**0.5 * error.detach() / sigma
