"""Crops of rendered hands for the compact I2L-MeshNet: turned upright as a detector's are, left ones
mirrored."""

from pathlib import Path

import cv2
import numpy as np
from torch import Tensor

from openhmr.bodies.body import Body
from openhmr.errors import InputError
from openhmr.io.arrays import read_npz
from openhmr.joints import MANO
from openhmr.lab.synth.augment import Augmentation, degrade
from openhmr.lab.synth.crops import Crop, CropSource, Pictures
from openhmr.lab.synth.shards import AGAIN, MAX_NUMBERS, read_shards
from openhmr.predict.detect.hand_frames import frames_of_hands, turns
from openhmr.predict.person_crop import HAND_DEPTH_M, PATCH

AUGMENTATION = Augmentation(
    scale=0.15,
    rotation_deg=15,
    rotation_share=0.8,
    turned=0.03,
    shift=0.06,
    flip=False,
    clip_box=0,
    cut_off=0,
    face=0,
    blur=0.2,
    motion_blur=0.15,
    small=0.2,
)
"""Shift, scale and turn are those by which a detector's points miss."""


class HandPictures(Pictures):
    """As :class:`Pictures`, of hands, with ``right (N,)``."""

    smallest_px = 48

    def __init__(self, folder: str | Path, hand: Body) -> None:
        super().__init__(folder, hand, MANO)
        rows = []
        for shard, _ in read_shards(Path(folder), hand, joint_set=MANO):
            arrays = read_npz(shard.with_suffix(".npz"), MAX_NUMBERS, ("right",))
            if "right" not in arrays:
                raise InputError(f"{shard.with_suffix('.npz')} lacks right; {AGAIN}")
            rows.append(arrays["right"].astype(bool))
        self.right = np.concatenate(rows)


def cut_hand(pictures: HandPictures, i: int, a: Augmentation, rng: np.random.Generator) -> Crop:
    """One augmented crop of a right hand, about the square that the detector would turn about its points."""
    image, K, points = pictures.image(i), pictures.K[i].copy(), pictures.joints_px[i].astype(np.float64)
    mirrored = not pictures.right[i]
    if mirrored:
        last = image.shape[1] - 1
        image, K[0, 2] = image[:, ::-1], last - K[0, 2]
        points = np.stack([last - points[:, 0], points[:, 1]], 1)
    x, y, side, angle = frames_of_hands(points[None])[0]
    centre = np.array([x, y]) + side * a.shift * rng.uniform(-1, 1, 2)
    side *= 1 + a.scale * np.clip(rng.standard_normal(), -1, 1)
    if rng.random() < a.turned:
        angle = rng.uniform(-np.pi, np.pi)
    elif rng.random() < a.rotation_share:
        angle += np.deg2rad(a.rotation_deg * np.clip(rng.standard_normal(), -2, 2))
    zoom = PATCH / side * turns(np.array([angle]))[0]
    affine = np.concatenate([zoom, (PATCH / 2 - zoom @ centre)[:, None]], 1)
    patch = cv2.warpAffine(np.ascontiguousarray(image), affine, (PATCH, PATCH), flags=cv2.INTER_LINEAR)
    inside = points @ affine[:, :2].T + affine[:, 2]
    return Crop(degrade(patch, inside, a, rng), affine.astype(np.float32), K, mirrored)


class HandCropSource(CropSource):
    """As :class:`CropSource`, of right hands and mirrored left ones."""

    pictures: HandPictures
    depth_m = HAND_DEPTH_M

    def crop(self, i: int, rng: np.random.Generator) -> Crop:
        return cut_hand(self.pictures, i, self.augmentation, rng)

    def joints(self, points: Tensor) -> Tensor:
        return points
