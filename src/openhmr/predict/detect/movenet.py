"""People in pictures by MoveNet MultiPose, which comes with openhmr (Google's network; the looks are ours).

The network sees people best who are 100 to 200 pixels tall in its input of 256. So it looks at the whole
picture, at parts of it if people are small in it, and then at each person again, in windows of their size.
"""

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from openhmr.errors import InputError
from openhmr.io.images import Photo
from openhmr.io.photos import photo_of
from openhmr.io.poses import check_pose2d
from openhmr.joints import COCO
from openhmr.keypoints import Keypoints
from openhmr.predict.detect.heads import HEADS, KIND, decode
from openhmr.predict.person_crop import MAX_BOXES, PATCH, cut
from openhmr.predict.session import image_threads, open_session, read_metadata

FOUND = 0.18
"""Least score of a person: the mean of the first look and the best other. Of 48 pictures of places without
people two reach it, by a lantern and a heap of things."""
CANDIDATE = 0.1
"""Least score of what is looked at again."""
ROOMS = (1.5, 2.0)
"""Sides of the windows in which a person is looked at again, over the longer side of the box."""
SMALLEST_PX = 8
"""Boxes count as at least so large when their windows are chosen."""
SMALL = 0.3
"""Parts of the picture are looked at if nobody in it is larger than this share of it."""
LEVELS = 2
"""How often parts are halved, where the picture has the pixels."""
STEP = 2 / 3
"""From one part to the next, in sides: nobody who is small in them is cut by all."""
EDGE_PX = 4
"""Who reaches so near to the edge of a part, in the network's pixels, may be cut off there."""
NEAR = 0.2
"""Keypoints are the same if they lie nearer than this share of a person's size (root of the box's area)."""
SAME = 0.5
"""Two finds are one person if this share of their keypoints, weighted by confidence, are the same."""
MOST = 20
"""People followed in one window."""

Finds = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
"""Keypoints ``(K,17,3)`` x, y, confidence, boxes ``(K,4)`` and scores ``(K,)``, in pixels of the picture."""


class MoveNet:
    """A detector: ``detector(image) -> Keypoints`` of everybody in a picture.

    The ONNX file takes ``image (B,3,H,W)`` RGB in [0,1], sides divisible by 32, and returns the maps of
    :data:`~openhmr.predict.detect.heads.HEADS`; its metadata hold ``kind`` = detector. Raises
    :class:`InputError` if the file is missing or no such model.
    """

    def __init__(self, onnx_path: str | Path) -> None:
        if read_metadata(onnx_path).get("kind") != KIND:
            raise InputError(
                f"{onnx_path} is no detector of people; give one, or load 'detector', which ships"
            )
        self.session = open_session(onnx_path, threads=image_threads())

    def __call__(
        self, image: NDArray[np.uint8] | Photo | Image.Image | str | Path, time_s: float | None = None
    ) -> Keypoints:
        """Everybody in ``image``, the best seen first; nobody is an empty result.

        COCO joints with their confidence, boxes and scores. ``image`` is a file, a PIL image, or an array
        (height, width, 3) of uint8 in the order RGB. ``time_s`` is not used: every picture is searched by
        itself. Raises :class:`InputError` for anything else.
        """
        image = photo_of(image).image
        size = (image.shape[0], image.shape[1])
        points, boxes, scores = self._again(image, self._first(image))
        rows = distinct(points, boxes, np.where(scores > FOUND, scores, 0))[:MAX_BOXES]
        if not len(rows):
            return Keypoints.nobody(COCO, size)
        seen = np.concatenate([points[rows, :, :2], np.clip(points[rows, :, 2:], 0, 1)], -1)
        return Keypoints(COCO, check_pose2d(seen, COCO), size, boxes[rows], scores[rows])

    def look(self, image: NDArray[np.uint8], windows: NDArray) -> Iterator[Finds]:
        """What the network sees in each of the squares ``windows (N,3)`` (centre x, y and side in pixels)."""
        for window in windows:
            maps = self.session.run(list(HEADS), {"image": cut(image, window[None])})
            points, boxes, scores = decode(
                dict(zip(HEADS, (m[0] for m in maps), strict=True)), MOST, CANDIDATE
            )
            zoom, corner = window[2] / PATCH, window[:2] - window[2] / 2
            points[..., :2] = corner + points[..., :2] * zoom
            yield points, np.concatenate([corner + boxes[:, :2] * zoom, boxes[:, 2:] * zoom], 1), scores

    def _first(self, image: NDArray[np.uint8]) -> Finds:
        """Candidates in the whole picture and, while nobody large is found, in parts half as large."""
        side = float(max(image.shape[:2]))
        window = np.array([[(image.shape[1] - 1) / 2, (image.shape[0] - 1) / 2, side]])
        points, boxes, scores = next(self.look(image, window))
        for _ in range(LEVELS):
            if side < 2 * PATCH or boxes[scores > FOUND, 2:].max(initial=0) > SMALL * side:
                break
            side /= 2
            parts = _parts(image, side)
            for part, (p, b, s) in zip(parts, self.look(image, parts), strict=True):
                inner = _inside(b, part, image) & (s > FOUND)
                points, boxes, scores = (
                    np.concatenate(pair)
                    for pair in ((points, p[inner]), (boxes, b[inner]), (scores, s[inner]))
                )
        rows = distinct(points, boxes, np.where(scores > CANDIDATE, scores, 0))
        return points[rows], boxes[rows], scores[rows]

    def _again(self, image: NDArray[np.uint8], first: Finds) -> Finds:
        """Every candidate in the best of all looks, with the mean score of the first look and the best of the
        others; who is not found again keeps half."""
        points, boxes, scores = (a.copy() for a in first)
        for i, (x, y, width, height) in enumerate(first[1]):
            sides = max(width, height, SMALLEST_PX) * np.array(ROOMS)
            windows = [(x + width / 2, y + height / 2, side) for side in sides]
            again = 0.0
            for find in (
                f for found in self.look(image, np.array(windows)) for f in zip(*found, strict=True)
            ):
                if find[2] > again and alike(first[0][i], first[1][i], find[0]) > SAME:
                    again = find[2]
                    if again > first[2][i]:
                        points[i], boxes[i] = find[:2]
            scores[i] = (first[2][i] + again) / 2
        return points, boxes, scores


def detect_people(image: NDArray[np.uint8], time_s: float | None = None) -> Keypoints:
    """Everybody in ``image``, by the detector that ships, which is opened when it is first needed."""
    return _shipped()(image, time_s)


@cache
def _shipped() -> MoveNet:
    return MoveNet(Path(str(files("openhmr") / "assets" / "weights" / "detector.onnx")))


def _parts(image: NDArray[np.uint8], side: float) -> NDArray[np.float64]:
    """Squares ``(N,3)`` of ``side`` that overlap and cover the picture."""
    axes = []
    for length in (image.shape[1], image.shape[0]):
        count = 1 + int(np.ceil(max(length - side, 0) / (STEP * side)))
        ends = (side, length - side) if length > side else (length, 0)
        axes.append((ends[0] / 2 + np.linspace(0, ends[1], count)) - 0.5)
    return np.array([(x, y, side) for y in axes[1] for x in axes[0]])


def _inside(boxes: NDArray, part: NDArray, image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which ``boxes (K,4)`` are not cut off by an edge of the square ``part`` within the picture."""
    edge, size = EDGE_PX * part[2] / PATCH, np.array([image.shape[1], image.shape[0]])
    low, high = part[:2] - part[2] / 2, part[:2] + part[2] / 2
    cut_low = (boxes[:, :2] < low + edge) & (low > edge)
    cut_high = (boxes[:, :2] + boxes[:, 2:] > high - edge) & (high < size - edge)
    return ~(cut_low | cut_high).any(1)


def alike(points: NDArray, box: NDArray, other: NDArray) -> float:
    """Share of the keypoints ``other (17,3)``, weighted by confidence, that lie where those of the person
    ``points (17,3)`` in ``box (4,)`` do."""
    near = np.linalg.norm(points[:, :2] - other[:, :2], axis=1) < NEAR * np.sqrt(box[2] * box[3])
    weight = np.minimum(points[:, 2], other[:, 2])
    return float((weight * near).sum() / max(weight.sum(), 1e-9))


def distinct(points: NDArray, boxes: NDArray, scores: NDArray) -> list[int]:
    """Rows of different people, the best first: of several finds of one the best; scores of 0 are nobody."""
    rows: list[int] = []
    for i in np.argsort(-scores, kind="stable"):
        if scores[i] > 0 and all(alike(points[j], boxes[j], points[i]) <= SAME for j in rows):
            rows.append(int(i))
    return rows
