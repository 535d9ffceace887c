"""People in pictures by MoveNet MultiPose, which comes with openhmr (Google's network; the looks are ours).

The network sees people best who are 100 to 200 pixels tall in its input of 256. So it looks at the whole
picture, at parts of it if people are small in it, and then at each person again, in windows of their size.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from openhmr.errors import InputError
from openhmr.geometry.boxes import overlaps
from openhmr.io.images import Photo
from openhmr.io.photos import photo_of
from openhmr.io.poses import check_pose2d
from openhmr.joints import COCO
from openhmr.keypoints import Keypoints
from openhmr.predict.detect.heads import HEADS, KIND, decode
from openhmr.predict.detect.windows import inside, parts
from openhmr.predict.person_crop import MAX_BOXES, PATCH, cut
from openhmr.predict.session import image_threads, open_session, read_metadata
from openhmr.predict.upright import rolled, upright_rolls

FOUND = 0.18
"""Least score of a person: the mean of the first look and the best other. Of 48 pictures of places without
people two reach it, by a lantern and a heap of things."""
FOUND_TURNED = 0.3
"""Least score of whom only the first look at the turned picture finds: three looks more find more that is
nobody."""
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
EDGE_PX = 4
"""Who reaches so near to the edge of a part, in the network's pixels, may be cut off there."""
SAME_BOX = 0.3
"""Intersection over union from which two boxes are those of one person."""
NEAR = 0.2
"""Keypoints are the same if they lie nearer than this share of a person's size (root of the box's area)."""
SAME = 0.5
"""Two finds are one person if this share of their keypoints, weighted by confidence, are the same."""
TURNS = np.deg2rad([90.0, 180.0, 270.0])
"""How pictures are turned where nobody, or somebody doubtful, is found as they are."""
SURE = 0.48
"""Score from which a person is not looked at turned: people who stand upright have 0.5 to 0.7, the same
people in pictures turned by 90 degrees and more 0.2 to 0.45."""
MOST = 20
"""People followed in one window."""

Finds = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
"""Keypoints ``(K,17,3)`` x, y, confidence, boxes ``(K,4)`` and scores ``(K,)``, in pixels of the picture."""

Find = tuple[NDArray[np.float64], NDArray[np.float64], float]
"""One of them."""


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

    def look(
        self, image: NDArray[np.uint8], windows: NDArray, rolls: NDArray | None = None
    ) -> Iterator[Finds]:
        """What the network sees in each of the squares ``windows (N,3)`` (centre x, y and side in pixels),
        with what is in them turned clockwise by ``rolls (N,)``."""
        for window, roll in zip(windows, np.zeros(len(windows)) if rolls is None else rolls, strict=True):
            maps = self.session.run(list(HEADS), {"image": cut(image, window[None], rolls=np.array([roll]))})
            points, boxes, scores = decode(
                dict(zip(HEADS, (m[0] for m in maps), strict=True)), MOST, CANDIDATE
            )
            zoom, corner = window[2] / PATCH, window[:2] - window[2] / 2
            points[..., :2] = corner + points[..., :2] * zoom
            boxes = np.concatenate([corner + boxes[:, :2] * zoom, boxes[:, 2:] * zoom], 1)
            yield (
                (points, boxes, scores) if roll == 0 else (*_turned_back(points, boxes, window, roll), scores)
            )

    def _first(self, image: NDArray[np.uint8]) -> Finds:
        """Candidates in the whole picture and, while nobody large is found, in parts half as large; where
        nobody is found at all, in the picture turned."""
        side = float(max(image.shape[:2]))
        window = np.array([[(image.shape[1] - 1) / 2, (image.shape[0] - 1) / 2, side]])
        finds = [next(self.look(image, window))]
        largest = _largest(finds[0])
        for _ in range(LEVELS):
            if side < 2 * PATCH or largest > SMALL * side:
                break
            side /= 2
            squares = parts(image, side)
            for part, find in zip(squares, self.look(image, squares), strict=True):
                whole = inside(find[1], part, EDGE_PX * part[2] / PATCH, image)
                finds.append(_rows(find, whole & (find[2] > FOUND)))
                largest = max(largest, _largest(finds[-1]))
        if not largest:
            turned = self.look(image, np.repeat(window, len(TURNS), 0), TURNS)
            finds += [_rows(find, find[2] > FOUND_TURNED) for find in turned]
        return _best(_joined(finds), CANDIDATE)

    def _again(self, image: NDArray[np.uint8], first: Finds) -> Finds:
        """Every candidate in the best of all looks, with the mean score of the first look and the best of the
        others; who is not found again keeps half."""
        points, boxes, scores = (a.copy() for a in first)
        for i, person in enumerate(zip(*first, strict=True)):
            (points[i], boxes[i], _), again = self._closer(image, person)
            scores[i] = (person[2] + again) / 2
        return points, boxes, scores

    def _closer(self, image: NDArray[np.uint8], person: Find) -> tuple[Find, float]:
        """The best find of a person in windows around them, and its score, 0 if there is none: as they are,
        turned by quarters if they are doubtful, and upright if they are not."""
        best, again = person, 0.0

        def take(finds: Iterable[Finds], same: Callable[[Find], bool]) -> None:
            nonlocal best, again
            for find in (f for found in finds for f in zip(*found, strict=True)):
                if find[2] > again and same(find):
                    again = find[2]
                    best = find if again > best[2] else best

        take(self.look(image, _windows(person[1], ROOMS)), lambda f: alike(*person[:2], f[0]) > SAME)
        if best[2] < SURE:
            windows = np.repeat(_windows(person[1], ROOMS[:1]), len(TURNS), 0)
            box = person[1][None]
            take(self.look(image, windows, TURNS), lambda f: overlaps(box, f[1][None])[0, 0] > SAME_BOX)
        if (roll := upright_rolls(best[0][None], COCO))[0]:
            seen = best
            take(
                self.look(image, _windows(seen[1], ROOMS[:1]), roll), lambda f: alike(*seen[:2], f[0]) > SAME
            )
        return best, again


def detect_people(image: NDArray[np.uint8], time_s: float | None = None) -> Keypoints:
    """Everybody in ``image``, by the detector that ships, which is opened when it is first needed."""
    return _shipped()(image, time_s)


@cache
def _shipped() -> MoveNet:
    return MoveNet(Path(str(files("openhmr") / "assets" / "weights" / "detector.onnx")))


def _windows(box: NDArray, rooms: tuple[float, ...]) -> NDArray[np.float64]:
    """Squares ``(N,3)`` about the middle of a box ``(4,)``, as many times as large as ``rooms`` say."""
    middle, side = box[:2] + box[2:] / 2, max(*box[2:], SMALLEST_PX)
    return np.array([(*middle, side * room) for room in rooms])


def _joined(finds: list[Finds]) -> Finds:
    return tuple(np.concatenate(column) for column in zip(*finds, strict=True))  # type: ignore[return-value]


def _rows(find: Finds, rows: NDArray | list[int]) -> Finds:
    return find[0][rows], find[1][rows], find[2][rows]


def _best(find: Finds, least: float) -> Finds:
    """Different people with scores above ``least``, the best first."""
    return _rows(find, distinct(find[0], find[1], np.where(find[2] > least, find[2], 0)))


def _largest(find: Finds) -> float:
    """Side in pixels of the largest person found, 0 if there is nobody."""
    return float(find[1][find[2] > FOUND, 2:].max(initial=0))


def _turned_back(points: NDArray, boxes: NDArray, window: NDArray, roll: float) -> tuple[NDArray, NDArray]:
    """Keypoints and boxes around the boxes of a window that was seen turned by ``roll``, in the picture."""
    turn = rolled(np.array(roll))
    points[..., :2] = window[:2] + (points[..., :2] - window[:2]) @ turn
    corners = boxes[:, None, :2] + boxes[:, None, 2:] * np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    corners = window[:2] + (corners - window[:2]) @ turn
    return points, np.concatenate([corners.min(1), np.ptp(corners, axis=1)], 1)


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
