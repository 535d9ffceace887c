"""Detection-like noise on batches of 2D poses of any skeleton, vectorised.

The error types and radii are those of Pose2Mesh's synthesis, whose exact per-sample form with its order of
random draws is :mod:`openhmr.lab.data.noise`; this one draws from the same distributions without the
rejection of points that fall nearer to the other joint of a pair (a small share, ours for speed). It has laws
for COCO's keypoints alone: other points of the body take that of the keypoint which is found by the same look
(ours).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from openhmr.joints import HUMAN36, POINTS, point_indices
from openhmr.joints.coco import COCO17
from openhmr.lab.data.noise import ERROR_FRAME_PX, HUMAN36_ERRORS, INVERSION, JITTER, MISS, keypoint_radius

_LIKE = {
    "Hip": ("Pelvis", "Torso", "Hip"),
    "Shoulder": ("Thorax", "Throat", "Spine", "Spine4", "Chest", "Neck", "Shoulder"),
    "Ear": ("Upper", "Head", "Ear"),
    "Eye": ("Eye",),
    "Nose": ("Mouth", "Nose"),
    "Wrist": ("Pinky", "Index", "Thumb", "Hand", "Wrist"),
    "Ankle": ("BigToe", "SmallToe", "Heel", "Foot", "Toe", "Ankle"),
    "Knee": ("Knee",),
    "Elbow": ("Elbow",),
}
"""COCO's keypoint (without its side) and the first words of the points' names that are found like it."""
REGIONS = (("Nose", "Eye", "Ear"), ("Elbow", "Wrist"), ("Hip",), ("Knee", "Ankle"), ("Shoulder",))
"""What is hidden together, by the keypoints that :func:`like_coco` gives; left and right apart, but for the
face."""
FEWEST = 4
"""So many points stay, whatever is dropped."""


def like_coco() -> np.ndarray:
    """COCO keypoint ``(P,)`` whose noise each point of the body has; the left one for points in the
    middle."""
    kind = {word: keypoint for keypoint, words in _LIKE.items() for word in words}
    out = []
    for name in POINTS.names:
        side = name[:2] if name[:2] in ("L_", "R_") else ""
        words = name.removeprefix(side).split("_")
        keypoint = "Ear" if name.startswith("Neck_nose") else kind[words[0]]
        out.append(COCO17.index(keypoint if keypoint == "Nose" else (side or "L_") + keypoint))
    return np.array(out)


def hidden_together() -> np.ndarray:
    """Region ``(P,)`` of each point, counted from 0 without gaps: those of one region and side are hidden
    together."""
    region = {keypoint: i for i, keypoints in enumerate(REGIONS) for keypoint in keypoints}
    kinds = [region[COCO17[k].split("_")[-1]] for k in like_coco()]
    sides = [("L_", "R_").index(n[:2]) + 1 if n[:2] in ("L_", "R_") else 0 for n in POINTS.names]
    sided = [3 * k + s * (k > 0) for k, s in zip(kinds, sides, strict=True)]
    return np.unique(sided, return_inverse=True)[1]


@dataclass(frozen=True)
class NoiseLevel:
    """``share`` of poses that get noise at all; ``strength`` multiplies its radii, drawn uniformly; ``soft``
    is the share whose confidences tell good joints from bad. ``missing`` joints are dropped: a fixed number,
    or up to so many in ``drop_share`` of the poses, in proportion more of skeletons larger than COCO's.
    ``hide`` is the share of which one region of :func:`hidden_together` is hidden, if they have it,
    ``truncate`` the share that the picture's edge cuts off."""

    share: float = 0.0
    strength: tuple[float, float] = (1.0, 1.0)
    soft: float = 0.0
    missing: int = 0
    drop_share: float = 0.0
    hide: float = 0.0
    truncate: float = 0.0


CLEAN = NoiseLevel()
NOISY = NoiseLevel(share=1.0, soft=1.0)
TRAINING = NoiseLevel(
    share=0.5, strength=(0.05, 0.9), soft=0.8, missing=6, drop_share=0.3, hide=0.1, truncate=0.2
)


def _box(xy: Tensor, present: Tensor) -> Tensor:
    """Width and height ``(B,2)`` of the tight box around the present ones of the points ``(B,P,2)``."""
    far = torch.where(present[..., None], xy, torch.full_like(xy, -torch.inf)).amax(1)
    return far - torch.where(present[..., None], xy, torch.full_like(xy, torch.inf)).amin(1)


class Detection:
    """Noise of detectors on poses ``(B,P,3)`` of all points of the body, of which the present ones
    (confidence above 0) are observed."""

    def __init__(self, device: torch.device) -> None:
        def tensor(a: np.ndarray) -> Tensor:
            return torch.as_tensor(a, dtype=torch.float32, device=device)

        like, self.device = like_coco(), device
        self.radii = [tensor(keypoint_radius(k, 1.0)[like]) for k in (0.10, 0.50, 0.85)]
        self.jitter, self.miss, self.inversion = (tensor(p[like]) for p in (JITTER, MISS, INVERSION))
        self.flip = torch.as_tensor(POINTS.flip_permutation, device=device)
        # A joint without a partner cannot be inverted.
        self.paired = self.flip != torch.arange(POINTS.size, device=device)
        region = hidden_together()
        self.region, self.regions = torch.as_tensor(region, device=device), int(region.max()) + 1
        self.observed = torch.as_tensor([name not in POINTS.derived for name in POINTS.names], device=device)
        self.human36 = torch.as_tensor(point_indices(HUMAN36), device=device)
        self.errors = tensor(HUMAN36_ERRORS)

    def _displaced(
        self, xy: Tensor, side: Tensor, rand: Callable[[], Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What noisy points lie around and how far from it ``(B,P,2)`` each, and which of them are good
        ``(B,P)``; ``side (B,1)`` is that of the box."""
        r10, r50, r85 = (side * r for r in self.radii)
        partner, u = xy[:, self.flip], rand()
        j, m, i = self.jitter, self.miss, self.inversion
        jitter, miss = u < j, (u >= j) & (u < j + m)
        inverted = (u >= j + m) & (u < j + m + i) & self.paired
        # A miss lies around the other joint of a pair in a fifth of the cases (a quarter of its points are
        # kept there).
        around = torch.where((inverted | (miss & (rand() < 0.2)))[..., None], partner, xy)
        low = torch.where(jitter, r85, torch.where(miss, r50, torch.zeros_like(r50)))
        high = torch.where(jitter | inverted, r50, torch.where(miss, r10, r85))
        r, angle = low + (high - low) * rand(), 2 * torch.pi * rand()
        offset = torch.stack([r * torch.cos(angle), r * torch.sin(angle)], -1)
        return around, offset, ~(jitter | miss | inverted)

    def noise(
        self, pose: Tensor, level: NoiseLevel, generator: torch.Generator, human36: bool = False
    ) -> Tensor:
        """Noise on x and y and soft confidences for a share of the poses, by the law of Human3.6M's
        detections or of COCO's."""
        if level.share == 0:
            return pose
        n, device, xy, present = len(pose), self.device, pose[..., :2], pose[..., 2] > 0

        def rand() -> Tensor:
            return torch.rand(xy.shape[:2], generator=generator, device=device)

        low, high = level.strength
        strength = low + (high - low) * torch.rand(n, generator=generator, device=device)[:, None, None]
        box, good = _box(xy, present), present
        if human36:
            width, height = box.unbind(-1)
            # The official crop is 288 x 384 around the tight box; noise is measured in 1/256 of either side.
            box = torch.stack([torch.maximum(width, 0.75 * height), torch.maximum(height, width / 0.75)], -1)
            mean, std, share = self.errors.split([2, 2, 1], -1)
            affected = torch.rand(n, HUMAN36.size, 1, generator=generator, device=device) < share
            error = mean + std * torch.randn(n, HUMAN36.size, 2, generator=generator, device=device)
            noisy = xy.clone()
            noisy[:, self.human36] += error * affected / ERROR_FRAME_PX * box[:, None] * strength
        else:
            side = box.prod(-1).clamp(min=1e-12).sqrt()[:, None]
            around, offset, good = self._displaced(xy, side, rand)
            noisy = around + offset * strength
        chosen = torch.rand(n, 1, 1, generator=generator, device=device) < level.share
        out = torch.cat([torch.where(chosen, noisy, xy), pose[..., 2:]], -1)
        if level.soft > 0:
            soft = torch.rand(n, 1, generator=generator, device=device) < level.soft
            normal = torch.randn(xy.shape[:2], generator=generator, device=device)
            confidence = torch.where(good, 0.85 + 0.12 * normal, 0.55 + 0.2 * normal).clamp(0.1, 1)
            out[..., 2] = torch.where(soft & present, confidence, out[..., 2])
        return out * present[..., None]

    def drop(self, pose: Tensor, level: NoiseLevel, generator: torch.Generator) -> Tensor:
        """Remove points (x, y, confidence zero) as ``level`` says, but for :data:`FEWEST` of them.

        Derived points stay: they follow from what is left of their sources.
        """
        if level.missing == level.hide == level.truncate == 0:
            return pose
        (n, points), device = pose.shape[:2], self.device
        present = (pose[..., 2] > 0) & self.observed

        def rand(columns: int = 1) -> Tensor:
            return torch.rand(n, columns, generator=generator, device=device)

        chance = torch.where(present, rand(points), torch.full_like(pose[..., 2], 2.0))
        rank, seen = chance.argsort(1).argsort(1), present.sum(1, keepdim=True)
        count = torch.full((n, 1), float(level.missing), device=device)
        if level.drop_share > 0:
            count = (rand() * level.missing + 1).floor() * (seen / len(COCO17)).clamp(min=1)
            count = count * (rand() < level.drop_share)
        gone = rank < torch.minimum(count, seen - FEWEST)

        def also(more: Tensor) -> Tensor:
            enough = (present & ~gone & ~more).sum(1, keepdim=True) >= FEWEST
            return gone | (more & present & enough)

        if level.hide > 0:
            region = torch.randint(0, self.regions, (n, 1), generator=generator, device=device)
            gone = also((rand() < level.hide) & (self.region == region))
        if level.truncate > 0:
            # The picture's edge cuts the person, most often from below: what lies beyond is missing.
            turn = torch.where(rand() < 0.7, torch.zeros_like(rand()), (rand() * 4).floor())
            along = torch.where(turn % 2 == 0, pose[..., 1], pose[..., 0]) * torch.where(turn < 2, 1.0, -1.0)
            first = torch.where(present, along, torch.full_like(along, torch.inf)).amin(1, keepdim=True)
            last = torch.where(present, along, torch.full_like(along, -torch.inf)).amax(1, keepdim=True)
            beyond = along > first + (last - first) * (0.4 + 0.55 * rand())
            gone = also((rand() < level.truncate) & beyond)
        return torch.where(gone[..., None], torch.zeros_like(pose), pose)
