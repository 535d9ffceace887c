"""Training pairs without licensed data: pose + shape + camera -> noisy, incomplete 2D pose and exact 3D pose
and mesh.

Everything is batched torch on the training device. Joints never need vertices: a regressed joint of a
linearly skinned mesh is ``sum_k R_k P_k(betas) + m_k t_k`` with tables ``P``, ``m`` of the regressor and the
skinning weights (exact; a few hundred numbers a joint set), so that data costs little beside a training step.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from openhmr.bodies.body import Body
from openhmr.bodies.posed_points import regressor_tables
from openhmr.joints import HUMAN36, POINTS, JointSet, get_joint_set, point_indices
from openhmr.lab.skinning import forward_kinematics
from openhmr.lab.synth.noise2d import Detection, NoiseLevel
from openhmr.lab.synth.poses import PoseSampler, exp_map
from openhmr.lab.synth.shapes import random_people

CAMERA_FROM_BODY = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
"""Body axes (Y up, facing +Z) seen by a level camera in front: x right, y down, z forward."""


@dataclass(frozen=True)
class Cameras:
    """Random cameras; the focal length cancels in a standardised 2D pose, perspective does not."""

    nearest_m: float = 2.0
    farthest_m: float = 12.0
    elevation_deg: tuple[float, float] = (8.0, 13.0)
    """Mean and standard deviation of the camera's height above the person, as an angle."""
    roll_deg: float = 4.0
    off_centre: tuple[float, float] = (0.4, 0.25)
    """Largest tangent of the angle between the optical axis and the person, horizontally and vertically."""

    def sample(self, n: int, generator: torch.Generator, device: torch.device) -> tuple[Tensor, Tensor]:
        """Rotations ``(n,3,3)`` (camera from body) and positions ``(n,3)`` metres of the person in camera
        axes."""

        def uniform():
            return torch.rand(n, generator=generator, device=device)

        def normal():
            return torch.randn(n, generator=generator, device=device)

        zero = torch.zeros(n, device=device)
        yaw = exp_map(torch.stack([zero, 2 * torch.pi * (uniform() - 0.5), zero], -1))
        mean, std = self.elevation_deg
        pitch = torch.deg2rad((mean + std * normal()).clamp(-40, 75))
        roll = torch.deg2rad(self.roll_deg * normal())
        turn = exp_map(torch.stack([zero, zero, roll], -1)) @ exp_map(torch.stack([pitch, zero, zero], -1))
        rotation = turn @ CAMERA_FROM_BODY.to(device) @ yaw
        depth = 1 / (1 / self.farthest_m + uniform() * (1 / self.nearest_m - 1 / self.farthest_m))
        wide = uniform()
        x = (2 * uniform() - 1) * self.off_centre[0] * wide
        y = (2 * uniform() - 1) * self.off_centre[1] * wide
        return rotation, torch.stack([x, y, torch.ones_like(x)], -1) * depth[:, None]


class Skeleton(torch.nn.Module):
    """Forward kinematics, points (those of ``point_set`` but the derived ones) and the vertices of the coarse
    level, in torch."""

    def __init__(self, body: Body, point_set: JointSet = POINTS) -> None:
        super().__init__()

        def tensor(a):
            return torch.as_tensor(np.ascontiguousarray(a), dtype=torch.float32)

        self.parents = [int(p) for p in body.parents]
        shape = np.concatenate([body.v_template[:, :, None], body.shapedirs], 2)
        self.register_buffer("rest_joints", tensor(np.einsum("jv,vcs->jcs", body.J_regressor, shape)))
        points = body.joint_regressor(point_set)[: len(point_set.base)]
        table, mass = regressor_tables(np.concatenate([points, body.root_regressor[None]]), body)
        # Few parts carry a point: only those pairs are computed.
        of, by = np.nonzero(np.abs(table).max((2, 3)) > 1e-7)
        self.register_buffer("pair_table", tensor(table[of, by].reshape(-1, table.shape[3]).T))
        self.register_buffer("pair_mass", tensor(mass[of, by]))
        self.register_buffer("pair_point", torch.as_tensor(of))
        self.register_buffer("pair_part", torch.as_tensor(by))
        self.register_buffer("carrier", torch.as_tensor(mass[:-1].argmax(1)))
        self.pair_table: Tensor
        self.pair_mass: Tensor
        self.pair_point: Tensor
        self.pair_part: Tensor
        self.carrier: Tensor
        self.rest_joints: Tensor
        self.vertex_shape: Tensor
        self.vertex_weights: Tensor
        coarse = body.level("coarse")
        self.register_buffer("vertex_shape", tensor(shape[coarse.vertex_ids]))
        self.register_buffer("vertex_weights", tensor(body.weights[coarse.vertex_ids]))

    def transforms(self, local: Tensor, betas: Tensor) -> tuple[Tensor, Tensor]:
        """Local rotations ``(B,24,3,3)`` -> skinning rotations ``(B,24,3,3)`` and translations ``(B,24,3)``;
        root joint at rest."""
        ones = torch.cat([torch.ones_like(betas[:, :1]), betas], 1)
        rest = torch.einsum("jcs,bs->bjc", self.rest_joints, ones)
        r, posed = forward_kinematics(local, rest, self.parents)
        return r, posed - (r * rest[..., None, :]).sum(-1)

    def points(self, r: Tensor, t: Tensor, betas: Tensor) -> tuple[Tensor, Tensor]:
        """All points of the body ``(B,P,3)`` of the posed mesh but the derived ones, and the joint
        ``(B,1,3)`` that networks predict relative to."""
        ones = torch.cat([torch.ones_like(betas[:, :1]), betas], 1)
        local = (ones @ self.pair_table).unflatten(1, (-1, 1, 3))
        moved = (r[:, self.pair_part] * local).sum(-1) + self.pair_mass[:, None] * t[:, self.pair_part]
        out = moved.new_zeros(len(r), len(self.carrier) + 1, 3).index_add_(1, self.pair_point, moved)
        return out[:, :-1], out[:, -1:]

    def joints(self, joint_set: JointSet, r: Tensor, t: Tensor, betas: Tensor) -> Tensor:
        """Joints ``(B,J,3)`` of a set of the posed mesh."""
        return complete(self.points(r, t, betas)[0])[:, point_indices(joint_set)]

    def roots(self, r: Tensor, t: Tensor, betas: Tensor) -> Tensor:
        """The joint ``(B,1,3)`` that networks predict relative to."""
        return self.points(r, t, betas)[1]

    def vertices(self, r: Tensor, t: Tensor, betas: Tensor, ids: slice | Tensor = slice(None)) -> Tensor:
        """Vertices ``(B,n,3)`` of the coarse level (those of ``ids``)."""
        ones = torch.cat([torch.ones_like(betas[:, :1]), betas], 1)
        rest = torch.einsum("vcs,bs->bvc", self.vertex_shape[ids], ones)
        matrix = torch.cat([r, t[..., None]], -1).flatten(2)
        blended = torch.einsum("vj,bjm->bvm", self.vertex_weights[ids], matrix).unflatten(2, (3, 4))
        return (blended[..., :3] * rest[..., None, :]).sum(-1) + blended[..., 3]


@dataclass(frozen=True)
class Batch:
    """``pose2d (B,J,3)`` network input; targets in the axes of the virtual camera (:func:`gaze`), metres,
    relative to the body's root joint: ``pose3d (B,J,3)``, the ``joints`` that errors are measured on (of a
    body Human3.6M's 17, of a hand its 21), skinning ``rotations (B,P,3,3)`` and ``translations (B,P,3)`` of
    the P parts, ``betas (B,S)``. ``clean_px (B,J,2)`` holds the noise-free
    projection with focal length 1."""

    pose2d: Tensor
    pose3d: Tensor
    joints: Tensor
    rotations: Tensor
    translations: Tensor
    betas: Tensor
    clean_px: Tensor


def gaze(pose2d: Tensor) -> Tensor:
    """Rotation ``(B,3,3)`` of a virtual camera that looks at the middle of the present joints of ``(B,J,3)``
    (focal length 1).

    The shortest turn, without roll. Seen so, a 2D pose no longer depends on where in the picture a person
    stands; in a plain crop the same pose can be a person in the middle or one seen from the side (ours; 12 mm
    of MPJPE on the validation set-up).
    """
    present = (pose2d[..., 2:] > 0).to(pose2d.dtype)
    x, y = ((pose2d[..., :2] * present).sum(1) / present.sum(1).clamp(min=1)).unbind(-1)
    length = (1 + x * x + y * y).sqrt()
    x, y, z = x / length, y / length, 1 / length
    rows = [1 - x * x / (1 + z), -x * y / (1 + z), -x, -x * y / (1 + z), 1 - y * y / (1 + z), -y, x, y, z]
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


def look(pose2d: Tensor, rotation: Tensor) -> Tensor:
    """The pose ``(B,J,3)`` as the camera turned by ``rotation (B,3,3)`` sees it; missing joints stay zero."""
    rays = torch.cat([pose2d[..., :2], torch.ones_like(pose2d[..., :1])], -1) @ rotation.mT
    xy = rays[..., :2] / rays[..., 2:].clamp(min=0.05)
    return torch.cat([torch.where(pose2d[..., 2:] > 0, xy, torch.zeros_like(xy)), pose2d[..., 2:]], -1)


def standardise(pose2d: Tensor) -> Tensor:
    """Network input from ``(B,J,3)`` x, y, confidence: present joints centred and divided by one RMS radius;
    missing ones zero."""
    present = (pose2d[..., 2:] > 0).float()
    count = present.sum(1, keepdim=True).clamp(min=1)
    xy = pose2d[..., :2]
    centred = (xy - (xy * present).sum(1, keepdim=True) / count) * present
    scale = (centred.square().sum((1, 2), keepdim=True) / (2 * count)).sqrt().clamp(min=1e-9)
    return torch.cat([centred / scale, pose2d[..., 2:]], -1)


def complete(points: Tensor) -> Tensor:
    """Points ``(B,P,C)`` of the body with the derived ones appended, as means of their sources."""
    means = [
        points[:, [POINTS.names.index(n) for n in s]].mean(1, keepdim=True) for s in POINTS.derived.values()
    ]
    return torch.cat([points, *means], 1)


def derive(pose2d: Tensor) -> Tensor:
    """Recompute the derived points of poses ``(B,P,3)`` from their sources; absent unless all of those are
    present."""
    out = pose2d.clone()
    for name, sources in POINTS.derived.items():
        rows = pose2d[:, [POINTS.names.index(n) for n in sources]]
        present = (rows[..., 2:] > 0).all(1)
        out[:, POINTS.names.index(name)] = torch.where(present, rows.mean(1), torch.zeros_like(rows[:, 0]))
    return out


def camera_turn(turn: Tensor, rotations: Tensor) -> Tensor:
    """``turn (B,3,3)`` after each of the ``rotations (B,J,3,3)``."""
    side_by_side = rotations.transpose(1, 2).flatten(2)
    return (turn @ side_by_side).unflatten(2, (-1, 3)).transpose(1, 2)


def random_betas(n: int, count: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """Shapes ``(n,count)`` of random people (:func:`~openhmr.lab.synth.shapes.random_people`)."""
    normal = torch.randn(n, count, generator=generator, device=device)
    return random_people(normal, torch.rand(n, generator=generator, device=device))


def random_definition(skeleton: Skeleton, r: Tensor, sigma_m: float, generator: torch.Generator) -> Tensor:
    """Offsets ``(B,P,3)`` of points that somebody defines a little otherwise: normal, fixed in the part of
    the body that carries the point, mirror images on left and right; each person's have a standard deviation
    of their own, up to ``sigma_m`` (ours, because the definitions of real data sets and detectors differ by
    centimetres, and nobody says by how many)."""
    n, points = len(r), len(skeleton.carrier)
    size = sigma_m * torch.rand(n, 1, 1, generator=generator, device=r.device)
    offset = torch.randn(n, points, 3, generator=generator, device=r.device) * size
    flip = torch.as_tensor(POINTS.flip_permutation[:points], device=r.device)
    mirror = offset[:, flip] * torch.tensor([-1.0, 1, 1], device=r.device)
    index = torch.arange(points, device=r.device)
    # A pair takes the first one's, a point in the middle stays there.
    middle = torch.where((index == flip)[:, None], (offset + mirror) / 2, mirror)
    offset = torch.where((index < flip)[:, None], offset, middle)
    return (r[:, skeleton.carrier] * offset[..., None, :]).sum(-1)


class Observed:
    """Which points of the body a pose has: those of one of the ``skeletons``, or of two of them in a share
    ``mixed`` of the poses."""

    def __init__(self, skeletons: Sequence[str], mixed: float, device: torch.device) -> None:
        masks = np.zeros((len(skeletons), POINTS.size), bool)
        for row, name in zip(masks, skeletons, strict=True):
            row[point_indices(get_joint_set(name))] = True
        self.masks = torch.as_tensor(masks, device=device)
        self.mixed = mixed

    def __call__(self, n: int, generator: torch.Generator) -> Tensor:
        """``(n,P)`` bool."""
        if len(self.masks) == 1:
            return self.masks.expand(n, -1)
        first, second = (
            self.masks[torch.randint(len(self.masks), (n,), generator=generator, device=self.masks.device)]
            for _ in range(2)
        )
        mixes = torch.rand(n, 1, generator=generator, device=self.masks.device) < self.mixed
        return first | (second & mixes)


class PairSource:
    """Draws :class:`Batch` es for a network of joint set ``layout``, whose poses show the ``skeletons`` (by
    default just that one); the same seed gives the same batches."""

    def __init__(
        self,
        skeleton: Skeleton,
        poses: PoseSampler,
        layout: JointSet,
        noise: NoiseLevel,
        cameras: Cameras,
        *,
        skeletons: Sequence[str] = (),
        mixed: float = 0.0,
        definition_m: float = 0.0,
    ) -> None:
        self.skeleton, self.poses, self.noise, self.cameras = skeleton, poses, noise, cameras
        self.layout, self.definition_m = point_indices(layout), definition_m
        skeletons = list(skeletons) or [layout.name]
        self.observed = Observed(skeletons, mixed, poses.device)
        self.detection, self.human36 = Detection(poses.device), point_indices(HUMAN36)
        self.like_human36 = skeletons == [HUMAN36.name]

    def __call__(self, n: int, generator: torch.Generator) -> Batch:
        device = self.poses.device
        local = self.poses(n, generator)
        betas = random_betas(n, self.skeleton.rest_joints.shape[2] - 1, generator, device)
        r, t = self.skeleton.transforms(local, betas)
        camera, place = self.cameras.sample(n, generator, device)
        r, t = camera_turn(camera, r), t @ camera.mT
        points, root = self.skeleton.points(r, t, betas)
        defined = points
        if self.definition_m > 0:
            defined = points + random_definition(self.skeleton, r, self.definition_m, generator)
        points = complete(points)
        absolute = complete(defined) - root + place[:, None]
        # Nothing may come closer than 0.4 m: such a pose is pushed away as a whole.
        absolute[..., 2] += (0.4 - absolute[..., 2].amin(1)).clamp(min=0)[:, None]
        clean = absolute[..., :2] / absolute[..., 2:]
        present = self.observed(n, generator)[..., None].float()
        pose2d = torch.cat([clean, torch.ones_like(present)], -1) * present
        pose2d = self.detection.noise(pose2d, self.noise, generator, human36=self.like_human36)
        pose2d = derive(self.detection.drop(pose2d, self.noise, generator)) * present
        turn = gaze(pose2d)

        def seen(points: Tensor) -> Tensor:
            return points @ turn.mT

        relative = seen(points - root)
        return Batch(
            standardise(look(pose2d, turn))[:, self.layout],
            relative[:, self.layout],
            relative[:, self.human36],
            camera_turn(turn, r),
            seen(t - root),
            betas,
            clean[:, self.layout],
        )
