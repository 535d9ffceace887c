"""Clips of white rectangles, and a detector that sees them: people, to the tiny network of the tests."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from openhmr.io.video import Shot
from openhmr.joints import COCO
from openhmr.keypoints import Keypoints

SIZE, FPS = (240, 480), 25.0
Path_px = tuple[int, int, float, float]
"""Of a rectangle of 30 x 100 pixels: first and last frame, x in the first, pixels a frame."""


def boxes_at(paths: Sequence[Path_px], number: int) -> list[tuple[int, int, int, int]]:
    """x, y, width, height of those who are there."""
    return [
        (round(x + (number - first) * speed), 70, 30, 100)
        for first, last, x, speed in paths
        if first <= number <= last
    ]


def frame_of(paths: Sequence[Path_px], number: int) -> np.ndarray:
    out = np.zeros((*SIZE, 3), np.uint8)
    for x, y, w, h in boxes_at(paths, number):
        out[y : y + h, max(x, 0) : max(x + w, 0)] = 255
    return out


def shots(paths: Sequence[Path_px], count: int, every: int = 1) -> Iterator[Shot]:
    for number in range(0, count, every):
        yield Shot(number, number / FPS, frame_of(paths, number))


def write_frames(folder: Path, paths: Sequence[Path_px], count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        Image.fromarray(frame_of(paths, number)).save(folder / f"{number:04d}.png")
    return folder


class BrightSpots:
    """A detector of bright rectangles that counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[float | None] = []

    def __call__(self, image: np.ndarray, time_s: float | None = None) -> Keypoints:
        self.asked.append(time_s)
        count, _, stats, _ = cv2.connectedComponentsWithStats((image[..., 0] > 127).astype(np.uint8))
        boxes = stats[1:count, :4].astype(np.float64)
        points = np.zeros((len(boxes), COCO.size, 3), np.float32)
        points[..., :2] = (boxes[:, :2] + boxes[:, 2:] / 2)[:, None]
        points[..., 2] = 0.9
        return Keypoints(COCO, points, (image.shape[0], image.shape[1]), boxes, np.full(len(boxes), 0.8))
