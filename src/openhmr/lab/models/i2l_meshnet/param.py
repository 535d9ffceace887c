"""ParamRegressor of I2L-MeshNet: joints in lixels -> pose and shape parameters.

Source: docs/originals/i2l_meshnet.md, "ParamRegressor".
"""

import torch
from torch import Tensor, nn

from openhmr.lab.skinning import columns_to_rotation

WIDTHS = (1024, 512)


def rotation_6d_to_matrix(x: Tensor) -> Tensor:
    """``(n,6)``, the first two columns interleaved (x0, x1, y0, y1, z0, z1) -> ``(n,3,3)``."""
    return columns_to_rotation(*x.view(-1, 3, 2).unbind(-1))


def matrix_to_quaternion(matrix: Tensor) -> Tensor:
    """``(n,3,3) -> (n,4)`` as (w, x, y, z), by the official choice among four formulas."""
    (m00, m01, m02), (m10, m11, m12), (m20, m21, m22) = (
        row.unbind(-1) for row in matrix.transpose(-1, -2).unbind(-2)
    )
    t = (1 + m00 - m11 - m22, 1 - m00 + m11 - m22, 1 - m00 - m11 + m22, 1 + m00 + m11 + m22)
    q = (
        (m12 - m21, t[0], m01 + m10, m20 + m02),
        (m20 - m02, m01 + m10, t[1], m12 + m21),
        (m01 - m10, m20 + m02, m12 + m21, t[2]),
        (t[3], m12 - m21, m20 - m02, m01 - m10),
    )
    flat, wide, steep = m22 < 1e-6, m00 > m11, m00 < -m11
    choices = torch.stack([flat & wide, flat & ~wide, ~flat & steep, ~flat & ~steep], -1)[..., None].to(
        matrix
    )
    # Masked sums, not a selection: the masked formulas' gradients are multiplied by zero.
    chosen = (torch.stack([torch.stack(terms, -1) for terms in q], -2) * choices).sum(-2)
    scale = (torch.stack(t, -1)[..., None] * choices).sum(-2)
    return 0.5 * chosen / torch.sqrt(scale)


def quaternion_to_axis_angle(quaternion: Tensor) -> Tensor:
    """``(n,4) -> (n,3)`` in radians, at most half a turn. The gradient at the identity is NaN, as
    officially."""
    w, vector = quaternion[..., :1], quaternion[..., 1:]
    square = (vector * vector).sum(-1, keepdim=True)
    sine = torch.sqrt(square)
    angle = 2 * torch.where(w < 0, torch.atan2(-sine, -w), torch.atan2(sine, w))
    return vector * torch.where(square > 0, angle / sine, torch.full_like(angle, 2))


class ParamRegressor(nn.Module):
    """Joints ``(B,J,3)`` in lixels -> axis-angle pose ``(B,3P)`` and ``betas (B,S)``."""

    def __init__(self, joints: int, parts: int, betas: int) -> None:
        super().__init__()
        first, second = WIDTHS
        self.fc = nn.Sequential(
            nn.Linear(3 * joints, first),
            nn.BatchNorm1d(first),
            nn.ReLU(),
            nn.Linear(first, second),
            nn.BatchNorm1d(second),
            nn.ReLU(),
        )
        # Sequences of one, as the official keys have it.
        self.fc_pose = nn.Sequential(nn.Linear(second, 6 * parts))
        self.fc_shape = nn.Sequential(nn.Linear(second, betas))

    def forward(self, joints: Tensor) -> tuple[Tensor, Tensor]:
        x = self.fc(joints.flatten(1))
        rotations = rotation_6d_to_matrix(self.fc_pose(x))
        return quaternion_to_axis_angle(matrix_to_quaternion(rotations)).view(len(x), -1), self.fc_shape(x)
