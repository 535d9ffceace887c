"""How crops of rendered pictures vary in training, so that photos do not surprise the network."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import cv2
import numpy as np

from openhmr.predict.person_crop import ENLARGE, PATCH

Patch = np.ndarray
"""``(256,256,3)`` uint8, RGB."""


@dataclass(frozen=True)
class Augmentation:
    """How crops vary. ``scale``, ``rotation_deg`` (with ``rotation_share``), ``colour`` and ``flip`` as in
    the original, the rotation smaller since photos are upright; the others are ours, for photos. Numbers
    from 0 to 1 whose meaning is not said are shares of the crops."""

    scale: float = 0.25
    rotation_deg: float = 20.0
    rotation_share: float = 0.6
    turned: float = 0.1
    """Turned by any angle: people who lie or stand on their hands, pictures on their side."""
    shift: float = 0.08
    colour: float = 0.2
    contrast: float = 0.25
    flip: bool = True
    clip_box: float = 0.7
    """Share of crops made from the box's part inside the picture, as a detector would give it."""
    cut_off: float = 0.2
    """The picture ends within the person: legs, head or one side are missing."""
    erase: float = 0.3
    face: float = 0.1
    """The face is blurred or covered."""
    light: float = 0.15
    """Harsh light: overexposed, or nearly dark."""
    blur: float = 0.15
    motion_blur: float = 0.08
    small: float = 0.15
    """As small in the picture as 25 to 120 pixels."""
    noise: float = 0.2
    jpeg: float = 0.15
    """Compressed hard."""
    grey: float = 0.05


NONE = replace(
    Augmentation(**{f.name: 0 for f in fields(Augmentation)}),  # type: ignore[arg-type]
    flip=False,
    clip_box=1.0,
)


def cut_off(image: np.ndarray, box: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The picture with one side of the person's ``box`` x, y, width, height cut off, mostly below, and what
    is left of it, x1, y1, x2, y2. What is cut off turns black, as everything outside of a picture is in
    crops."""
    x, y, w, h = box
    height, width = image.shape[:2]
    left = np.array([0.0, 0.0, width - 1, height - 1])
    side = rng.choice(4, p=[0.12, 0.1, 0.12, 0.66])  # left, above, right, below
    kept = rng.uniform(0.3, 0.9) if side == 3 else rng.uniform(0.5, 0.9)
    low, size = (x, w) if side % 2 == 0 else (y, h)
    left[side] = np.rint(low + size * (kept if side >= 2 else 1 - kept))
    x1, y1, x2, y2 = np.clip(left, 0, [width - 1, height - 1] * 2).astype(int)
    out = np.zeros_like(image)
    out[y1 : y2 + 1, x1 : x2 + 1] = image[y1 : y2 + 1, x1 : x2 + 1]
    return out, np.array([x1, y1, x2, y2])


def degrade(patch: Patch, face: np.ndarray, a: Augmentation, rng: np.random.Generator) -> Patch:
    """The patch made worse in as many ways as chance wants; ``face (5,2)`` are nose, eyes and ears in it."""
    if a.colour or a.contrast:
        gain = rng.uniform(1 - a.colour, 1 + a.colour, 3) * rng.uniform(1 - a.contrast, 1 + a.contrast)
        patch = _tones(patch, lambda x: x * gain + 128 * a.contrast * rng.uniform(-0.6, 0.6))
    if rng.random() < a.light:
        patch = _harsh_light(patch, rng)
    if rng.random() < a.grey:
        patch = np.repeat(cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)
    if rng.random() < a.face:
        patch = _hide_face(patch, face, rng)
    if rng.random() < a.erase:
        patch = _erase(patch, rng)
    if rng.random() < a.blur:
        patch = cv2.GaussianBlur(patch, (0, 0), rng.uniform(0.5, 2.0))
    if rng.random() < a.motion_blur:
        patch = _move(patch, rng)
    if rng.random() < a.small:
        side = max(8, round(rng.uniform(25, 120) * ENLARGE))
        reduced = cv2.resize(patch, (side, side), interpolation=cv2.INTER_AREA)
        patch = cv2.resize(_compress(reduced, 50, rng), (PATCH, PATCH), interpolation=cv2.INTER_LINEAR)
    if rng.random() < a.noise:
        grain = rng.standard_normal((PATCH, PATCH), dtype=np.float32)[..., None]
        patch = np.clip(patch + grain * np.float32(rng.uniform(3, 14)), 0, 255).astype(np.uint8)
    if rng.random() < a.jpeg:
        patch = _compress(patch, 8, rng)
    return patch


def _tones(patch: Patch, curve: Callable[[np.ndarray], np.ndarray]) -> Patch:
    """Every channel through ``curve (256,1) -> (256,1 or 3)``."""
    table = np.broadcast_to(curve(np.arange(256.0)[:, None]), (256, 3))
    return cv2.LUT(patch, np.clip(table, 0, 255).astype(np.uint8).reshape(256, 1, 3))


def _harsh_light(patch: Patch, rng: np.random.Generator) -> Patch:
    """Too bright, too dark, or, half of the time, so on one side of an edge across the patch only."""
    gain, bend = (rng.uniform(1.3, 1.9), 1.0) if rng.random() < 0.5 else (rng.uniform(0.2, 0.7), 1.4)
    lit = _tones(patch, lambda x: 255 * gain * (x / 255) ** bend)
    if rng.random() < 0.5:
        return lit
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:PATCH, :PATCH] - PATCH / 2
    beyond = x * np.cos(angle) + y * np.sin(angle) > rng.uniform(-60, 60)
    return np.where(beyond[..., None], lit, patch)


def _hide_face(patch: Patch, face: np.ndarray, rng: np.random.Generator) -> Patch:
    """The face blurred, in coarse pixels, or under one colour."""
    middle, radius = face.mean(0), max(float(np.ptp(face, axis=0).max()) * 0.75, 6.0)
    low = np.maximum(np.floor(middle - radius), 0).astype(int)
    high = np.minimum(np.ceil(middle + 1.3 * radius), PATCH).astype(int)
    if (high - low).min() < 4 or radius > PATCH:
        return patch
    at = np.s_[low[1] : high[1], low[0] : high[0]]
    patch, kind = patch.copy(), rng.integers(3)
    if kind == 0:
        patch[at] = cv2.GaussianBlur(patch[at], (0, 0), radius * 0.4)
    elif kind == 1:
        few = cv2.resize(patch[at], (3, 3), interpolation=cv2.INTER_AREA)
        size = (int(high[0] - low[0]), int(high[1] - low[1]))
        patch[at] = cv2.resize(few, size, interpolation=cv2.INTER_NEAREST)
    else:
        patch[at] = rng.integers(0, 256, 3)
    return patch


def _erase(patch: Patch, rng: np.random.Generator) -> Patch:
    """One or two rectangles covered, half of them with a piece of the patch from elsewhere, half with one
    colour."""
    patch = patch.copy()
    for _ in range(rng.integers(1, 3)):
        w, h = rng.integers(20, 140, 2)
        x, y = rng.integers(-20, PATCH - 20, 2)
        at = np.s_[max(y, 0) : y + h, max(x, 0) : x + w]
        patch[at] = (
            np.roll(patch, tuple(rng.integers(40, 216, 2)), (0, 1))[at]
            if rng.random() < 0.5
            else rng.integers(0, 256, 3)
        )
    return patch


def _move(patch: Patch, rng: np.random.Generator) -> Patch:
    """Blurred along a line of 4 to 16 pixels."""
    length, angle = int(rng.integers(4, 17)), rng.uniform(0, np.pi)
    kernel = np.zeros((17, 17), np.float32)
    end = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    first, last = np.rint(8 - end).astype(int), np.rint(8 + end).astype(int)
    cv2.line(kernel, first.tolist(), last.tolist(), 1.0)
    return cv2.filter2D(patch, -1, kernel / kernel.sum())


def _compress(patch: Patch, least: int, rng: np.random.Generator) -> Patch:
    """As JPEG of a quality from ``least`` to ``least`` + 40."""
    quality = int(rng.integers(least, least + 41))
    _, data = cv2.imencode(".jpg", patch, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
