"""Training pairs of the open hand: pose, shape and a camera near by -> noisy, incomplete 2D points and the
exact hand. Batched torch, as :mod:`openhmr.lab.synth.pairs`."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from openhmr.joints.mano import FINGERS, REACH
from openhmr.lab.synth.hand_pack import HandFrames
from openhmr.lab.synth.hand_poses import HandPoses
from openhmr.lab.synth.pairs import Batch, Skeleton, camera_turn, gaze, look, standardise
from openhmr.lab.synth.poses import random_rotations

NEAREST_M = 0.12
"""No point comes nearer to the camera than this: such a hand is pushed away as a whole."""
FEWEST = 6
"""So many points stay, whatever is missing."""
WRONG, WRONG_TIMES = 0.03, 4.0
"""Share of noisy points that a detector gets wrong, and how much further off these lie."""


@dataclass(frozen=True)
class HandCameras:
    """Random cameras near hands, which may be turned every way."""

    nearest_m: float = 0.25
    farthest_m: float = 1.5
    off_centre: tuple[float, float] = (0.6, 0.45)
    """Largest tangent of the angle between the optical axis and the wrist, horizontally and vertically."""

    def sample(self, n: int, generator: torch.Generator, device: torch.device) -> Tensor:
        """Where the wrists ``(n,3)`` are in camera axes, metres; near ones are as frequent as far ones by
        size in the picture."""
        u = torch.rand(n, 4, generator=generator, device=device)
        depth = 1 / (1 / self.farthest_m + u[:, 0] * (1 / self.nearest_m - 1 / self.farthest_m))
        wide = torch.tensor(self.off_centre, device=device) * u[:, 3:]
        xy = (2 * u[:, 1:3] - 1) * wide
        return torch.cat([xy, torch.ones_like(xy[:, :1])], 1) * depth[:, None]


@dataclass(frozen=True)
class HandNoise:
    """What detectors do to the 21 points: ``share`` of the hands have normal noise on x and y with a standard
    deviation drawn from ``box`` (of the longer side of the tight box about the points), ``soft`` of them
    confidences that tell good points from the ``wrong`` ones. Up to ``missing`` single points are dropped in
    ``drop_share`` of the hands, the outer points of one or two fingers in ``hide``, and what lies beyond the
    picture's edge in ``truncate``."""

    share: float = 0.0
    box: tuple[float, float] = (0.0, 0.0)
    wrong: float = WRONG
    soft: float = 0.0
    missing: int = 0
    drop_share: float = 0.0
    hide: float = 0.0
    truncate: float = 0.0


CLEAN = HandNoise()
NOISY = HandNoise(share=1.0, box=(0.02, 0.02), wrong=0.0)
"""Every point lies about 2 % of the box off along each axis; confidences say nothing."""
TRAINING = HandNoise(
    share=0.65, box=(0.002, 0.03), soft=0.6, missing=6, drop_share=0.25, hide=0.08, truncate=0.12
)


def noisy(pose: Tensor, level: HandNoise, generator: torch.Generator) -> Tensor:
    """Noise on points ``(B,21,3)`` x, y, confidence, then some of them dropped (zeros)."""
    n, device = len(pose), pose.device

    def rand(columns: int = 1) -> Tensor:
        return torch.rand(n, columns, generator=generator, device=device)

    out = pose
    if level.share > 0:
        low, high = level.box
        side = (pose[..., :2].amax(1) - pose[..., :2].amin(1)).amax(1, keepdim=True)
        sigma = side * (low + (high - low) * rand()) * (rand() < level.share)
        wrong = rand(pose.shape[1]) < level.wrong
        error = torch.randn(*pose.shape[:2], 2, generator=generator, device=device)
        error = error * (sigma * torch.where(wrong, WRONG_TIMES, 1.0))[..., None]
        normal = torch.randn(pose.shape[:2], generator=generator, device=device)
        told = torch.where(wrong, 0.5 + 0.2 * normal, 0.85 + 0.12 * normal).clamp(0.1, 1)
        confidence = torch.where((rand() < level.soft) & (sigma > 0), told, pose[..., 2])
        out = torch.cat([pose[..., :2] + error, confidence[..., None]], -1)
    if not (level.missing or level.hide or level.truncate):
        return out
    gone = _missing(out, level, rand)
    return torch.where(gone[..., None], torch.zeros_like(out), out)


def _missing(pose: Tensor, level: HandNoise, rand) -> Tensor:  # type: ignore[no-untyped-def]
    """Which points ``(B,21)`` are not there."""
    points = pose.shape[1]
    rank = rand(points).argsort(1).argsort(1)
    count = (rand() * level.missing + 1).floor() if level.missing else rand() * 0
    gone = (rank < count) & (rand() < (level.drop_share if level.drop_share else 1.0))
    finger = torch.arange(points, device=pose.device)[None] - 1
    outer = (finger >= 0) & (finger % 4 >= 1 + (rand() * 2).floor())
    first, second = (rand() * len(FINGERS)).floor(), (rand() * 2 * len(FINGERS)).floor()
    which = finger.div(4, rounding_mode="floor")
    gone |= outer & ((which == first) | (which == second)) & (rand() < level.hide)
    turn = (rand() * 4).floor()
    along = torch.where(turn % 2 == 0, pose[..., 1], pose[..., 0]) * torch.where(turn < 2, 1.0, -1.0)
    least, most = along.amin(1, keepdim=True), along.amax(1, keepdim=True)
    gone |= (along > least + (most - least) * (0.45 + 0.5 * rand())) & (rand() < level.truncate)
    # Too few would be left: then all are.
    return gone & ((~gone).sum(1, keepdim=True) >= FEWEST)


def roll_upright(pose2d: Tensor) -> Tensor:
    """Rotations ``(B,3,3)`` about the optical axis after which the fingers of hands ``(B,21,3)`` point up:
    the training form of :func:`openhmr.predict.upright.finger_rolls`."""
    present = (pose2d[..., 2] > 0).float()
    reach = torch.tensor(REACH, device=pose2d.device)
    along = (reach - (present * reach).sum(1, keepdim=True) / present.sum(1, keepdim=True)) * present
    x, y = (along[..., None] * pose2d[..., :2]).sum(1).unbind(-1)
    length = torch.hypot(x, y)
    y = torch.where(length > 1e-9, y, -torch.ones_like(y))
    x = torch.where(length > 1e-9, x, torch.zeros_like(x))
    length = torch.hypot(x, y)
    cosine, sine, zero, one = -y / length, x / length, torch.zeros_like(x), torch.ones_like(x)
    rows = [cosine, sine, zero, -sine, cosine, zero, zero, zero, one]
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


class HandPairs:
    """Draws batches: ``pairs(n, generator)``; the same generator gives the same batches.

    Poses come from a store of ``stored`` sampled hands, drawn once with a seed of its own; shapes,
    orientations, cameras and noise are always new. ``upright`` hands are seen with their fingers up
    (:func:`roll_upright`).
    """

    def __init__(
        self,
        skeleton: Skeleton,
        poses: HandPoses,
        noise: HandNoise,
        cameras: HandCameras,
        *,
        stored: int = 200_000,
        definition_m: float = 0.0,
        upright: bool = True,
    ) -> None:
        self.skeleton, self.poses, self.noise, self.cameras = skeleton, poses, noise, cameras
        self.stored, self.definition_m, self.upright = stored, definition_m, upright
        self.frames: HandFrames = poses.frames

    @cached_property
    def store(self) -> Tensor:
        """Angles ``(stored,22)``."""
        generator = torch.Generator(device=self.poses.device).manual_seed(22)
        parts = [
            self.poses.angles(min(10_000, self.stored - i), generator) for i in range(0, self.stored, 10_000)
        ]
        return torch.cat(parts)

    def __call__(self, n: int, generator: torch.Generator) -> Batch:
        device, skeleton = self.poses.device, self.skeleton
        rows = torch.randint(len(self.store), (n,), generator=generator, device=device)
        local = self.frames(self.store[rows])
        local[:, 0] = random_rotations(n, generator, device)
        shapes = skeleton.rest_joints.shape[2] - 1
        betas = torch.randn(n, shapes, generator=generator, device=device).clamp(-3, 3)
        r, t = skeleton.transforms(local, betas)
        points, root = skeleton.points(r, t, betas)
        place = self.cameras.sample(n, generator, device)
        absolute = points - root + place[:, None]
        if self.definition_m > 0:
            absolute = absolute + self._definition(r, generator)
        absolute[..., 2] += (NEAREST_M - absolute[..., 2].amin(1)).clamp(min=0)[:, None]
        clean = absolute[..., :2] / absolute[..., 2:]
        pose2d = torch.cat([clean, torch.ones_like(clean[..., :1])], -1)
        pose2d = noisy(pose2d, self.noise, generator)
        turn = gaze(pose2d)
        if self.upright:
            turn = roll_upright(look(pose2d, turn)) @ turn
        relative = (points - root) @ turn.mT
        return Batch(
            standardise(look(pose2d, turn)),
            relative,
            relative,
            camera_turn(turn, r),
            (t - root) @ turn.mT,
            betas,
            clean,
        )

    def _definition(self, r: Tensor, generator: torch.Generator) -> Tensor:
        """Offsets ``(B,21,3)`` of points that somebody defines a little otherwise, fixed in the part that
        carries the point; each hand's have a standard deviation of their own."""
        n, points = len(r), len(self.skeleton.carrier)
        size = self.definition_m * torch.rand(n, 1, 1, generator=generator, device=r.device)
        offset = torch.randn(n, points, 3, generator=generator, device=r.device) * size
        return (r[:, self.skeleton.carrier] * offset[..., None, :]).sum(-1)
