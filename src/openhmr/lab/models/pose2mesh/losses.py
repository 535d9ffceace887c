"""The loss of Pose2Mesh with its official weights and quirks (docs/originals/pose2mesh.md, "Losses")."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

EDGES = ((0, 1), (0, 2), (1, 2))


@dataclass(frozen=True)
class LossConfig:
    """Weights of the terms; the edge term counts only from the epoch after ``edge_after`` (epochs from 1; 7
    body, 15 hand)."""

    normal: float = 0.1
    edge: float = 20.0
    joint: float = 1e-3
    lift: float = 1e-3
    edge_after: int = 7


def coordinate_loss(predicted: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Mean absolute difference of ``(B,n,3)``; ``valid (B,n,1)`` masks points, which still count in the mean
    (official)."""
    return F.l1_loss(predicted * valid, target * valid)


def normal_loss(predicted: Tensor, target: Tensor, faces: Tensor) -> Tensor:
    """Mean of ``|cos|`` between the edges of ``predicted (B,V,3)`` and the face normals of ``target``;
    ``faces (F,3)``."""
    p, g = predicted[:, faces], target[:, faces]
    first, second = F.normalize(g[:, :, 1] - g[:, :, 0], dim=-1), F.normalize(g[:, :, 2] - g[:, :, 0], dim=-1)
    normals = F.normalize(torch.linalg.cross(first, second), dim=-1)
    return torch.stack(
        [(F.normalize(p[:, :, b] - p[:, :, a], dim=-1) * normals).sum(-1).abs() for a, b in EDGES]
    ).mean()


def edge_loss(predicted: Tensor, target: Tensor, faces: Tensor) -> Tensor:
    """Mean absolute difference of the edge lengths of ``(B,V,3)`` meshes, in their unit; an edge of two faces
    counts twice."""
    p, g = predicted[:, faces], target[:, faces]
    # The official loss has a NaN gradient where a predicted edge has length zero; linalg.norm gives zero
    # there.
    lengths = [torch.linalg.norm(m[:, :, a] - m[:, :, b], dim=-1) for a, b in EDGES for m in (p, g)]
    return torch.stack([(x - y).abs() for x, y in zip(lengths[::2], lengths[1::2], strict=True)]).mean()


def pose2mesh_loss(
    vertices: Tensor,
    pose3d: Tensor,
    target: dict[str, Tensor],
    faces: Tensor,
    regressor: Tensor,
    epoch: int,
    config: LossConfig,
) -> dict[str, Tensor]:
    """The weighted terms ``vertex, normal, edge, joint, lift``, whose sum is the loss; ``edge`` is absent in
    early epochs.

    ``vertices (B,V,3)`` metres, ``pose3d (B,J,3)`` millimetres, ``regressor (Jt,V)``; ``target`` holds ``mesh
    (B,V,3)`` metres, ``reg_pose3d (B,Jt,3)`` and ``lift_pose3d (B,J,3)`` millimetres relative to their roots,
    each with ``*_valid (B,n,1)``.
    """
    joints = regressor @ (vertices * 1000)
    terms = {
        "vertex": coordinate_loss(vertices, target["mesh"], target["mesh_valid"]),
        "normal": config.normal * normal_loss(vertices, target["mesh"], faces),
        "joint": config.joint * coordinate_loss(joints, target["reg_pose3d"], target["reg_pose3d_valid"]),
        "lift": config.lift * coordinate_loss(pose3d, target["lift_pose3d"], target["lift_pose3d_valid"]),
    }
    if epoch > config.edge_after:
        terms["edge"] = config.edge * edge_loss(vertices, target["mesh"], faces)
    return terms
