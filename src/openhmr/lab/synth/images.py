"""Synthetic pictures of clothed people with exact annotation: ``openhmr lab synth images``."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from openhmr.bodies.shipped import open_body
from openhmr.errors import InputError
from openhmr.lab.synth import degrade, shards
from openhmr.lab.synth.bvh import makehuman_poses
from openhmr.lab.synth.light import Place, read_places
from openhmr.lab.synth.motion import TEST_SUBJECTS, VALIDATION_SUBJECTS, Motion, load_motion
from openhmr.lab.synth.outfits import Closet
from openhmr.lab.synth.poses import PoseSampler, Widening, even_weights, log_map
from openhmr.lab.synth.production import Report
from openhmr.lab.synth.renderer import Layer, Renderer
from openhmr.lab.synth.scene import (
    Figure,
    Person,
    Scene,
    add_others,
    axis_rotation,
    box_of,
    frame_person,
    plausible,
    random_betas,
    stand,
)
from openhmr.lab.synth.textures import texture_names
from openhmr.lab.synth.wardrobe import Wardrobe, build_wardrobe

INSIDE_M = np.array([0.12] * 5 + [0.16] * 2 + [0.12] * 4 + [0.2] * 2 + [0.12] * 4 + [0.24, 0.18])
"""How deep each of the 19 joints may lie within the body: it counts as seen if the surface before it is
nearer by no more."""
WIDENING = Widening(exchange=0.35, perturb=0.5)
"""Narrower than for 2D poses: rendered limbs must not pass through the trunk too often."""
FEWEST_SEEN = 4
"""A picture that shows fewer of the 19 joints is thrown away."""
SINGLE_POSES = 0.02
"""Share of training poses from the pack's own single poses (sitting, flying, boxing), where it has some."""


@dataclass(frozen=True)
class Task:
    """One run: folders, number of pictures, split, seed and picture side (px)."""

    motion: Path
    humans: Path
    backgrounds: Path
    wardrobe: Path
    out: Path
    count: int
    split: str
    seed: int
    size: int
    first_shard: int = 0
    more_motion: Path | None = None

    def load_motion(self) -> Motion:
        """Of both packs."""
        body = open_body()
        first = load_motion(self.motion, body)
        return first + load_motion(self.more_motion, body) if self.more_motion else first

    def prepare(self, report: Report) -> None:
        """Read everything that is given once: a wrong path shall not show after the minute that fitting the
        clothes takes."""
        for folder in (self.humans, self.backgrounds):
            if not folder.is_dir():
                raise InputError(f"{folder} is no folder; give an existing one")
        texture_names(self.humans)
        read_places(self.backgrounds, self.split)
        PoseStream(self.load_motion(), self.humans / "poses", self.split, np.random.default_rng(0))
        if not self.wardrobe.is_file():
            report(f"{self.wardrobe} is not there yet: fitting the clothes (about a minute)")
            self.wardrobe.parent.mkdir(parents=True, exist_ok=True)
            build_wardrobe(self.humans, self.wardrobe)

    def studio(self) -> "Studio":
        return Studio(self)

    def finish(self) -> int:
        """Annotations in COCO's form beside the shards; returns the number of pictures."""
        return shards.write_annotations(self.out, self.size)


class PoseStream:
    """Local rotations of one split: widened for training, as recorded otherwise."""

    def __init__(self, motion: Motion, single_poses: Path, split: str, rng: np.random.Generator) -> None:
        held = {"validation": VALIDATION_SUBJECTS, "test": TEST_SUBJECTS}
        self.frames = (
            motion.of(held[split])
            if split in held
            else motion.of(VALIDATION_SUBJECTS + TEST_SUBJECTS, others=True)
        )
        if not len(self.frames.rotations):
            raise InputError(
                f"the motion pack has no frames of the subjects of split {split} "
                f"({', '.join(held.get(split, ('any',)))})"
            )
        self.sampler = None
        if split == "train":
            rotations, weights = self.frames.rotations, even_weights(self.frames.rotations)
            if any(single_poses.glob("*.bvh")):
                extra = makehuman_poses(single_poses)
                rotations = np.concatenate([rotations, extra])
                weights = np.concatenate(
                    [weights * (1 - SINGLE_POSES), np.full(len(extra), SINGLE_POSES / len(extra))]
                )
            self.sampler = PoseSampler(rotations, weights, WIDENING, torch.device("cpu"))
        self.restart(rng)

    def restart(self, rng: np.random.Generator) -> None:
        """Go on from ``rng``: what follows depends on nothing before."""
        self.rng, self.generator = rng, torch.Generator().manual_seed(int(rng.integers(2**62)))
        self.pool: list[tuple[np.ndarray, str]] = []

    def __call__(self) -> tuple[np.ndarray, str]:
        """Rotations ``(24,3,3)`` float32 and the name of the subject (of one of several, "mixed")."""
        if not self.pool:
            if self.sampler is not None:
                self.pool = [(r, "mixed") for r in self.sampler(256, self.generator).numpy()]
            else:
                chosen = self.rng.choice(len(self.frames.rotations), 256)
                self.pool = [(self.frames.rotations[i], str(self.frames.subjects[i])) for i in chosen]
        return self.pool.pop()


def curl_fingers(rng: np.random.Generator, rotations: np.ndarray) -> np.ndarray:
    """The pose with fingers bent towards the palm by a random angle a hand: the motion has flat hands, people
    have not."""
    out = rotations.copy()
    for joint, side in ((22, -1.0), (23, 1.0)):
        # In the T-pose palms look down, so fingers bend about the Z axis.
        angle = np.clip(rng.normal(0.35, 0.3), 0, 1.0) * side
        out[joint] = out[joint] @ axis_rotation(2, angle).astype(np.float32)
    return out


class Studio:
    """Makes pictures of one split; what picture ``make`` returns depends on the generator alone."""

    def __init__(self, task: Task) -> None:
        body = self.body = open_body()
        self.task, wardrobe = task, Wardrobe.load(task.wardrobe)
        self.places = read_places(task.backgrounds, task.split)
        self.closet = Closet(wardrobe, texture_names(task.humans), task.split)
        self.poses = PoseStream(
            task.load_motion(), task.humans / "poses", task.split, np.random.default_rng(0)
        )
        self.renderer = Renderer(task.humans, wardrobe, body, task.size)
        self.figure = self.renderer.figure

    def restart(self, rng: np.random.Generator) -> None:
        self.poses.restart(rng)

    def person(self, rng: np.random.Generator) -> tuple[Person, str]:
        betas = random_betas(rng)
        rotations, subject = self.poses()
        while not plausible(self.figure.transforms(rotations, betas)[1]):
            rotations, subject = self.poses()
        rotations = curl_fingers(rng, rotations)
        lift = rng.uniform(0.05, 0.5) if rng.random() < 0.05 else 0.0
        return stand(
            self.figure, rotations, betas, self.closet.dress(rng, betas), rng.uniform(0, 2 * np.pi), lift
        ), subject

    def make(self, rng: np.random.Generator) -> tuple[np.ndarray, shards.Row]:
        """One picture ``(size,size,3)`` uint8 and its annotation row."""
        while True:
            person, subject = self.person(rng)
            scene = Scene([person], frame_person(rng, person.vertices, self.task.size))
            if scene.camera.see(person.vertices)[:, 2].min() > 0.3:
                break
        others = int(rng.choice([0, 1, 2], p=[0.65, 0.25, 0.1]))
        add_others(rng, self.figure, scene, self.closet, [self.poses()[0] for _ in range(others)])
        place = self.places[rng.integers(len(self.places))]
        row = annotate(self.figure, scene)
        r = self.renderer
        matrices = [r.cast_shadow(i, p, place) for i, p in enumerate(scene.people)]
        image: np.ndarray = r.backdrop(
            place, scene.camera, scene.people, matrices, rng.uniform(0.005, 0.03)
        ).astype(np.float32)
        if rng.random() < 0.25:
            degrade.clutter(rng, image, self.places)
        if rng.random() < 0.3:
            image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.6, 3.0))
        front = self.compose(image, scene, place, matrices, row)
        if rng.random() < 0.3:
            front = np.maximum(front, degrade.occlude(rng, image, self.places, np.asarray(row["box_xywh"])))
        hide_covered(row, front)
        if np.sum(row["visible"]) < FEWEST_SEEN:
            return self.make(rng)
        row |= {"subject": subject, "background": place.name, "outfit": person.outfit.name}
        return degrade.photograph(rng, image), row

    def compose(
        self, image: np.ndarray, scene: Scene, place: Place, matrices: list[np.ndarray], row: shards.Row
    ) -> np.ndarray:
        """Lay the people over ``image``, farthest first; returns what covers the first one
        ``(size,size)``."""
        front = np.zeros(image.shape[:2], np.float32)
        away = [float(scene.camera.see(p.vertices.mean(0))[2]) for p in scene.people]
        for i in np.argsort(away)[::-1]:
            layer = self.renderer.draw(scene.people[i], place, scene.camera, int(i), matrices[i])
            if layer is None:
                continue
            x, y = layer.corner
            h, w = layer.cover.shape
            part = image[y : y + h, x : x + w]
            part *= 1 - layer.cover[..., None]
            part += layer.colour
            if i == 0:
                row["visible"] = facing(row, layer)
            elif away[i] < away[0]:
                front[y : y + h, x : x + w] = np.maximum(front[y : y + h, x : x + w], layer.cover)
        return front


def annotate(figure: Figure, scene: Scene) -> shards.Row:
    """Everything known about the first person, in camera axes (see the folder's description)."""
    person, camera = scene.people[0], scene.camera
    seen = camera.see(person.vertices.astype(np.float64))
    joints = figure.coco_joints(seen)
    projected = camera.project(joints)
    local = torch.as_tensor(person.rotations, dtype=torch.float64).clone()
    local[0] = torch.as_tensor(camera.R) @ local[0]
    root = figure.rest_joints(person.betas)[0].astype(np.float64)
    translation = camera.see(root + person.shift) - root
    pixel = pixels_at(projected[:, :2])
    inside = ((pixel >= 0) & (pixel < camera.size)).all(1)
    return {
        "K": camera.K.astype(np.float32),
        "pose": log_map(local).numpy().astype(np.float32),
        "betas": person.betas.astype(np.float32),
        "translation": translation.astype(np.float32),
        "box_xywh": box_of(camera.project(seen)).astype(np.float32),
        "joints_px": projected[:, :2].astype(np.float32),
        "joints_cam": joints.astype(np.float32),
        "visible": inside,
    }


def pixels_at(points_px: np.ndarray | str) -> np.ndarray:
    """Indices ``(N,2)`` x, y of the pixels that points ``(N,2)`` lie in."""
    return np.floor(np.asarray(points_px) + 0.5).astype(int)


def facing(row: shards.Row, layer: Layer) -> np.ndarray:
    """Which joints ``(19,)`` lie in the picture and not behind another part of the same person."""
    at = pixels_at(row["joints_px"]) - layer.corner
    h, w = layer.depth.shape
    within = (at >= 0).all(1) & (at < [w, h]).all(1)
    x, y = np.clip(at, 0, [w - 1, h - 1]).T
    behind = within & (np.asarray(row["joints_cam"])[:, 2] - layer.depth[y, x] > INSIDE_M)
    return np.asarray(row["visible"]) & ~behind


def hide_covered(row: shards.Row, front: np.ndarray) -> None:
    """Mark the joints beneath ``front (H,W)`` as not visible."""
    x, y = np.clip(pixels_at(row["joints_px"]), 0, len(front) - 1).T
    row["visible"] = np.asarray(row["visible"]) & (front[y, x] < 0.5)
