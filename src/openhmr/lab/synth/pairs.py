"""Training pairs without licensed data: pose + shape + camera -> noisy, incomplete 2D pose and exact 3D pose
and mesh.

Everything is batched torch on the training device. Joints never need vertices: a regressed joint of a
linearly skinned mesh is ``sum_k R_k P_k(betas) + m_k t_k`` with tables ``P``, ``m`` of the regressor and the
skinning weights (exact; a few hundred numbers a joint set), so that data costs little beside a training step.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from openhmr.bodies.body import Body
from openhmr.errors import InputError
from openhmr.joints import COCO, HUMAN36, JointSet
from openhmr.lab.skinning import forward_kinematics
from openhmr.lab.synth.noise2d import NoiseLevel, add_noise, drop_joints
from openhmr.lab.synth.poses import PoseSampler, exp_map

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


def regressor_tables(regressor: np.ndarray, body: Body) -> tuple[np.ndarray, np.ndarray]:
    """``P (K,24,3,1+S)`` and ``m (K,24)`` such that joint k = sum_b R_b (P[k,b] @ [1, betas]) + m[k,b]
    t_b."""
    shape = np.concatenate([body.v_template[:, :, None], body.shapedirs], 2).astype(np.float64)
    used = np.nonzero(regressor.any(0))[0]
    r, w = regressor[:, used].astype(np.float64), body.weights[used].astype(np.float64)
    return np.einsum("kv,vb,vcs->kbcs", r, w, shape[used], optimize=True), r @ w


class Skeleton(torch.nn.Module):
    """Forward kinematics and joints of every named set, in torch; also the vertices of the coarse level."""

    def __init__(self, body: Body) -> None:
        super().__init__()

        def tensor(a):
            return torch.as_tensor(np.ascontiguousarray(a), dtype=torch.float32)

        self.parents = [int(p) for p in body.parents]
        shape = np.concatenate([body.v_template[:, :, None], body.shapedirs], 2)
        self.register_buffer("rest_joints", tensor(np.einsum("jv,vcs->jcs", body.J_regressor, shape)))
        for name, regressor in (
            ("coco", body.joint_regressor(COCO)),
            ("human36", body.joint_regressor(HUMAN36)),
        ):
            table, mass = regressor_tables(regressor, body)
            self.register_buffer(f"{name}_table", tensor(table))
            self.register_buffer(f"{name}_mass", tensor(mass))
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
        return r, posed - (r @ rest[..., None])[..., 0]

    def joints(self, name: str, r: Tensor, t: Tensor, betas: Tensor) -> Tensor:
        """Joints ``(B,K,3)`` of set ``name`` (coco with Pelvis and Neck, human36) of the posed mesh."""
        ones = torch.cat([torch.ones_like(betas[:, :1]), betas], 1)
        table, mass = getattr(self, f"{name}_table"), getattr(self, f"{name}_mass")
        local = torch.einsum("kjcs,bs->bkjc", table, ones)
        return torch.einsum("bjdc,bkjc->bkd", r, local) + torch.einsum("kj,bjd->bkd", mass, t)

    def vertices(self, r: Tensor, t: Tensor, betas: Tensor, ids: slice | Tensor = slice(None)) -> Tensor:
        """Vertices ``(B,n,3)`` of the coarse level (those of ``ids``)."""
        ones = torch.cat([torch.ones_like(betas[:, :1]), betas], 1)
        rest = torch.einsum("vcs,bs->bvc", self.vertex_shape[ids], ones)
        matrix = torch.cat([r, t[..., None]], -1).flatten(2)
        blended = torch.einsum("vj,bjm->bvm", self.vertex_weights[ids], matrix).unflatten(2, (3, 4))
        return (blended[..., :3] @ rest[..., None])[..., 0] + blended[..., 3]


@dataclass(frozen=True)
class Batch:
    """``pose2d (B,J,3)`` network input; targets in the axes of the virtual camera (:func:`gaze`), metres,
    relative to the human36 pelvis: ``pose3d (B,J,3)``, ``human36 (B,17,3)``, skinning ``rotations
    (B,24,3,3)`` and ``translations (B,24,3)``, ``betas (B,S)``. ``clean_px (B,J,2)`` holds the noise-free
    projection with focal length 1."""

    pose2d: Tensor
    pose3d: Tensor
    human36: Tensor
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


def pelvis_and_neck(pose2d: Tensor) -> Tensor:
    """Recompute the derived joints of coco poses ``(B,19,3)`` from hips and shoulders; absent unless both of
    a pair are present."""
    out = pose2d.clone()
    for name, sources in COCO.derived.items():
        row, both = COCO.names.index(name), pose2d[:, [COCO.names.index(n) for n in sources]]
        present = (both[..., 2:] > 0).all(1)
        out[:, row] = torch.where(present, both.mean(1), torch.zeros_like(both[:, 0]))
    return out


class PairSource:
    """Draws :class:`Batch` es for one joint set; the same seed gives the same batches."""

    def __init__(
        self, skeleton: Skeleton, poses: PoseSampler, joint_set: JointSet, noise: NoiseLevel, cameras: Cameras
    ) -> None:
        if joint_set.name not in (COCO.name, HUMAN36.name):
            raise InputError(
                f"pairs are made for coco and human36, not for {joint_set.name}; choose one of those"
            )
        self.skeleton, self.poses, self.joint_set, self.noise, self.cameras = (
            skeleton,
            poses,
            joint_set,
            noise,
            cameras,
        )

    def __call__(self, n: int, generator: torch.Generator, beta_scale: float = 1.0) -> Batch:
        device, name = self.poses.device, self.joint_set.name
        local = self.poses(n, generator)
        betas = (
            torch.randn(n, self.skeleton.rest_joints.shape[2] - 1, generator=generator, device=device).clamp(
                -3, 3
            )
            * beta_scale
        )
        r, t = self.skeleton.transforms(local, betas)
        camera, place = self.cameras.sample(n, generator, device)
        r, t = camera[:, None] @ r, (camera[:, None] @ t[..., None])[..., 0]
        human36 = self.skeleton.joints("human36", r, t, betas)
        root = human36[:, :1]
        pose3d = human36 if name == "human36" else self.skeleton.joints(name, r, t, betas)
        absolute = pose3d - root + place[:, None]
        # Nothing may come closer than 0.4 m: such a pose is pushed away as a whole.
        absolute[..., 2] += (0.4 - absolute[..., 2].amin(1)).clamp(min=0)[:, None]
        clean = absolute[..., :2] / absolute[..., 2:]
        pose2d = torch.cat([clean, torch.ones_like(clean[..., :1])], -1)
        pose2d = add_noise(pose2d, name, self.noise, generator)
        pose2d = drop_joints(pose2d, self.joint_set, self.noise, generator)
        if name == COCO.name:
            pose2d = pelvis_and_neck(pose2d)
        turn = gaze(pose2d)

        def seen(points):
            return points @ turn.mT

        return Batch(
            standardise(look(pose2d, turn)),
            seen(pose3d - root),
            seen(human36 - root),
            turn[:, None] @ r,
            seen(t - root),
            betas,
            clean,
        )
