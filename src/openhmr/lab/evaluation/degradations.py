"""Pictures of people with known 3D joints, made worse on purpose, the truth with them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from openhmr.camera import Camera
from openhmr.joints import COCO

BASE_PX = 400
"""Longer side of the person's box in pictures that are not shrunk further: in larger ones, JPEG and noise
average out before any network sees them."""


@dataclass(frozen=True, eq=False)
class Shot:
    """A picture of one person whose joints are known: ``image (H,W,3)`` RGB uint8 without lens distortion,
    its ``camera``, ``joints_m (19,3)`` in metres and camera axes, COCO joints, of which ``valid (19,)`` are
    known, and the person's ``box (4,)`` x, y, width, height in pixels, which the networks get only if
    ``box_given``."""

    image: NDArray[np.uint8]
    camera: Camera
    joints_m: NDArray[np.float64]
    valid: NDArray[np.bool_]
    box: NDArray[np.float64]
    box_given: bool = False

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Which joints ``(19,)`` lie in the picture."""
        height, width = self.camera.image_size
        xy = self.camera.project(self.joints_m)
        return np.asarray(((xy > -0.5) & (xy < np.array([width, height]) - 0.5)).all(-1))

    @property
    def size_px(self) -> float:
        """The longer side of the box."""
        return float(self.box[2:].max())


def shrunk(shot: Shot, size_px: float, rng: np.random.Generator | None = None) -> Shot:
    """The picture resized such that the person's longer side is about ``size_px``: each side of the picture
    has whole pixels, which the camera's focal lengths follow."""
    height, width = shot.camera.image_size
    factor = size_px / shot.size_px
    new = np.maximum(np.rint(np.array([width, height]) * factor), 1).astype(int)
    zoom = new / np.array([width, height])
    # A pixel's centre moves as its place between the picture's edges does: x + 0.5 is scaled.
    affine = np.array([[zoom[0], 0, zoom[0] / 2 - 0.5], [0, zoom[1], zoom[1] / 2 - 0.5], [0, 0, 1]])
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    image = np.asarray(cv2.resize(shot.image, new.tolist(), interpolation=how), np.uint8)
    low = (shot.box[:2] + 0.5) * zoom - 0.5
    camera = Camera(affine @ shot.camera.K, (int(new[1]), int(new[0])))
    return replace(shot, image=image, camera=camera, box=np.concatenate([low, shot.box[2:] * zoom]))


def cropped(shot: Shot, low: NDArray, high: NDArray) -> Shot:
    """The part of the picture from pixel ``low (2,)`` x, y up to but without ``high (2,)``, as far as there
    is one: the principal point moves, the person stays where they are."""
    height, width = shot.camera.image_size
    low = np.clip(np.floor(low).astype(int), 0, [width - 1, height - 1])
    high = np.clip(np.ceil(high).astype(int), low + 1, [width, height])
    K = shot.camera.K - np.array([[0, 0, low[0]], [0, 0, low[1]], [0, 0, 0]])
    corner = np.clip(shot.box[:2] - low, -0.5, high - low - 0.5)
    end = np.clip(shot.box[:2] + shot.box[2:] - low, -0.5, high - low - 0.5)
    return replace(
        shot,
        image=np.ascontiguousarray(shot.image[low[1] : high[1], low[0] : high[0]]),
        camera=Camera(K, (int(high[1] - low[1]), int(high[0] - low[0]))),
        box=np.concatenate([corner, np.maximum(end - corner, 1)]),
    )


def rotated(shot: Shot, degrees: float, rng: np.random.Generator | None = None) -> Shot:
    """What the camera sees when it is rolled: the picture turns clockwise about its principal point, and the
    truth with it. All of the picture stays; its edges are drawn out to fill the corners."""
    angle = np.deg2rad(degrees)
    roll = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    (height, width), focal = shot.camera.image_size, float(shot.camera.focal_px.mean())
    turn = np.diag([focal, focal, 1]) @ roll @ np.linalg.inv(shot.camera.K)
    corners = _corners(np.array([-0.5, -0.5]), np.array([width, height]) - 0.5) @ turn[:2, :2].T + turn[:2, 2]
    low, high = corners.min(0), corners.max(0)
    size = np.maximum(np.rint(high - low), 1).astype(int)
    shift = np.array([[1, 0, -low[0] - 0.5], [0, 1, -low[1] - 0.5], [0, 0, 1]])
    affine = shift @ turn
    image = cv2.warpAffine(
        shot.image, affine[:2], size.tolist(), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    box = _corners(shot.box[:2], shot.box[:2] + shot.box[2:]) @ affine[:2, :2].T + affine[:2, 2]
    return replace(
        shot,
        image=np.asarray(image, np.uint8),
        camera=Camera(shift @ np.diag([focal, focal, 1]), (int(size[1]), int(size[0]))),
        joints_m=shot.joints_m @ roll.T,
        box=np.concatenate([box.min(0), np.ptp(box, axis=0)]),
    )


def _corners(low: NDArray, high: NDArray) -> NDArray:
    return np.array([[low[0], low[1]], [high[0], low[1]], [low[0], high[1]], [high[0], high[1]]])


CUTS = {"knees": ("L_Knee", "R_Knee"), "hips": ("L_Hip", "R_Hip"), "chest": ("Neck", "Pelvis")}


def cut_below(shot: Shot, where: str, rng: np.random.Generator | None = None) -> Shot:
    """The picture ends at the person's knees, hips or chest (half-way from hips to shoulders), whichever of
    the two is lower in the picture; for the chest the middle."""
    heights = shot.camera.project(shot.joints_m[[COCO.names.index(n) for n in CUTS[where]]])[:, 1]
    end = heights.mean() if where == "chest" else heights.max()
    return cropped(shot, np.zeros(2), np.array([shot.camera.image_size[1], np.rint(end) + 1]))


def box_moved(shot: Shot, percent: float, rng: np.random.Generator) -> Shot:
    """The box is given, each of its edges moved by up to ``percent`` of its own side, out or in."""
    edges = rng.uniform(-1, 1, (2, 2)) * percent / 100 * shot.box[2:]
    low, high = shot.box[:2] + edges[0], shot.box[:2] + shot.box[2:] + edges[1]
    return replace(shot, box=np.concatenate([low, high - low]), box_given=True)


def hidden(shot: Shot, percent: float, rng: np.random.Generator) -> Shot:
    """A plain patch of a random colour, in the box's proportions and ``percent`` of its area, somewhere in
    it."""
    place, colour = rng.random(2), rng.integers(0, 256, 3)
    size = shot.box[2:] * np.sqrt(percent / 100)
    low = shot.box[:2] + place * (shot.box[2:] - size)
    first, last = np.maximum(np.rint(low).astype(int), 0), np.maximum(np.rint(low + size).astype(int), 0)
    image = shot.image.copy()
    image[first[1] : last[1], first[0] : last[0]] = colour
    return replace(shot, image=image)


def jpeg(shot: Shot, quality: float, rng: np.random.Generator) -> Shot:
    """Written as JPEG of this quality and read again."""
    _, data = cv2.imencode(".jpg", shot.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    read = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return replace(shot, image=np.ascontiguousarray(read[..., ::-1]))


def noisy(shot: Shot, percent: float, rng: np.random.Generator) -> Shot:
    """Normal noise in each pixel and colour, its deviation in per cent of white."""
    noise = rng.standard_normal(shot.image.shape, np.float32) * np.float32(2.55 * percent)
    return replace(shot, image=np.clip(np.rint(shot.image + noise), 0, 255).astype(np.uint8))


def grey(shot: Shot, strength: object, rng: np.random.Generator) -> Shot:
    """Without colours."""
    lightness = cv2.cvtColor(shot.image, cv2.COLOR_RGB2GRAY)
    return replace(shot, image=np.repeat(lightness[..., None], 3, axis=2))


@dataclass(frozen=True)
class Sweep:
    """One degradation in its ``strengths``; ``untouched`` names the picture as it was, which begins the
    sweep, or is None if the sweep has no use for it. ``title`` has the unit."""

    title: str
    untouched: str | None
    strengths: tuple[Any, ...]
    degrade: Callable[[Shot, Any, np.random.Generator], Shot]


SWEEPS: Mapping[str, Sweep] = {
    "box": Sweep("edges of the given box moved by up to, % of its side", None, (0, 10, 20, 30), box_moved),
    "scale": Sweep("longer side of the person, px", str(BASE_PX), (200, 100, 60, 40), shrunk),
    "rotation": Sweep("picture turned by, degrees", "0", (20, 45, 90, 135, 180), rotated),
    "cut": Sweep("picture ends at", "whole", tuple(CUTS), cut_below),
    "occlusion": Sweep("patch over the person, % of the box", "0", (10, 20, 40), hidden),
    "jpeg": Sweep("JPEG quality", "raw", (30, 10, 5), jpeg),
    "noise": Sweep("noise, % of white", "0", (5, 10, 20), noisy),
    "grey": Sweep("colours", "all", ("none",), grey),
}
