"""Pictures without people, of six kinds: places, noise, plain and gradients, text, textures, drawn things."""

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from openhmr.io.images import read_image

Image = NDArray[np.uint8]
SIZE = (480, 640)
WORDS = ("the", "a", "of", "mesh", "open", "picture", "body", "price", "exit", "42", "2026", "sale", "lorem")


def views(folder: Path, count: int, rng: np.random.Generator) -> Iterator[tuple[str, Image]]:
    """Name and ``count`` perspective views of each equirectangular panorama in ``folder``: mostly level, with
    fields of view of 30 to 100 degrees."""
    for path in sorted(folder.glob("*.jpg")):
        panorama = read_image(path)
        for _ in range(count):
            yield path.stem, _view(panorama, rng)


def _view(panorama: Image, rng: np.random.Generator) -> Image:
    height, width = SIZE if rng.random() < 0.7 else SIZE[::-1]
    focal = width / 2 / np.tan(np.radians(rng.uniform(30, 100)) / 2)
    turn, tilt = rng.uniform(0, 2 * np.pi), np.radians(rng.normal(0, 12))
    x, y = np.meshgrid((np.arange(width) - width / 2) / focal, (np.arange(height) - height / 2) / focal)
    up, ahead = -y * np.cos(tilt) + np.sin(tilt), np.cos(tilt) + y * np.sin(tilt)
    east = np.arctan2(x, ahead) + turn
    north = np.arctan2(up, np.hypot(x, ahead))
    rows, columns = panorama.shape[:2]
    u = (east / (2 * np.pi) % 1 * columns).astype(np.float32)
    v = ((0.5 - north / np.pi) * rows).astype(np.float32)
    return np.asarray(cv2.remap(panorama, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP), np.uint8)


def noise(rng: np.random.Generator) -> Image:
    """Noise of one grain, or of several summed as clouds."""
    out = np.zeros((*SIZE, 3))
    for grain in rng.choice([1, 3, 8, 20, 50, 120], rng.integers(1, 4), replace=False):
        small = rng.normal(size=(SIZE[0] // grain + 2, SIZE[1] // grain + 2, 3))
        if rng.random() < 0.4:
            small[:] = small[..., :1]
        out += cv2.resize(small, SIZE[::-1], interpolation=cv2.INTER_CUBIC)
    return _bytes(rng.uniform(40, 215) + rng.uniform(15, 90) * out)


def gradient(rng: np.random.Generator) -> Image:
    """One colour, or a linear or round change from one to another."""
    first, last = rng.uniform(0, 255, (2, 3))
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] / max(SIZE)
    kind = rng.integers(3)
    angle = rng.uniform(0, 2 * np.pi)
    t = np.cos(angle) * x + np.sin(angle) * y if kind else np.zeros(SIZE)
    if kind == 2:
        t = np.hypot(x - rng.uniform(0, 1), y - rng.uniform(0, 0.75))
    t = (t - t.min()) / max(float(np.ptp(t)), 1e-9)
    return _bytes(first + (last - first) * t[..., None])


def text(rng: np.random.Generator) -> Image:
    """Lines of words, small as on a page or large as on a sign."""
    paper, ink = (250, 20) if rng.random() < 0.6 else rng.uniform(0, 255, 2)
    out = np.full((*SIZE, 3), paper, np.uint8)
    scale = float(rng.uniform(0.4, 3.5))
    font = int(rng.choice([0, 1, 2, 3, 4, 5, 6, 7]))
    for y in range(int(30 * scale), SIZE[0], int(36 * scale)):
        line = " ".join(rng.choice(WORDS, 12))
        cv2.putText(out, line, (10, y), font, scale, (float(ink),) * 3, max(1, round(scale)), cv2.LINE_AA)
    return out


def texture(rng: np.random.Generator) -> Image:
    """Stripes, checks, bricks or scattered polygons."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(float)
    angle, period = rng.uniform(0, np.pi), rng.uniform(6, 120)
    u, v = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    first, last = rng.uniform(0, 255, (2, 3))
    kind = rng.integers(4)
    if kind == 3:
        out = _bytes(np.broadcast_to(first, (*SIZE, 3)))
        for _ in range(rng.integers(10, 150)):
            corners = rng.uniform(0, max(SIZE), 2) + rng.normal(0, period, (rng.integers(3, 7), 2))
            cv2.fillPoly(out, [corners.astype(np.int32)], rng.uniform(0, 255, 3).tolist())
        return out
    on = np.sin(2 * np.pi * u / period) > 0
    if kind == 1:
        on ^= np.sin(2 * np.pi * v / period) > 0
    if kind == 2:
        row = np.floor(v / period)
        on = (v % period < 0.1 * period) | ((u + row % 2 * period) % (2 * period) < 0.1 * period)
    return _bytes(np.where(on[..., None], first, last) + rng.normal(0, rng.uniform(0, 25), (*SIZE, 3)))


def thing(rng: np.random.Generator) -> Image:
    """An upright drawn thing before a soft ground: tree, four-legged animal, bottle, house, chair or lamp."""
    out = gradient(rng)
    colour, other = (rng.uniform(0, 255, 3).tolist() for _ in range(2))
    size, x, y = rng.uniform(80, 190), rng.uniform(200, 440), rng.uniform(180, 300)

    def box(left: float, top: float, right: float, bottom: float, fill: list[float] = colour) -> None:
        low, high = (x + left * size, y + top * size), (x + right * size, y + bottom * size)
        cv2.rectangle(out, tuple(map(int, low)), tuple(map(int, high)), fill, -1)

    def ellipse(cx: float, cy: float, rx: float, ry: float, fill: list[float] = colour) -> None:
        centre, axes = (int(x + cx * size), int(y + cy * size)), (int(rx * size), int(ry * size))
        cv2.ellipse(out, centre, axes, 0, 0, 360, fill, -1, cv2.LINE_AA)

    kind = rng.integers(6)
    if kind == 0:
        box(-0.1, 0, 0.1, 1.1, other)
        for _ in range(8):
            ellipse(*rng.normal(0, 0.3, 2) - [0, 0.4], *rng.uniform(0.2, 0.45, 2))
    elif kind == 1:
        ellipse(0, 0, 0.9, 0.4)
        ellipse(-0.95, -0.4, 0.3, 0.28)
        for leg in (-0.7, -0.45, 0.45, 0.7):
            box(leg - 0.08, 0.2, leg + 0.08, 1.0)
        ellipse(1.1, -0.2, 0.35, 0.08)
    elif kind == 2:
        box(-0.3, -0.3, 0.3, 1.1)
        ellipse(0, -0.3, 0.3, 0.3)
        box(-0.1, -1.0, 0.1, -0.4)
        box(-0.3, 0.1, 0.3, 0.6, other)
    elif kind == 3:
        box(-0.8, -0.2, 0.8, 1.1)
        for window in (-0.5, 0.1):
            box(window, 0.1, window + 0.4, 0.5, other)
    elif kind == 4:
        box(-0.5, -1, -0.35, 1.1)
        box(-0.5, 0, 0.5, 0.15)
        box(0.35, 0, 0.5, 1.1)
    else:
        box(-0.05, -0.6, 0.05, 1.1)
        ellipse(0, -0.8, 0.5, 0.3, other)
        ellipse(0, 1.1, 0.4, 0.1)
    return _bytes(out + rng.normal(0, rng.uniform(0, 20), out.shape))


KINDS: dict[str, Callable[[np.random.Generator], Image]] = {
    "noise": noise,
    "plain, gradient": gradient,
    "text": text,
    "texture": texture,
    "drawn thing": thing,
}


def _bytes(values: NDArray) -> Image:
    return np.clip(values, 0, 255).astype(np.uint8)
