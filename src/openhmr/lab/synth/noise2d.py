"""Detection-like noise on batches of 2D poses, vectorised: the error types and radii of Pose2Mesh's
synthesis.

The exact per-sample synthesis with its order of random draws is :mod:`openhmr.lab.data.noise`; this one draws
from the same distributions without the rejection of points that fall nearer to the other joint of a pair (a
small share, ours for speed).
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from openhmr.joints import COCO, JointSet
from openhmr.lab.data.noise import ERROR_FRAME_PX, HUMAN36_ERRORS, INVERSION, JITTER, MISS, keypoint_radius


@dataclass(frozen=True)
class NoiseLevel:
    """``share`` of poses that get noise at all; ``strength`` multiplies its radii, drawn uniformly; ``soft``
    is the share whose confidences tell good joints from bad. ``missing`` joints are dropped: a fixed number,
    or (with ``truncate``) at random."""

    share: float = 0.0
    strength: tuple[float, float] = (1.0, 1.0)
    soft: float = 0.0
    missing: int = 0
    drop_share: float = 0.0
    truncate: float = 0.0


CLEAN = NoiseLevel()
NOISY = NoiseLevel(share=1.0, soft=1.0)
TRAINING = NoiseLevel(share=0.5, strength=(0.05, 0.9), soft=0.8, missing=6, drop_share=0.25, truncate=0.06)


def _box(pose2d: Tensor) -> Tensor:
    """Width and height ``(B,2)`` of the tight box."""
    return pose2d[..., :2].amax(1) - pose2d[..., :2].amin(1)


def _coco_offsets(pose2d: Tensor, strength: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Noisy positions ``(B,17,2)`` and which of them are good ``(B,17)``."""
    device = pose2d.device
    xy = pose2d[:, :17, :2]

    def rand():
        return torch.rand(xy.shape[:2], generator=generator, device=device)

    side = _box(xy).prod(-1).clamp(min=1e-12).sqrt()[:, None]
    r10, r50, r85 = (
        side * torch.as_tensor(keypoint_radius(k, 1.0), dtype=side.dtype, device=device)
        for k in (0.10, 0.50, 0.85)
    )
    partner = xy[:, torch.as_tensor(COCO.flip_permutation[:17], device=device)]
    u, (j, m, i) = (
        rand(),
        (torch.as_tensor(p, dtype=side.dtype, device=device) for p in (JITTER, MISS, INVERSION)),
    )
    jitter, miss = u < j, (u >= j) & (u < j + m)
    # A joint without a partner (the nose) cannot be inverted.
    paired = torch.as_tensor(COCO.flip_permutation[:17] != np.arange(17), device=device)
    inverted = (u >= j + m) & (u < j + m + i) & paired
    # A miss lies around the other joint of a pair in a fifth of the cases (a quarter of its points are kept
    # there).
    around = torch.where((inverted | (miss & (rand() < 0.2)))[..., None], partner, xy)
    low = torch.where(jitter, r85, torch.where(miss, r50, torch.zeros_like(r50)))
    high = torch.where(jitter | inverted, r50, torch.where(miss, r10, r85))
    r, angle = low + (high - low) * rand(), 2 * torch.pi * rand()
    offset = torch.stack([r * torch.cos(angle), r * torch.sin(angle)], -1)
    return around + offset * strength[:, None, None], ~(jitter | miss | inverted)


def add_noise(pose2d: Tensor, joint_set: str, level: NoiseLevel, generator: torch.Generator) -> Tensor:
    """Poses ``(B,J,3)`` with detection-like noise on x and y, and soft confidences for a share of them."""
    if level.share == 0:
        return pose2d
    n, joints, device = len(pose2d), pose2d.shape[1], pose2d.device
    noisy_pose = torch.rand(n, generator=generator, device=device) < level.share
    low, high = level.strength
    strength = low + (high - low) * torch.rand(n, generator=generator, device=device)
    out, good = pose2d.clone(), torch.ones(n, joints, dtype=torch.bool, device=device)
    if joint_set == "coco":
        xy, good[:, :17] = _coco_offsets(pose2d, strength, generator)
        out[:, :17, :2] = torch.where(noisy_pose[:, None, None], xy, pose2d[:, :17, :2])
    else:
        width, height = _box(pose2d).unbind(-1)
        # The official crop is 288 x 384 around the tight box; noise is measured in 1/256 of either side.
        box = torch.stack([torch.maximum(width, 0.75 * height), torch.maximum(height, width / 0.75)], -1)
        mean, std, share = torch.as_tensor(HUMAN36_ERRORS, dtype=box.dtype, device=device).split(
            [2, 2, 1], -1
        )
        affected = torch.rand(n, joints, 1, generator=generator, device=device) < share
        error = mean + std * torch.randn(n, joints, 2, generator=generator, device=device)
        noise = error * affected / ERROR_FRAME_PX * box[:, None] * strength[:, None, None]
        out[..., :2] = torch.where(noisy_pose[:, None, None], pose2d[..., :2] + noise, pose2d[..., :2])
    if level.soft > 0:
        soft = torch.rand(n, 1, generator=generator, device=device) < level.soft
        normal = torch.randn(n, joints, generator=generator, device=device)
        confidence = torch.where(good, 0.85 + 0.12 * normal, 0.55 + 0.2 * normal).clamp(0.1, 1)
        out[..., 2] = torch.where(soft, confidence, out[..., 2])
    return out


def drop_joints(pose2d: Tensor, joint_set: JointSet, level: NoiseLevel, generator: torch.Generator) -> Tensor:
    """Remove joints (x, y, confidence zero): ``level.missing`` of them exactly, or up to so many in
    ``drop_share`` of the poses."""
    if level.missing == 0:
        return pose2d
    n, joints, device = len(pose2d), 17, pose2d.device
    rank = torch.rand(n, joints, generator=generator, device=device).argsort(1).argsort(1)
    count = torch.full((n,), level.missing, device=device)
    if level.drop_share > 0:
        count = torch.randint(1, level.missing + 1, (n,), generator=generator, device=device)
        count = count * (torch.rand(n, generator=generator, device=device) < level.drop_share)
    gone = rank < count[:, None]
    if level.truncate > 0:
        # The picture's edge cuts the person: everything below (or above) a random height is missing.
        y = pose2d[:, :joints, 1]
        lowest, highest = y.amax(1, keepdim=True), y.amin(1, keepdim=True)
        edge = highest + (lowest - highest) * (
            0.45 + 0.5 * torch.rand(n, 1, generator=generator, device=device)
        )
        cut = torch.rand(n, 1, generator=generator, device=device) < level.truncate
        gone = gone | (cut & (y > edge))
    gone = torch.cat([gone, torch.zeros(n, pose2d.shape[1] - joints, dtype=torch.bool, device=device)], 1)
    return torch.where(gone[..., None], torch.zeros_like(pose2d), pose2d)
