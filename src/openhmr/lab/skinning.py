"""Linear blend skinning of any :class:`Body` in PyTorch (SMPL, Loper et al. 2015), with gradients; twin of
``bodies.skinning``."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from openhmr.bodies.body import Body


def axis_angle_to_matrix(axis_angle: Tensor) -> Tensor:
    """Rodrigues' formula ``(..., 3) -> (..., 3, 3)`` as the official layers have it: the angle is ``|v +
    1e-8|``, the axis ``v / angle``, and the quaternion of both is normalised again."""
    angle = torch.linalg.vector_norm(axis_angle + 1e-8, dim=-1, keepdim=True)
    quaternion = torch.cat([torch.cos(angle / 2), torch.sin(angle / 2) * (axis_angle / angle)], -1)
    w, x, y, z = (quaternion / torch.linalg.vector_norm(quaternion, dim=-1, keepdim=True)).unbind(-1)
    rows = (
        w * w + x * x - y * y - z * z,
        2 * x * y - 2 * w * z,
        2 * w * y + 2 * x * z,
        2 * w * z + 2 * x * y,
        w * w - x * x + y * y - z * z,
        2 * y * z - 2 * w * x,
        2 * x * z - 2 * w * y,
        2 * w * x + 2 * y * z,
        w * w - x * x - y * y + z * z,
    )
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


def columns_to_rotation(first: Tensor, second: Tensor) -> Tensor:
    """Rotation matrices ``(...,3,3)`` whose first two columns are ``first, second (...,3)`` made orthonormal
    (the 6D representation of Zhou et al., CVPR 2019)."""
    a = F.normalize(first, dim=-1)
    b = F.normalize(second - (a * second).sum(-1, keepdim=True) * a, dim=-1)
    return torch.stack([a, b, torch.linalg.cross(a, b, dim=-1)], -1)


def forward_kinematics(
    rotations: Tensor, rest_joints: Tensor, parents: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """World rotations ``(B,J,3,3)`` and posed joints ``(B,J,3)`` of a tree whose rotations ``(B,J,3,3)`` are
    relative to their parents; the root stays at rest."""
    world, joints = [rotations[:, 0]], [rest_joints[:, 0]]
    for j, parent in enumerate(parents[1:], 1):
        bone = rest_joints[:, j] - rest_joints[:, parent]
        joints.append(joints[parent] + (world[parent] @ bone[..., None])[..., 0])
        world.append(world[parent] @ rotations[:, j])
    return torch.stack(world, 1), torch.stack(joints, 1)


class SkinningLayer(nn.Module):
    """``pose (B,3J)`` axis-angle, ``betas (B,S)``, ``trans (B,3)`` metres -> vertices ``(B,V,3)`` and joints
    ``(B,J,3)`` in metres.

    Serves SMPL and MANO: a body with ``hands_mean`` has it added to the non-root pose. The arrays belong to
    the body, not to the network, so they are in no state_dict (model files are licensed). The official
    layers' special cases for all-zero shape and translation give the numbers of the plain formula.
    """

    v_template: Tensor
    shapedirs: Tensor
    posedirs: Tensor
    J_regressor: Tensor
    weights: Tensor
    hands_mean: Tensor

    def __init__(self, body: Body) -> None:
        super().__init__()
        self.parents = body.parents.tolist()
        for name in ("v_template", "shapedirs", "posedirs", "J_regressor", "weights"):
            self.register_buffer(name, torch.tensor(getattr(body, name)), persistent=False)
        mean = torch.zeros(3 * body.num_joints)
        if body.hands_mean is not None:
            mean[3:] = torch.tensor(body.hands_mean)
        self.register_buffer("hands_mean", mean, persistent=False)

    def forward(self, pose: Tensor, betas: Tensor, trans: Tensor | None = None) -> tuple[Tensor, Tensor]:
        rotations = axis_angle_to_matrix((pose + self.hands_mean).unflatten(-1, (-1, 3)))
        vertices = self.v_template + torch.einsum("vck,bk->bvc", self.shapedirs, betas)
        rest = self.J_regressor @ vertices
        if self.posedirs.shape[-1]:
            features = (rotations[:, 1:] - torch.eye(3, dtype=pose.dtype, device=pose.device)).flatten(1)
            vertices = vertices + torch.einsum("vck,bk->bvc", self.posedirs, features)
        turn, posed = forward_kinematics(rotations, rest, self.parents)
        shift = posed - (turn @ rest[..., None])[..., 0]
        blended = self.weights @ torch.cat([turn, shift[..., None]], -1).flatten(2)
        blended = blended.unflatten(-1, (3, 4))
        vertices = (blended[..., :3] @ vertices[..., None])[..., 0] + blended[..., 3]
        if trans is not None:
            vertices, posed = vertices + trans[:, None], posed + trans[:, None]
        return vertices, posed
