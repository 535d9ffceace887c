"""The losses of I2L-MeshNet: element-wise tensors, of which training takes the means and their sum.

Source: docs/originals/i2l_meshnet.md, "Losses".

Targets and masks bear the official names: ``fit_*`` belongs to the fitted body model, ``orig_*`` to the data
set's own joints.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

EDGES = ((0, 1), (0, 2), (1, 2))
NORMAL_WEIGHT = 0.1


def coordinate_loss(predicted: Tensor, target: Tensor, valid: Tensor, is_3d: Tensor | None = None) -> Tensor:
    """``|predicted - target| * valid`` of ``(B,n,3)``; with ``is_3d (B,)`` the third coordinate counts only
    where that is 1."""
    loss = (predicted - target).abs() * valid
    if is_3d is None:
        return loss
    return torch.cat([loss[..., :2], loss[..., 2:] * is_3d[:, None, None]], -1)


def normal_loss(predicted: Tensor, target: Tensor, valid: Tensor, faces: Tensor) -> Tensor:
    """``(B,3F,1)``: ``|cos|`` between the edges of ``predicted (B,V,3)`` and the face normals of ``target``;
    ``faces (F,3)``."""
    p, g = predicted[:, faces], target[:, faces]
    first, second = F.normalize(g[:, :, 1] - g[:, :, 0], dim=-1), F.normalize(g[:, :, 2] - g[:, :, 0], dim=-1)
    normals = F.normalize(torch.linalg.cross(first, second, dim=-1), dim=-1)
    mask = valid[:, faces].prod(2)
    return torch.cat(
        [
            (F.normalize(p[:, :, b] - p[:, :, a], dim=-1) * normals).sum(-1, keepdim=True).abs() * mask
            for a, b in EDGES
        ],
        1,
    )


def edge_loss(predicted: Tensor, target: Tensor, valid: Tensor, faces: Tensor) -> Tensor:
    """``(B,3F,1)``: difference of the edge lengths. A predicted edge of length zero has a NaN gradient, as
    officially."""
    p, g, mask = predicted[:, faces], target[:, faces], valid[:, faces]
    lengths = [
        [(m[:, :, a] - m[:, :, b]).square().sum(-1, keepdim=True).sqrt() for a, b in EDGES] for m in (p, g)
    ]
    return torch.cat(
        [(x - y).abs() * mask[:, :, a] * mask[:, :, b] for x, y, (a, b) in zip(*lengths, EDGES, strict=True)],
        1,
    )


def lixel_losses(
    out: Mapping[str, Tensor], target: Mapping[str, Tensor], faces: Tensor, dataset_joints: bool = True
) -> dict[str, Tensor]:
    """The terms of the lixel stage, in lixels. ``target`` holds the official targets and masks by name.

    ``dataset_joints=False`` leaves out ``joint_orig`` and ``mesh_joint_orig``, which cost smoothness of the
    mesh.
    """
    joints, mesh, from_mesh = out["joint_coord_img"], out["mesh_coord_img"], out["joint_img_from_mesh"]
    fitted = target["is_valid_fit"][:, None, None]
    joint_valid, mesh_valid = target["fit_joint_trunc"] * fitted, target["fit_mesh_trunc"] * fitted
    terms = {
        "joint_fit": coordinate_loss(joints, target["fit_joint_img"], joint_valid),
        "mesh_fit": coordinate_loss(mesh, target["fit_mesh_img"], mesh_valid),
        "mesh_joint_fit": coordinate_loss(from_mesh, target["fit_joint_img"], joint_valid),
        "mesh_normal": NORMAL_WEIGHT * normal_loss(mesh, target["fit_mesh_img"], mesh_valid, faces),
        "mesh_edge": edge_loss(mesh, target["fit_mesh_img"], mesh_valid, faces),
    }
    if dataset_joints:
        original = target["orig_joint_img"], target["orig_joint_trunc"], target["is_3D"]
        terms["joint_orig"] = coordinate_loss(joints, *original)
        terms["mesh_joint_orig"] = coordinate_loss(from_mesh, *original)
    return terms


def param_losses(out: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The terms of the param stage; camera coordinates in the unit of the network (metres of a body,
    millimetres of a hand)."""
    fitted = target["is_valid_fit"][:, None]
    original = target["orig_joint_valid"] * target["is_3D"][:, None, None]
    return {
        "pose_param": coordinate_loss(out["pose_param"], target["pose_param"], fitted),
        "shape_param": coordinate_loss(out["shape_param"], target["shape_param"], fitted),
        "joint_orig_cam": coordinate_loss(out["joint_coord_cam"], target["orig_joint_cam"], original),
        "joint_fit_cam": coordinate_loss(out["joint_coord_cam"], target["fit_joint_cam"], fitted[..., None]),
    }


def total_loss(terms: Mapping[str, Tensor]) -> Tensor:
    """Sum of the means; masked elements count in the means (official)."""
    return torch.stack([term.mean() for term in terms.values()]).sum()
