"""Textures of a humans pack, and patterns and logos drawn by ourselves."""

from pathlib import Path

import cv2
import numpy as np

from openhmr.errors import InputError
from openhmr.io.images import read_image
from openhmr.lab.synth.outfits import LOGOS, PATTERNS
from openhmr.lab.synth.wardrobe import Item

RELIEF = 0.5
PLAIN = 170
"""sRGB level of an item without a texture of its own."""


def texture_names(humans: Path) -> dict[str, list[str]]:
    """Names of the textures that do not belong to one item: skins and eye colours."""
    skins = sorted(p.stem for p in (humans / "skins").glob("*.jpg"))
    if not skins:
        raise InputError(f"{humans} has no skins/*.jpg; give the folder of a humans pack")
    return {"skins": skins, "eyes": sorted(p.stem for p in (humans / "eyes").glob("*.png"))}


def read_rgba(path: Path, side: int) -> np.ndarray:
    """A texture ``(side,side,4)`` uint8, first row at v = 0 (OpenGL's order)."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 3:
        raise InputError(f"{path} is not a readable colour texture; restore it from the humans pack")
    image = cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA if image.shape[2] == 4 else cv2.COLOR_BGR2RGBA)
    return np.ascontiguousarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)[::-1])


def item_texture(humans: Path, name: str, side: int) -> np.ndarray:
    """Diffuse times ambient occlusion and relief of item ``folder/name``; plain where the pack has no diffuse
    texture."""
    paths = [humans / f"{name}_diffuse{ending}" for ending in (".jpg", ".png")]
    found = [p for p in paths if p.is_file()]
    out = (
        read_rgba(found[0], side) if found else np.full((side, side, 4), [PLAIN, PLAIN, PLAIN, 255], np.uint8)
    )
    occlusion = humans / f"{name}_ao.jpg"
    if occlusion.is_file():
        shade = cv2.resize(read_image(occlusion), (side, side), interpolation=cv2.INTER_AREA)[::-1]
        out[..., :3] = (out[..., :3].astype(np.uint16) * shade // 255).astype(np.uint8)
    relief = humans / f"{name}_normal.jpg"
    if relief.is_file():
        normal = (
            cv2.resize(read_image(relief), (side, side), interpolation=cv2.INTER_AREA)[::-1].astype(
                np.float32
            )
            / 127.5
            - 1
        )
        # Folds as light from above shows them: v points up on nearly every panel, so no tangents are needed
        # (ours).
        shade = np.clip(0.55 + 0.45 * normal[..., 2] + RELIEF * normal[..., 1], 0.3, 1.4)
        out[..., :3] = np.clip(out[..., :3] * shade[..., None], 0, 255).astype(np.uint8)
    return out


def part_levels(texture: np.ndarray, item: Item) -> tuple[float, float]:
    """Mean linear luminance of the texture beneath the lower and the upper part of an item."""
    side = len(texture)
    at = (np.clip(item.uv, 0, 1 - 1e-6) * side).astype(int)
    values = (texture[at[:, 1], at[:, 0], :3].astype(np.float32) / 255) ** 2.2 @ np.array(
        [0.2126, 0.7152, 0.0722], np.float32
    )
    lower, upper = values[item.upper < 0.5], values[item.upper > 0.5]
    both = float(max(values.mean(), 0.01))
    return max(float(lower.mean()), 0.01) if len(lower) else both, max(float(upper.mean()), 0.01) if len(
        upper
    ) else both


def creases(x: np.ndarray, y: np.ndarray, bend: np.ndarray) -> np.ndarray:
    """Irregular folds 0..1 that repeat at the border: bent waves, sharp on one side."""
    phase = 2 * np.pi * (2 * x + 3 * y) + 2.2 * bend
    return np.asarray(0.5 + 0.3 * np.sin(phase) + 0.2 * np.sin(2 * np.pi * (3 * x - y) + 1.7 * bend + 1))


def draw_patterns(side: int = 128, seed: int = 5) -> np.ndarray:
    """``(PATTERNS + 1,side,side)`` uint8 tiles: stripes, checks, dots, camouflage, grain; the last one holds
    creases."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side

    def wave(t, n):
        return 0.5 + 0.5 * np.sin(2 * np.pi * n * t)

    def blotches(size: float) -> np.ndarray:
        spectrum = np.fft.fft2(rng.normal(size=(side, side)))
        f = np.hypot(*np.meshgrid(np.fft.fftfreq(side) * side, np.fft.fftfreq(side) * side))
        smooth = np.fft.ifft2(spectrum * np.exp(-((f / size) ** 2))).real
        return np.asarray(smooth / smooth.std())

    tiles = [
        wave(y, 1) > 0.5,
        wave(y, 2) > 0.85,
        wave(x, 2) > 0.5,
        np.maximum(wave(x, 2) > 0.8, wave(y, 2) > 0.8),
        (wave(x, 2) > 0.5) ^ (wave(y, 2) > 0.5),
        0.5 * (wave(x, 2) > 0.6) + 0.5 * (wave(y, 2) > 0.6),
        np.hypot(x % 0.25 - 0.125, y % 0.25 - 0.125) < 0.07,
        blotches(4) > 0.2,
        blotches(10) > 0.6,
        np.clip(0.5 + 0.3 * blotches(30), 0, 1),
        wave(y, 1),
        (y % 0.5) < 0.06,
        creases(x, y, blotches(5)),
    ]
    assert len(tiles) == PATTERNS + 1
    return np.stack([np.clip(255 * np.asarray(t, np.float32), 0, 255).astype(np.uint8) for t in tiles])


def draw_logos(side: int = 96, seed: int = 6) -> np.ndarray:
    """``(LOGOS,side,side,4)`` uint8: numbers, letters, rings and bars on a transparent ground, first row at
    the bottom."""
    rng = np.random.default_rng(seed)
    out = []
    for k in range(LOGOS):
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        image = np.zeros((side, side, 4), np.uint8)
        image[..., :3] = colour
        mask = np.zeros((side, side), np.uint8)
        if k % 4 == 0:
            cv2.circle(
                mask,
                (side // 2, side // 2),
                int(rng.integers(20, 44)),
                255,
                int(rng.choice([-1, 6, 12])),
                cv2.LINE_AA,
            )
        elif k % 4 == 1:
            for row in range(0, side, 24):
                cv2.rectangle(mask, (8, row + 6), (side - 8, row + int(rng.integers(9, 20))), 255, -1)
        else:
            text = "".join(rng.choice(list("ABCEHKMNORSTUXZ0123456789"), int(rng.integers(1, 4))))
            (w, h), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, 1.0, 2)
            scale = 0.85 * side / max(w, h)
            cv2.putText(
                mask,
                text,
                (int(side - w * scale) // 2, int(side + h * scale) // 2),
                cv2.FONT_HERSHEY_DUPLEX,
                scale,
                255,
                max(2, int(2 * scale)),
                cv2.LINE_AA,
            )
        image[..., 3] = mask
        out.append(image[::-1])
    return np.stack(out)
