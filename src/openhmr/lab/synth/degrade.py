"""What stands between a rendered scene and a photo: clutter, occluders, lens, sensor, file. Pictures float32
(H,W,3), 0..255."""

from collections.abc import Sequence

import cv2
import numpy as np

from openhmr.lab.synth.light import Place


def texture_crop(rng: np.random.Generator, places: Sequence[Place], width: int, height: int) -> np.ndarray:
    """A piece ``(height,width,3)`` float32 of some panorama, or a plain or striped surface."""
    kind = rng.random()
    if kind < 0.65:
        panorama = places[int(rng.integers(len(places)))].panorama
        side = min(int(rng.integers(24, 160)), panorama.shape[0] // 2)
        y, x = rng.integers(0, panorama.shape[0] - side), rng.integers(0, panorama.shape[1] - side)
        return cv2.resize(
            panorama[y : y + side, x : x + side], (width, height), interpolation=cv2.INTER_LINEAR
        ).astype(np.float32)
    colour = rng.uniform(10, 245, 3).astype(np.float32)
    surface = np.broadcast_to(colour, (height, width, 3)).copy()
    if kind > 0.85:
        period, other = rng.uniform(3, 20), rng.uniform(10, 245, 3).astype(np.float32)
        y, x = np.mgrid[:height, :width]
        angle = rng.uniform(0, np.pi)
        surface[np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period) > 0] = other
    return (
        surface
        * np.linspace(rng.uniform(0.6, 1), rng.uniform(0.6, 1), height, dtype=np.float32)[:, None, None]
    )


def blob_mask(rng: np.random.Generator, size: int, x: float, y: float, w: float, h: float) -> np.ndarray:
    """Cover ``(size,size)`` 0..1 of a random shape about ``w`` x ``h`` px around ``x, y``: box, ellipse, leaf
    cluster or polygon."""
    mask = np.zeros((size, size), np.uint8)
    kind, angle = rng.integers(4), float(rng.normal(0, 15))
    if kind == 0:
        corners = cv2.boxPoints(((x, y), (w, h), angle))
        cv2.fillPoly(mask, [np.round(corners * 8).astype(np.int32)], 255, cv2.LINE_AA, 3)
    elif kind == 1:
        cv2.ellipse(mask, ((x, y), (w, h), angle), 255, -1, cv2.LINE_AA)
    elif kind == 2:
        for _ in range(int(rng.integers(12, 40))):
            at = (x + rng.normal(0, w / 4), y + rng.normal(0, h / 4))
            leaf = rng.uniform(0.08, 0.25) * min(w, h)
            cv2.ellipse(mask, (at, (leaf, leaf * 2.5), float(rng.uniform(0, 180))), 255, -1, cv2.LINE_AA)
    else:
        angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(4, 9))))
        radius = rng.uniform(0.5, 1.0, len(angles))
        points = np.stack([x + radius * np.cos(angles) * w / 2, y + radius * np.sin(angles) * h / 2], 1)
        cv2.fillPoly(mask, [np.round(points * 8).astype(np.int32)], 255, cv2.LINE_AA, 3)
    return mask.astype(np.float32) / 255


def add_object(
    rng: np.random.Generator,
    image: np.ndarray,
    places: Sequence[Place],
    box: tuple[float, float, float, float],
) -> np.ndarray:
    """Paint a random object around ``box`` (centre x, y, width, height px) into ``image``; returns its cover
    ``(H,W)``."""
    size = len(image)
    x, y, w, h = box
    mask = blob_mask(rng, size, x, y, w, h)
    low = np.clip([x - w, y - h], 0, size - 2).astype(int)
    high = np.clip([x + w, y + h], low + 2, size).astype(int)
    part = np.s_[low[1] : high[1], low[0] : high[0]]
    mask[: low[1]] = mask[high[1] :] = 0
    mask[:, : low[0]] = mask[:, high[0] :] = 0
    cover = mask[part][..., None]
    surface = texture_crop(rng, places, high[0] - low[0], high[1] - low[1])
    image[part] = image[part] * (1 - cover) + surface * cover
    return mask


def clutter(rng: np.random.Generator, image: np.ndarray, places: Sequence[Place]) -> None:
    """One to six objects anywhere, for the background."""
    size = len(image)
    for _ in range(int(rng.integers(1, 7))):
        w, h = np.exp(rng.uniform(np.log(0.08), np.log(0.5), 2)) * size
        add_object(rng, image, places, (rng.uniform(0, size), rng.uniform(0, size), w, h))


def occlude(
    rng: np.random.Generator, image: np.ndarray, places: Sequence[Place], box: np.ndarray
) -> np.ndarray:
    """One or two objects before the person of ``box`` (x, y, w, h px), a fifth of it or so each; returns the
    cover ``(H,W)``."""
    cover = np.zeros(image.shape[:2], np.float32)
    side = float(max(box[2:]))
    for _ in range(1 + int(rng.random() < 0.3)):
        x, y = box[:2] + rng.uniform(-0.05, 1.05, 2) * box[2:]
        kind = rng.random()
        w, h = rng.uniform(0.12, 0.42, 2) * side
        if kind < 0.25:  # a post
            w, h = rng.uniform(0.04, 0.14) * side, 3 * side
        elif kind < 0.5:  # a table, a wall, a hedge before the legs
            w, h, y = 3 * side, 0.6 * side, box[1] + box[3] * rng.uniform(0.75, 1.0) + 0.3 * side
        cover = np.maximum(cover, add_object(rng, image, places, (x, y, w, h)))
    return cover


def motion_blur(image: np.ndarray, length: float, angle: float) -> np.ndarray:
    reach = int(np.ceil(length))
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    dx, dy = np.cos(angle) * length / 2, np.sin(angle) * length / 2
    ends = [(round((reach + s * dx) * 16), round((reach + s * dy) * 16)) for s in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0, 1, cv2.LINE_8, 4)
    return cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT)


def photograph(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Lens, exposure, colour and sensor noise: float32 to uint8."""
    if rng.random() < 0.12:
        image = motion_blur(image, rng.uniform(2, 8), rng.uniform(0, np.pi))
    if rng.random() < 0.25:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.6))
    if rng.random() < 0.08:
        factor = rng.uniform(0.4, 0.8)
        size = image.shape[1::-1]
        image = cv2.resize(cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), size)
    image = np.clip(image, 0, 255) / 255
    image = image ** np.float32(np.exp(rng.normal(0, 0.18))) * np.float32(np.exp(rng.normal(0, 0.15)))
    image = image * np.exp(rng.normal(0, 0.06, 3)).astype(np.float32)
    if rng.random() < 0.6:
        grey = image.mean(2, keepdims=True)
        image = grey + (image - grey) * np.float32(rng.uniform(0.5, 1.4) if rng.random() > 0.05 else 0.0)
    if rng.random() < 0.5:
        image = image + rng.standard_normal(image.shape, np.float32) * np.float32(rng.uniform(0.003, 0.035))
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
