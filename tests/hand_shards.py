"""Shards of dark pictures in which one joint of a hand is a light; half of the hands are left ones."""

from pathlib import Path

import cv2
import numpy as np

from openhmr.bodies.shipped import open_hand
from openhmr.bodies.skinning import skin
from openhmr.joints import MANO
from openhmr.lab.synth.hand_scene import HandScene, hand_camera
from openhmr.lab.synth.hands import annotate, mirrored_row
from openhmr.lab.synth.shards import Row, write_shard

SIZE = 256
LIT = 8
"""The tip of the index finger."""


def random_scene(rng: np.random.Generator, size: int = SIZE) -> HandScene:
    """A hand without anything else, 40 to 70 cm away."""
    hand, betas, pose = open_hand(), rng.normal(size=10), rng.normal(size=(16, 3)) * 0.3
    pose[0] = rng.normal(size=3) * 1.5
    place = np.append(rng.uniform(-0.04, 0.04, 2), rng.uniform(0.4, 0.7))
    vertices = np.asarray(skin(hand, pose, betas)[0]) + place
    camera = hand_camera(rng, size)
    return HandScene([], camera, vertices, hand.joint_regressor(MANO) @ vertices, pose, betas, place)


def write_hand_shards(folder: Path, count: int = 12) -> list[Row]:
    """Write one shard; returns its rows."""
    rng, pictures, rows = np.random.default_rng(4), [], []
    while len(rows) < count:
        row = annotate(random_scene(rng), np.full((SIZE, SIZE), np.inf))
        x, y = np.asarray(row["joints_px"], np.float64)[LIT]
        if np.asarray(row["box_xywh"])[2:].max() < 60 or not 8 < min(x, y) < max(x, y) < SIZE - 9:
            continue
        image = np.zeros((SIZE, SIZE, 3), np.uint8)
        cv2.circle(image, (round(x * 16), round(y * 16)), 4 * 16, (255, 255, 255), -1, cv2.LINE_AA, 4)
        if len(rows) % 2:
            image, row = np.ascontiguousarray(image[:, ::-1]), mirrored_row(row, SIZE)
        pictures.append(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes())
        rows.append(row)
    write_shard(folder, 0, 0, pictures, rows, open_hand())
    return rows
