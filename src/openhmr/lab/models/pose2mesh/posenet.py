"""PoseNet, the 2D-to-3D lifter of Pose2Mesh (after Martinez et al. 2017), with the official state_dict.

Source: docs/originals/pose2mesh.md, "PoseNet".
"""

import torch
from torch import Tensor, nn

HIDDEN, STAGES = 4096, 2
"""Official width, and official number of residual stages."""


class LinearStage(nn.Module):
    """Pre-activation residual block; nothing follows the addition."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.w1, self.batch_norm1 = nn.Linear(width, width), nn.BatchNorm1d(width)
        self.w2, self.batch_norm2 = nn.Linear(width, width), nn.BatchNorm1d(width)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.w1(self.dropout(torch.relu(self.batch_norm1(x))))
        return x + self.w2(self.dropout(torch.relu(self.batch_norm2(y))))


class PoseNet(nn.Module):
    """Standardised 2D pose ``(B, 2J)`` as x0, y0, x1, ... -> root-relative 3D pose ``(B, 3J)`` in
    millimetres."""

    def __init__(self, joints: int, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.w1 = nn.Linear(2 * joints, hidden)
        # Never used; official checkpoints hold it.
        self.batch_norm1 = nn.BatchNorm1d(hidden)
        self.linear_stages = nn.ModuleList(LinearStage(hidden) for _ in range(STAGES))
        self.w2 = nn.Linear(hidden, 3 * joints)

    def forward(self, pose2d: Tensor) -> Tensor:
        y = self.w1(pose2d)
        for stage in self.linear_stages:
            y = stage(y)
        return self.w2(y)
