"""Synthetic pictures of hands with exact annotation: ``openhmr lab synth hands``."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from openhmr.bodies.shipped import open_hand
from openhmr.errors import InputError
from openhmr.geometry.rotations import matrix_to_axis_angle
from openhmr.lab.synth import degrade, shards
from openhmr.lab.synth.hand_pack import load_hands
from openhmr.lab.synth.hand_poses import AS_STORED, HandPoses, HandWidening
from openhmr.lab.synth.hand_renderer import TEXTURE_SIDE, HandRenderer
from openhmr.lab.synth.hand_scene import HandScene, HandStage
from openhmr.lab.synth.images import pixels_at
from openhmr.lab.synth.light import read_places
from openhmr.lab.synth.outfits import TEST_ONLY
from openhmr.lab.synth.production import Report
from openhmr.lab.synth.scene import box_of
from openhmr.lab.synth.textures import read_rgba, texture_names

FEWEST_SEEN = 6
"""A picture that shows fewer of the 21 joints is thrown away."""
INSIDE_M = 0.022
"""How deep a joint may lie within the hand and count as seen."""
SUIT = "special_suit"
"""A skin of this name is painted with clothes."""
POOL = 256


@dataclass(frozen=True)
class HandTask:
    """One run: the pack of hand poses, folders, number of pictures, split, seed and picture side (px)."""

    poses: Path
    humans: Path
    backgrounds: Path
    out: Path
    count: int
    split: str
    seed: int
    size: int
    first_shard: int = 0

    def skins(self) -> list[str]:
        """Skins of the split: those that the body keeps for its test are kept here too."""
        names = [n for n in texture_names(self.humans)["skins"] if SUIT not in n]
        return [n for n in names if (n in TEST_ONLY) == (self.split == "test")]

    def prepare(self, report: Report) -> None:
        for folder in (self.humans, self.backgrounds):
            if not folder.is_dir():
                raise InputError(f"{folder} is no folder; give an existing one")
        if not self.skins():
            raise InputError(f"{self.humans} has no skins for the split {self.split}; give a whole pack")
        read_places(self.backgrounds, self.split)
        load_hands(self.poses, validation=self.split != "train")

    def studio(self) -> "HandStudio":
        return HandStudio(self)

    def finish(self) -> int:
        """The number of pictures of all shards that are there."""
        return sum(
            shards.length(self.out, int(npz.stem.removeprefix("images-")))
            for npz in self.out.glob("images-*.npz")
        )


class HandStudio:
    """Makes pictures of one split; left hands are right ones in a mirrored picture."""

    def __init__(self, task: HandTask) -> None:
        self.task, self.body = task, open_hand()
        self.places = read_places(task.backgrounds, task.split)
        names = task.skins()
        skins = {n: read_rgba(task.humans / "skins" / f"{n}.jpg", TEXTURE_SIDE) for n in names}
        self.stage = HandStage(skins, self.places, task.size)
        self.renderer = HandRenderer(task.humans, task.size)
        trained = task.split == "train"
        pack = load_hands(task.poses, validation=not trained)
        widening = HandWidening() if trained else AS_STORED
        self.poses = HandPoses(pack, self.body, widening, torch.device("cpu"))
        self.restart(np.random.default_rng(0))

    def restart(self, rng: np.random.Generator) -> None:
        self.generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        self.pool: list[NDArray] = []

    def pose(self) -> NDArray[np.float64]:
        """Axis-angle ``(16,3)``."""
        if not self.pool:
            rotations = self.poses(POOL, self.generator).double().numpy()
            self.pool = list(matrix_to_axis_angle(rotations))
        return self.pool.pop()

    def make(self, rng: np.random.Generator) -> tuple[np.ndarray, shards.Row]:
        while True:
            scene = self.stage.scene(rng, [self.pose(), self.pose()])
            if scene is None:
                continue
            image, row = self.shoot(rng, scene)
            if np.sum(row["visible"]) >= FEWEST_SEEN:
                break
        left = rng.random() < 0.5
        image = degrade.photograph(rng, image)
        return (image[:, ::-1], mirrored_row(row, self.task.size)) if left else (image, row)

    def shoot(self, rng: np.random.Generator, scene: HandScene) -> tuple[np.ndarray, shards.Row]:
        """The scene in a random place, float32, with what lies before and behind it."""
        place = self.places[int(rng.integers(len(self.places)))]
        image: NDArray = self.renderer.backdrop(place, scene.camera).astype(np.float32)
        if rng.random() < 0.3:
            degrade.clutter(rng, image, self.places)
        if rng.random() < 0.6:
            image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.6, 5.0))
        colour, cover, depth = self.renderer.draw(scene.pieces, scene.joints.mean(0), place, scene.camera)
        image = image * (1 - cover[..., None]) + colour * cover[..., None]
        row = annotate(scene, depth)
        if rng.random() < 0.2:
            front = degrade.occlude(rng, image, self.places, np.asarray(row["box_xywh"]))
            x, y = np.clip(pixels_at(row["joints_px"]), 0, len(front) - 1).T
            row["visible"] = np.asarray(row["visible"]) & (front[y, x] < 0.5)
        return image, row | {"background": place.name}


def annotate(scene: HandScene, depth: NDArray) -> shards.Row:
    """Everything known about the hand, in camera axes; ``depth (size,size)`` of all that is drawn tells which
    joints are seen."""
    camera = scene.camera
    projected = camera.project(scene.joints)
    pixel = pixels_at(projected[:, :2])
    inside = ((pixel >= 0) & (pixel < camera.size)).all(1)
    x, y = np.clip(pixel, 0, camera.size - 1).T
    return {
        "K": camera.K.astype(np.float32),
        "pose": scene.pose.astype(np.float32),
        "betas": scene.betas.astype(np.float32),
        "translation": scene.translation.astype(np.float32),
        "box_xywh": box_of(projected).astype(np.float32),
        "joints_px": projected[:, :2].astype(np.float32),
        "joints_cam": scene.joints.astype(np.float32),
        "visible": inside & (scene.joints[:, 2] - depth[y, x] < INSIDE_M),
        "right": np.array(True),
    }


def mirrored_row(row: shards.Row, size: int) -> shards.Row:
    """The annotation of a left hand: ``row`` in the mirrored picture."""
    out = dict(row)
    K, box = np.array(row["K"]), np.array(row["box_xywh"])
    K[0, 2], box[0] = size - 1 - K[0, 2], size - 1 - box[0] - box[2]
    points = np.array(row["joints_px"])
    points[:, 0] = size - 1 - points[:, 0]
    flip = np.array([-1, 1, 1], np.float32)
    return out | {
        "K": K,
        "pose": np.asarray(row["pose"]) * -flip,
        "translation": np.asarray(row["translation"]) * flip,
        "box_xywh": box,
        "joints_px": points,
        "joints_cam": np.asarray(row["joints_cam"]) * flip,
        "right": np.array(False),
    }
