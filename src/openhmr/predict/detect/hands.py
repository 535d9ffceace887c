"""Hands in pictures by MediaPipe's palm detector and hand landmark network (Google's; the looks are ours).

Palms are looked for in the whole picture, and in parts of it or in given windows where hands may be small.
Each is seen by the landmark network in a turned square about the palm, and once more in one about the points
that it found at first.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from openhmr.errors import InputError
from openhmr.io.images import Photo
from openhmr.io.photos import photo_of
from openhmr.joints import MANO, JointSet
from openhmr.keypoints import Keypoints
from openhmr.predict.detect.hand_frames import (
    HAND_PATCH,
    frames_of_hands,
    frames_of_palms,
    to_picture,
    turns,
)
from openhmr.predict.detect.palms import PALM_OUTPUTS, PALM_PATCH, decode, overlap
from openhmr.predict.detect.windows import inside, parts
from openhmr.predict.person_crop import MAX_BOXES, cut
from openhmr.predict.session import image_threads, open_session, read_metadata

KIND = "hand_detector"
"""What the metadata of the networks' file say it is."""
HAND_OUTPUTS = {"points": (21, 3), "presence": (1,), "mirrored_left": (1,), "world": (21, 3)}
"""What the landmark network returns: points x, y, z in pixels of its input, probability of a hand, that of a
left hand if the picture is a mirror image (of a right hand, therefore, in a plain one), and points in metres
about the hand's middle. The order of the points is that of the set ``mano``."""
PALM = 0.5
"""Least score of a palm, as in the original."""
PRESENT = 0.5
"""Least probability of a hand in its square, at both looks, as in the original."""
SMALL = 0.3
"""Parts of the picture are looked at if no palm's square in it is larger than this share of it."""
LEVELS = 2
"""How often parts are halved, where the picture has the pixels."""
EDGE_PX = 4
"""What reaches so near to the edge of a part, in the network's pixels, may be cut off there."""
SAME_PALM = 0.3
"""Palms of different looks whose boxes overlap by more are one."""
SAME = 0.3
"""Two finds are one hand if their points lie nearer to each other, on the average, than this share of the
hand's size (root of the box's area)."""
FOREARMS = 2.0
"""Side of the window about a body's hand, in forearms."""
REACH = 0.35
"""Where the hand's middle lies beyond the wrist, in forearms."""
LEAST_WINDOW = 0.25
"""Of the longer side of the body's box: the least side of a window about its hand."""


@dataclass(frozen=True, eq=False)
class HandLandmarks:
    """What the landmark network sees in N squares: ``points (N,21,2)`` pixels of the picture, ``presence
    (N,)`` and ``right (N,)`` probabilities of a hand and of a right one, and ``world_m (N,21,3)`` metres
    about the hand's middle, x right, y down, z away from the camera."""

    points: NDArray[np.float64]
    presence: NDArray[np.float64]
    right: NDArray[np.float64]
    world_m: NDArray[np.float64]

    def __getitem__(self, rows: ArrayLike) -> "HandLandmarks":
        return HandLandmarks(*(values[rows] for values in vars(self).values()))


class HandDetector:
    """A detector: ``detector(image) -> Keypoints`` of all hands in a picture, in the joint set ``mano``.

    The ONNX file is what `openhmr lab import-hand-detector` writes. Raises :class:`InputError` if the file is
    missing or no such model.
    """

    def __init__(self, onnx_path: str | Path) -> None:
        if read_metadata(onnx_path).get("kind") != KIND:
            raise InputError(
                f"{onnx_path} is no detector of hands; give one that `openhmr lab import-hand-detector` wrote"
            )
        self.session = open_session(onnx_path, threads=image_threads())

    def __call__(
        self,
        image: NDArray[np.uint8] | Photo | Image.Image | str | Path,
        time_s: float | None = None,
        windows: NDArray | None = None,
    ) -> Keypoints:
        """Every hand in ``image``, the surest first; none is an empty result.

        Points of the set ``mano`` whose confidence is the probability of a hand, which is also its score;
        boxes about the points; and the probability of a right hand. ``windows (N,3)`` (centre x, y and side
        in pixels, as of :func:`hand_windows`) are looked at instead of parts of the picture. ``time_s`` is
        not used: every picture is searched by itself. Raises :class:`InputError` for what is no image.
        """
        image = photo_of(image).image
        seen = self.find(image, windows)
        size = (image.shape[0], image.shape[1])
        certainty = np.repeat(seen.presence[:, None, None], MANO.size, 1)
        points = np.concatenate([seen.points, certainty], -1).astype(np.float32)
        return Keypoints(MANO, points, size, _boxes(seen.points), seen.presence, seen.right)

    def find(self, image: NDArray[np.uint8], windows: NDArray | None = None) -> HandLandmarks:
        """As calling, with everything that the network says of each hand."""
        palms = self.palms(image, windows)
        first = self.landmarks(image, frames_of_palms(palms))
        first = first[first.presence > PRESENT]
        seen = self.landmarks(image, frames_of_hands(first.points))
        seen = seen[seen.presence > PRESENT]
        return seen[_distinct(seen)[:MAX_BOXES]]

    def palms(self, image: NDArray[np.uint8], windows: NDArray | None = None) -> NDArray[np.float64]:
        """Palms ``(N,18)`` as :func:`~openhmr.predict.detect.palms.decode` gives them, in pixels of the
        picture, the best first."""
        height, width = image.shape[:2]
        side = float(max(height, width))
        found = [self._look(image, np.array([(width - 1) / 2, (height - 1) / 2, side]), whole=True)]
        if windows is not None:
            found += [self._look(image, window) for window in windows]
        for _ in range(LEVELS if windows is None else 0):
            largest = max(frames_of_palms(palms)[:, 2].max(initial=0) for palms, _ in found)
            if side < 2 * PALM_PATCH or largest > SMALL * side:
                break
            side /= 2
            found += [self._look(image, part) for part in parts(image, side)]
        palms, scores = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
        rows: list[int] = []
        for i in np.argsort(-scores, kind="stable"):
            if not rows or overlap(palms[i], palms[rows]).max() < SAME_PALM:
                rows.append(int(i))
        return palms[rows]

    def _look(
        self, image: NDArray[np.uint8], window: NDArray, whole: bool = False
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Palms and scores in a square, without those that an edge of it cuts off within the picture."""
        outputs = self._run("palm_image", cut(image, window[None], PALM_PATCH), PALM_OUTPUTS)
        palms, scores = decode(outputs["palms"][0], outputs["logits"][0], PALM)
        zoom = window[2] / PALM_PATCH
        palms *= zoom
        palms[:, :2] += window[:2] - window[2] / 2
        palms[:, 4:] += np.tile(window[:2] - window[2] / 2, 7)
        boxes = np.concatenate([palms[:, :2] - palms[:, 2:4] / 2, palms[:, 2:4]], 1)
        kept = np.full(len(palms), True) if whole else inside(boxes, window, EDGE_PX * zoom, image)
        return palms[kept], scores[kept]

    def landmarks(self, image: NDArray[np.uint8], frames: NDArray) -> HandLandmarks:
        """The hands in the turned squares ``frames (N,4)`` (:mod:`~openhmr.predict.detect.hand_frames`)."""
        patches = cut(image, frames[:, :3], HAND_PATCH, -frames[:, 3])
        out = self._run("hand_image", patches, HAND_OUTPUTS)
        points = to_picture(out["points"][..., :2].astype(np.float64), frames)
        world = out["world"].astype(np.float64)
        world[..., :2] = world[..., :2] @ turns(frames[:, 3])
        presence, right = (out[k][:, 0].astype(np.float64) for k in ("presence", "mirrored_left"))
        return HandLandmarks(points, presence, right, world)

    def _run(self, name: str, images: NDArray, outputs: Iterable[str]) -> dict[str, NDArray]:
        """One of the two networks in the file; the other sees no picture."""
        sides = {"palm_image": PALM_PATCH, "hand_image": HAND_PATCH}
        nothing = {k: np.zeros((0, 3, side, side), np.float32) for k, side in sides.items()}
        results = self.session.run([*outputs], {**nothing, name: images})
        return dict(zip(outputs, results, strict=True))


def hand_windows(bodies: Keypoints) -> NDArray[np.float64]:
    """Squares ``(N,3)`` (centre x, y and side in pixels) about the hands of ``bodies`` whose wrist and elbow
    are seen; the joint set needs joints of those names."""
    out = []
    for points in bodies.points:
        seen = points[points[:, 2] > 0, :2]
        for side in "LR":
            wrist, elbow = (points[_index(bodies.joint_set, f"{side}_{n}")] for n in ("Wrist", "Elbow"))
            if min(wrist[2], elbow[2]) > 0:
                forearm = wrist[:2] - elbow[:2]
                least = LEAST_WINDOW * np.ptp(seen, 0).max()
                length = max(FOREARMS * float(np.linalg.norm(forearm)), least)
                out.append([*(wrist[:2] + REACH * forearm), length])
    return np.array(out, np.float64).reshape(-1, 3)


def _index(joint_set: JointSet, name: str) -> int:
    if name not in joint_set.names:
        raise InputError(f"the {joint_set.name} joints have no {name}; give joints with elbows and wrists")
    return joint_set.names.index(name)


def _boxes(points: NDArray) -> NDArray[np.float64]:
    low, high = points.min(1), points.max(1)
    return np.concatenate([low, high - low], 1)


def _distinct(seen: HandLandmarks) -> list[int]:
    """Rows of different hands, the surest first."""
    size = np.sqrt(_boxes(seen.points)[:, 2:].prod(1))
    rows: list[int] = []
    for i in np.argsort(-seen.presence, kind="stable"):
        apart = np.linalg.norm(seen.points[rows] - seen.points[i], axis=-1).mean(-1)
        if not (apart < SAME * np.maximum(size[rows], size[i])).any():
            rows.append(int(i))
    return rows
