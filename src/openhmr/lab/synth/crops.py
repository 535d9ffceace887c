"""Crops for the compact I2L-MeshNet: pictures of shards, augmented, with lixel targets made on the fly from
pose and camera."""

import tarfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from openhmr.bodies.shipped import open_body
from openhmr.errors import InputError
from openhmr.geometry.pinhole import gaze_rotation
from openhmr.joints import COCO, point_indices
from openhmr.lab.synth.augment import Augmentation, cut_off, degrade
from openhmr.lab.synth.pairs import Skeleton, complete
from openhmr.lab.synth.poses import exp_map
from openhmr.lab.synth.shards import ARRAYS, pictures, read_shards
from openhmr.predict.person_crop import DEPTH_M, ENLARGE, LIXELS, PATCH

SMALLEST_PX = 80
FACE = slice(0, 5)
"""Nose, eyes and ears among the joints of shards."""


class Pictures:
    """The pictures of a folder of shards in memory (as JPEG) with their arrays: ``image(i) -> (H,W,3) uint8
    RGB``."""

    def __init__(self, folder: str | Path) -> None:
        shards = read_shards(Path(folder), open_body())
        self.jpegs: list[bytes] = []
        for shard, _ in shards:
            with tarfile.open(shard) as tar:
                self.jpegs += [tar.extractfile(m).read() for m in pictures(tar)]  # type: ignore[union-attr]
        columns = (
            np.concatenate([arrays[name] for _, arrays in shards]).astype(np.float32) for name in ARRAYS
        )
        self.K, self.pose, self.betas, self.translation, self.box, self.joints_px = columns
        # A person of a few pixels teaches nothing.
        self.usable = np.nonzero(self.box[:, 2:].max(1) >= SMALLEST_PX)[0]
        if not len(self.usable):
            raise InputError(
                f"nobody in the pictures of {folder} is {SMALLEST_PX} pixels large; make larger ones, or more"
            )

    def image(self, i: int) -> np.ndarray:
        """Picture ``i`` of all; those worth using are ``usable``."""
        decoded = cv2.imdecode(np.frombuffer(self.jpegs[i], np.uint8), cv2.IMREAD_COLOR)
        if decoded is None:
            raise InputError(f"picture {i} of the shards is not a JPEG; make the shards again")
        return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)


@dataclass(frozen=True)
class Crop:
    """``image (256,256,3)`` uint8, ``affine (2,3)`` from picture to patch pixels, ``K (3,3)`` and whether it
    is mirrored."""

    image: np.ndarray
    affine: np.ndarray
    K: np.ndarray
    mirrored: bool


def cut(pictures: Pictures, i: int, a: Augmentation, rng: np.random.Generator) -> Crop:
    """One augmented crop; mirroring comes first, so that everything after sees a plain picture and camera."""
    image, K, box = pictures.image(i), pictures.K[i].copy(), pictures.box[i].copy()
    face = pictures.joints_px[i, FACE]
    mirrored = a.flip and rng.random() < 0.5
    if mirrored:
        last = image.shape[1] - 1
        image, K[0, 2] = image[:, ::-1], last - K[0, 2]
        box[0], face = last - box[0] - box[2], np.stack([last - face[:, 0], face[:, 1]], 1)
    inside, clipped = np.array([0, 0, image.shape[1] - 1, image.shape[0] - 1]), rng.random() < a.clip_box
    if rng.random() < a.cut_off:
        image, inside = cut_off(image, box, rng)
        clipped = True
    low, high = np.maximum(box[:2], inside[:2]), np.minimum(box[:2] + box[2:], inside[2:])
    if clipped and (high - low).min() > 10:
        box = np.concatenate([low, high - low])
    x, y, w, h = box
    side = max(w, h) * ENLARGE
    centre = np.array([x + w / 2, y + h / 2]) + side * a.shift * rng.uniform(-1, 1, 2)
    side *= 1 + a.scale * np.clip(rng.standard_normal(), -1, 1)
    turn = 0.0
    if rng.random() < a.turned:
        turn = rng.uniform(-np.pi, np.pi)
    elif rng.random() < a.rotation_share:
        turn = np.deg2rad(a.rotation_deg * np.clip(rng.standard_normal(), -2, 2))
    zoom = PATCH / side * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    affine = np.concatenate([zoom, (PATCH / 2 - zoom @ centre)[:, None]], 1)
    patch = cv2.warpAffine(np.ascontiguousarray(image), affine, (PATCH, PATCH), flags=cv2.INTER_LINEAR)
    face = face @ affine[:, :2].T + affine[:, 2]
    return Crop(degrade(patch, face, a, rng), affine.astype(np.float32), K, bool(mirrored))


@dataclass(frozen=True)
class CropBatch:
    """``image (B,3,256,256)`` in [0,1] and targets: ``joints (B,19,3)`` and ``vertices (B,Vc,3)`` lixels,
    ``scale_m (B,)``, ``rotations (B,24,3,3)`` local with the root in the rolled virtual camera, ``betas
    (B,S)``, ``points_m (B,Vc,3)`` there, relative to the body's root joint, ``human36_m (B,17,3)`` to their
    pelvis; ``virtual (B,3,3)``, ``K`` and ``affine`` lead back to the picture."""

    image: Tensor
    joints: Tensor
    vertices: Tensor
    scale_m: Tensor
    rotations: Tensor
    betas: Tensor
    points_m: Tensor
    human36_m: Tensor
    virtual: Tensor
    K: Tensor
    affine: Tensor


MIRROR = torch.tensor([1.0, -1.0, -1.0])


class CropSource:
    """Draws :class:`CropBatch` es; the batch of a seed and step is always the same."""

    def __init__(
        self,
        pictures: Pictures,
        skeleton: Skeleton,
        human36: Tensor,
        flip: np.ndarray,
        augmentation: Augmentation,
    ) -> None:
        self.pictures, self.skeleton, self.human36, self.augmentation = (
            pictures,
            skeleton,
            human36,
            augmentation,
        )
        self.flip = torch.as_tensor(flip)

    def draw(self, n: int, seed: int, step: int) -> CropBatch:
        rng = np.random.default_rng((seed, step))
        ids = rng.choice(self.pictures.usable, n)
        return self.targets(ids, [cut(self.pictures, int(i), self.augmentation, rng) for i in ids])

    def targets(self, ids: np.ndarray, crops: list[Crop]) -> CropBatch:
        """Targets of ``crops`` cut from the pictures ``ids``."""
        p, tensor = self.pictures, lambda x: torch.as_tensor(np.asarray(x, np.float32))
        mirrored = torch.tensor([c.mirrored for c in crops])
        pose, place = tensor(p.pose[ids]), tensor(p.translation[ids])
        pose = torch.where(mirrored[:, None, None], pose[:, self.flip] * MIRROR, pose)
        place = torch.where(mirrored[:, None], place * torch.tensor([-1.0, 1.0, 1.0]), place)
        local, betas = exp_map(pose), tensor(p.betas[ids])
        r, t = self.skeleton.transforms(local, betas)
        t = t + place[:, None]
        vertices, (points, pelvis) = self.skeleton.vertices(r, t, betas), self.skeleton.points(r, t, betas)
        joints = complete(points)[:, point_indices(COCO)]
        K, affine = tensor([c.K for c in crops]), tensor([c.affine for c in crops])
        side = PATCH / affine[:, :, :2].det().sqrt()
        # The middle of the crop, and the virtual camera that looks there, rolled as the crop is.
        middle = torch.linalg.solve(affine[:, :, :2], PATCH / 2 - affine[:, :, 2])
        ray = ((middle - K[:, :2, 2]) / K[:, (0, 1), (0, 1)]).numpy()
        turn = tensor(gaze_rotation(ray[:, 0], ray[:, 1]))
        roll = torch.eye(3).repeat(len(ids), 1, 1)
        roll[:, :2, :2] = affine[:, :, :2] * (side / PATCH)[:, None, None]
        turn = roll @ turn
        seen = vertices @ turn.mT
        human36, root = self.human36 @ seen, pelvis @ turn.mT
        focal = K[:, 0, 0] * (1 + tensor(ray).square().sum(1)).sqrt()

        def lixel(points: Tensor) -> Tensor:
            pixel = points @ K.mT
            xy = pixel[..., :2] / pixel[..., 2:].clamp(min=0.1) @ affine[:, :, :2].mT + affine[:, None, :, 2]
            z = (points @ turn.mT - root)[..., 2:]
            return torch.cat([xy * (LIXELS / PATCH), (z / DEPTH_M + 0.5) * LIXELS], -1)

        image = torch.as_tensor(np.stack([c.image for c in crops])).permute(0, 3, 1, 2).float().div_(255)
        rotations = torch.cat([turn[:, None] @ local[:, :1], local[:, 1:]], 1)
        scale = root[:, 0, 2] * (side / LIXELS) / focal
        return CropBatch(
            image,
            lixel(joints),
            lixel(vertices),
            scale,
            rotations,
            betas,
            seen - root,
            human36 - human36[:, :1],
            turn,
            K,
            affine,
        )
