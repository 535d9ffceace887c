"""Whole recorded clips before a standing camera, and what a detector that errs as real ones do sees of
them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.body import Body
from openhmr.bodies.skinning import skin
from openhmr.camera import Camera
from openhmr.errors import InputError
from openhmr.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from openhmr.io.arrays import read_npz
from openhmr.joints import COCO
from openhmr.joints.coco import COCO17
from openhmr.keypoints import Keypoints
from openhmr.lab.data.noise import KEYPOINT_SIGMAS
from openhmr.lab.synth.motion import MAX_NUMBERS, load_motion
from openhmr.people import Rig

FPS = 30.0
SHORTEST = 45
"""Frames; what is left of clips that are cut at bad frames and shorter says little."""
SIZE, FOCAL = (1080, 1920), 1500.0
MARGIN_PX = 40
CHUNK = 64
AXES = np.diag([1.0, -1.0, -1.0])
"""World axes (y up) seen by a level camera that looks along -z."""


@dataclass(frozen=True, eq=False)
class Recorded:
    """One clip: ``rig`` in the axes of ``camera``, whose ``down`` is known, ``joints_px (T,J,2)`` of COCO."""

    name: str
    body: Body
    rig: Rig
    camera: Camera
    joints_px: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.rig.pose)


@dataclass(frozen=True)
class DetectorNoise:
    """Errors of a detector on a video, in shares of the square root of the box's area.

    ``jitter`` is new in every frame, ``drift`` stays for ``memory`` frames (a first-order autoregression):
    both are means over COCO's joints, in proportion to that data set's deviations between annotators. A
    joint is ``missed`` with this chance a frame and lies up to ``far`` away; as often the left and right
    one of a pair change places, and a ``turned`` share of the frames has everything on the other side.
    The jitter is MoveNet's on the four videos of pose2sim's single person; the rest is ours.
    """

    jitter: float = 0.006
    drift: float = 0.010
    memory: float = 6.0
    missed: float = 0.004
    far: float = 0.35
    turned: float = 0.004

    def __call__(self, joints_px: NDArray, rng: np.random.Generator) -> NDArray[np.float32]:
        """Points ``(T,19,3)`` of COCO with its derived joints, from true ones ``(T,J,2)``."""
        xy = np.array(joints_px[:, : len(COCO17)], np.float64)
        count, joints = xy.shape[:2]
        scale = np.sqrt(np.ptp(xy, axis=1).prod(-1))[:, None, None]
        width = (KEYPOINT_SIGMAS / KEYPOINT_SIGMAS.mean())[:, None]
        drift = rng.normal(size=xy.shape)
        kept = np.exp(-1 / self.memory)
        for t in range(1, count):
            drift[t] = kept * drift[t - 1] + np.sqrt(1 - kept**2) * drift[t]
        noise = (self.jitter * rng.normal(size=xy.shape) + self.drift * drift) * width
        missed = rng.random((count, joints)) < self.missed
        noise[missed] = rng.uniform(-self.far, self.far, (int(missed.sum()), 2))
        pairs = [(a, b) for a, b in COCO.flip_pairs if b < joints]
        swapped = (rng.random((count, len(pairs))) < self.missed) | (rng.random((count, 1)) < self.turned)
        for k, (a, b) in enumerate(pairs):
            rows = np.flatnonzero(swapped[:, k])
            xy[rows[:, None], [a, b]] = xy[rows[:, None], [b, a]]
        sure = np.where(missed, 0.4, 0.8) + 0.1 * rng.normal(size=missed.shape)
        points = np.concatenate([xy + noise * scale, sure.clip(0.1, 1)[..., None]], -1)
        return COCO.complete(points, "present").astype(np.float32)


def keypoints_of(clip: Recorded, points: NDArray[np.float32]) -> Iterator[Keypoints]:
    """One :class:`Keypoints` a frame, of points ``(T,19,3)``."""
    for frame in points:
        yield Keypoints(COCO, frame[None], clip.camera.image_size)


def recorded_clips(path: Path, body: Body, subjects: tuple[str, ...], seed: int) -> Iterator[Recorded]:
    """The clips of ``subjects`` in a motion pack, cut at frames that the pack calls bad, each with a shape
    and a camera of its own. Raises :class:`InputError` if the pack has none."""
    motion, pack = load_motion(path, body), read_npz(path, MAX_NUMBERS)
    ok = pack["frame_ok"].astype(bool)
    frames, middle = np.flatnonzero(ok), _middle_hips(pack)[ok]
    rng, found = np.random.default_rng(seed), 0
    for number in np.unique(motion.clips[np.isin(motion.subjects, subjects)]):
        rows = np.flatnonzero(motion.clips == number)
        cuts = np.flatnonzero(np.diff(frames[rows]) > 1) + 1
        for part, own in enumerate(np.split(rows, cuts)):
            if len(own) >= SHORTEST:
                found += 1
                name = f"{pack['clip_names'][number]}{'abcdefgh'[part % 8] if len(cuts) else ''}"
                yield _before_camera(name, body, motion.rotations[own], middle[own], rng)
    if not found:
        known = ", ".join(sorted(set(motion.subjects)))
        raise InputError(
            f"{path} has no clip of {SHORTEST} frames of subjects {', '.join(subjects)}; it has {known}"
        )


def _middle_hips(pack: dict[str, NDArray]) -> NDArray[np.float64]:
    """Where the middle of both hips is ``(N,3)`` in units of the length of the legs: of people of another
    size, feet that stand still do so too."""
    at = {str(n): i for i, n in enumerate(pack["joint_names"])}
    offsets = pack["offsets"].astype(np.float64)
    thighs = sum((offsets[:, at[s + n]] for s in "lr" for n in ("Buttock", "Thigh")), np.zeros(3)) / 2
    bones = [np.linalg.norm(offsets[:, at[s + n]], axis=-1) for s in "lr" for n in ("Shin", "Foot")]
    legs = np.sum(bones, axis=0) / 2
    clip = np.repeat(np.arange(len(legs)), pack["clip_len"].astype(int))
    w, x, y, z = np.moveaxis(pack["quat_wxyz"][:, 0].astype(np.float64), -1, 0)
    q, v = np.stack([x, y, z], -1), thighs[clip]
    turned = v + 2 * np.cross(q, np.cross(q, v) + w[:, None] * v)
    return (pack["root_pos"] + turned) / legs[clip][:, None]


def _before_camera(
    name: str, body: Body, rotations: NDArray, middle: NDArray, rng: np.random.Generator
) -> Recorded:
    betas = rng.normal(size=body.num_betas).clip(-2, 2).astype(np.float32)
    betas[-1] = 0
    rest = body.J_regressor @ (body.v_template + body.shapedirs @ betas)
    leg = np.linalg.norm(rest[4] - rest[1]) + np.linalg.norm(rest[7] - rest[4])
    root = middle * leg - rotations[:, 0] @ (rest[1:3].mean(0) - rest[0])
    yaw, pitch = rng.uniform(-np.pi, np.pi), np.deg2rad(rng.uniform(0, 20))
    turn = axis_angle_to_matrix(np.array([[pitch, 0, 0], [0, yaw, 0]], np.float64))
    # Looking down from above, the world's up leans towards the camera.
    camera_from_world = turn[0] @ AXES @ turn[1]
    low, high = root.min(0), root.max(0)
    centre = np.array([(low[0] + high[0]) / 2, 0.9, (low[2] + high[2]) / 2])
    root = (root - centre) @ camera_from_world.T
    pose = matrix_to_axis_angle(rotations.astype(np.float64))
    pose[:, 0] = matrix_to_axis_angle(camera_from_world @ rotations[:, 0].astype(np.float64))
    relative = np.concatenate(
        [
            body.joint_regressor(COCO) @ skin(body, pose[i : i + CHUNK].astype(np.float32), betas)[0]
            for i in range(0, len(pose), CHUNK)
        ]
    )
    camera = Camera.from_focal(FOCAL, SIZE)
    away = 3.5
    while True:
        translation = root - rest[0] + [0, 0, away]
        placed = relative + translation[:, None]
        pixels = camera.project(placed)
        inside = (pixels > MARGIN_PX) & (pixels < np.array(SIZE[::-1]) - MARGIN_PX)
        if placed[..., 2].min() > 1 and inside.all():
            break
        away *= 1.05
    camera = Camera(camera.K, SIZE, down=camera_from_world @ [0, -1, 0])
    shape = np.repeat(betas[None], len(pose), 0)
    return Recorded(name, body, Rig(pose.astype(np.float32), shape, translation), camera, pixels)
