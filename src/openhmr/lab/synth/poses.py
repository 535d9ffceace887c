"""Endless poses from little motion: even sampling, exchange of limbs and trunks, mirrored halves, perturbed
joints."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from openhmr.joints import SMPL

LEFT_RIGHT = torch.as_tensor(SMPL.flip_permutation)
PARTS: tuple[tuple[int, ...], ...] = (
    (1, 4, 7, 10),
    (2, 5, 8, 11),
    (3, 6, 9),
    (12, 15),
    (13, 16, 18, 20, 22),
    (14, 17, 19, 21, 23),
)
"""Limbs and trunk that may come from different frames: legs, trunk, neck and head, arms."""


@dataclass(frozen=True)
class Widening:
    """How far poses are widened beyond the recorded ones; all zero samples the recorded frames evenly."""

    exchange: float = 0.7
    """Probability that a pose takes parts from several frames."""
    part: float = 0.5
    """Probability that a part of such a pose comes from another frame."""
    perturb: float = 0.7
    """Probability that the joints of a pose are perturbed."""
    perturb_deg: float = 11.0
    """Standard deviation of that perturbation a joint and axis (hips and shoulders 1.4 times as much)."""
    tilt_deg: float = 8.0
    """Standard deviation of an extra tilt of the whole body."""
    tumble: float = 0.03
    """Probability of an arbitrary orientation of the whole body (handstands, lying, falling)."""


AS_RECORDED = Widening(exchange=0, perturb=0, tilt_deg=0, tumble=0)


def exp_map(v: Tensor) -> Tensor:
    """Axis-angle ``(...,3)`` to matrices ``(...,3,3)`` (Rodrigues), smooth at zero."""
    angle = v.norm(dim=-1).clamp(min=1e-8)
    x, y, z = v.unbind(-1)
    sine, cosine = torch.sin(angle) / angle, torch.cos(angle)
    bend = (1 - cosine) / angle**2
    # Written out, because products of many small matrices are slow.
    rows = [
        cosine + bend * x * x,
        bend * x * y - sine * z,
        bend * x * z + sine * y,
        bend * x * y + sine * z,
        cosine + bend * y * y,
        bend * y * z - sine * x,
        bend * x * z - sine * y,
        bend * y * z + sine * x,
        cosine + bend * z * z,
    ]
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


def log_map(r: Tensor) -> Tensor:
    """Matrices ``(...,3,3)`` to axis-angle ``(...,3)``; angles stay below about 179 degrees in all our
    poses."""
    skew = (
        torch.stack(
            [r[..., 2, 1] - r[..., 1, 2], r[..., 0, 2] - r[..., 2, 0], r[..., 1, 0] - r[..., 0, 1]], -1
        )
        / 2
    )
    sine = skew.norm(dim=-1)
    cosine = (r.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
    angle = torch.atan2(sine, cosine)
    return skew * (angle / sine.clamp(min=1e-6))[..., None]


def mirrored(rotations: Tensor) -> Tensor:
    """Local rotations ``(...,24,3,3)`` of the pose seen in a mirror (x -> -x), left and right exchanged."""
    sign = torch.tensor([-1.0, 1, 1], device=rotations.device)
    return rotations[..., LEFT_RIGHT.to(rotations.device), :, :] * sign[:, None] * sign


def random_rotations(n: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """Uniformly distributed rotations ``(n,3,3)`` from normalised Gaussian quaternions."""
    q = torch.randn(n, 4, generator=generator, device=device)
    w, v = q[:, 0], q[:, 1:]
    return exp_map(
        2 * torch.atan2(v.norm(dim=-1), w)[:, None] * v / v.norm(dim=-1, keepdim=True).clamp(min=1e-8)
    )


def even_weights(rotations: np.ndarray, clusters: int = 400, seed: int = 0) -> np.ndarray:
    """Sampling probability of each frame ``(N,)`` so that poses, not frames, are even: k-means over joint
    rotations, each cluster weighted by the square root of its size (wholly even sampling would drown in rare,
    broken frames)."""
    from scipy.cluster.vq import kmeans2

    features = rotations[:, 1:20].reshape(len(rotations), -1).astype(np.float32)
    root_up = rotations[:, 0, 1].astype(np.float32)
    features = np.concatenate([features, 2 * root_up], 1)
    sample = features[
        np.random.default_rng(seed).choice(len(features), min(len(features), 12000), replace=False)
    ]
    centres, _ = kmeans2(
        sample, min(clusters, len(sample) // 4 + 1), iter=8, minit="points", rng=np.random.default_rng(seed)
    )
    label = np.concatenate(
        [
            np.argmin((centres**2).sum(1) - 2 * chunk @ centres.T, 1)
            for chunk in np.array_split(features, max(1, len(features) // 4000))
        ]
    )
    size = np.bincount(label, minlength=len(centres))
    weights = 1 / np.sqrt(size[label])
    return np.asarray(weights / weights.sum())


class PoseSampler:
    """Draws local rotations ``(B,24,3,3)`` from recorded frames, widened; the first rotation is the root in
    the world."""

    def __init__(
        self, rotations: np.ndarray, weights: np.ndarray, widening: Widening, device: torch.device
    ) -> None:
        self.rotations = torch.as_tensor(rotations, dtype=torch.float32, device=device)
        self.cumulative = torch.as_tensor(np.cumsum(weights), dtype=torch.float64, device=device)
        self.widening, self.device = widening, device
        angles = log_map(self.rotations[:: max(1, len(rotations) // 20000)])
        quantiles = torch.quantile(
            angles.reshape(len(angles), -1).float(), torch.tensor([0.002, 0.998], device=device), dim=0
        )
        low, high = quantiles.reshape(2, 24, 3)
        both = torch.stack([low, high, *self._mirror_limits(low, high)])
        # Anatomical limits: what the recordings show on either side, and a tenth of its range beyond.
        low, high = both.min(0).values, both.max(0).values
        margin = 0.1 * (high - low)
        self.low, self.high = low - margin, high + margin
        scale = torch.ones(24, 1, device=device)
        scale[[1, 2, 16, 17]] = 1.4
        scale[[0, 10, 11, 22, 23]] = 0
        self.scale = scale * np.radians(widening.perturb_deg)

    @staticmethod
    def _mirror_limits(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """The limits of the mirrored joints: rotation about x keeps its sign, about y and z changes it."""
        sign = torch.tensor([1.0, -1, -1], device=low.device)
        order = LEFT_RIGHT.to(low.device)
        return (low[order] * sign), (high[order] * sign)

    def _frames(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Numbers ``(n,)`` of frames to draw from, and which of them are seen in a mirror."""
        u = torch.rand(n, generator=generator, device=self.device, dtype=torch.float64) * self.cumulative[-1]
        frames = torch.searchsorted(self.cumulative, u).clamp(max=len(self.rotations) - 1)
        return frames, torch.rand(n, generator=generator, device=self.device) < 0.5

    def _joints(self, frames: Tensor, flip: Tensor, joints: Tensor) -> Tensor:
        """Rotations ``(n,k,3,3)`` of ``joints (k,)`` of those frames."""
        there = torch.where(flip[:, None], LEFT_RIGHT.to(self.device)[joints], joints)
        sign = torch.tensor([-1.0, 1, 1], device=self.device)
        turned = self.rotations[frames[:, None], there]
        return turned * torch.where(flip[:, None, None, None], sign[:, None] * sign, torch.ones_like(sign))

    def __call__(self, n: int, generator: torch.Generator) -> Tensor:
        w, dev = self.widening, self.device
        pose = self._joints(*self._frames(n, generator), torch.arange(24, device=dev))
        if w.exchange > 0:
            mixes = torch.rand(n, generator=generator, device=dev) < w.exchange
            for part in PARTS:
                swap = torch.nonzero(mixes & (torch.rand(n, generator=generator, device=dev) < w.part))[:, 0]
                index = torch.tensor(part, device=dev)
                pose[swap[:, None], index] = self._joints(*self._frames(len(swap), generator), index)
        if w.perturb > 0:
            moves = torch.nonzero(torch.rand(n, generator=generator, device=dev) < w.perturb)[:, 0]
            noise = torch.randn(len(moves), 23, 3, generator=generator, device=dev) * self.scale[1:]
            angles = log_map(pose[moves, 1:])
            # A recorded angle beyond the limits stays: only the perturbation may not lead further out.
            low, high = torch.minimum(self.low[1:], angles), torch.maximum(self.high[1:], angles)
            pose[moves, 1:] = exp_map(torch.minimum(torch.maximum(angles + noise, low), high))
        tilt = torch.randn(n, 3, generator=generator, device=dev) * np.radians(w.tilt_deg)
        root = exp_map(tilt * torch.tensor([1.0, 0, 1], device=dev)) @ pose[:, 0]
        tumbles = torch.rand(n, generator=generator, device=dev) < w.tumble
        root = torch.where(tumbles[:, None, None], random_rotations(n, generator, dev), root)
        return torch.cat([root[:, None], pose[:, 1:]], 1)
