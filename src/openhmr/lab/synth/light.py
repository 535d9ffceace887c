"""Places and their light: a panorama to look at, and its linear twin as spherical harmonics and one key
light.

World axes: Y up, the ground at y = 0. A panorama's column is the azimuth, growing clockwise seen from above:
direction ``(sin t cos p, cos t, sin t sin p)`` for row angle ``t`` from up and column angle ``p``.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from openhmr.errors import InputError
from openhmr.io.arrays import read_npz
from openhmr.io.images import read_image

LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
SKIES = ("aristea_wreck_puresky", "sky")
"""Panoramas without ground: light only."""
VALIDATION_PLACES = ("autoshop_01", "chinese_garden", "st_fagans_interior", "venice")
TEST_PLACES = ("hilly_terrain_01", "lab", "leadenhall_market", "potsdamer_platz", "rooitou_park", "vestibule")
KEY_RADIUS_DEG = 14.0
GREY = 0.3
"""Albedo of the object whose picture shall be as bright as the panorama."""


@dataclass(frozen=True)
class Place:
    """``panorama (H,W,3)`` uint8 sRGB; ``harmonics (9,3)`` give reflected light of a white surface from its
    normal; ``key_direction (3,)`` towards the key light and its ``key_colour (3,)``; all light is scaled to
    display units."""

    name: str
    panorama: np.ndarray
    harmonics: np.ndarray
    key_direction: np.ndarray
    key_colour: np.ndarray


def harmonic_basis(n: np.ndarray) -> np.ndarray:
    """The nine real spherical harmonics up to order two of unit vectors ``(...,3)``: ``(...,9)``."""
    x, y, z = np.moveaxis(n, -1, 0)
    one = np.ones_like(x)
    return np.stack(
        [
            0.282095 * one,
            0.488603 * y,
            0.488603 * z,
            0.488603 * x,
            1.092548 * x * y,
            1.092548 * y * z,
            0.315392 * (3 * z * z - 1),
            1.092548 * x * z,
            0.546274 * (x * x - y * y),
        ],
        -1,
    )


COSINE_LOBE = np.array([1, *[2 / 3] * 3, *[1 / 4] * 5])
"""Each harmonic's share under a cosine lobe, divided by pi (Ramamoorthi & Hanrahan 2001)."""


def grid_directions(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Directions ``(H,W,3)`` of an equirectangular grid and each cell's solid angle ``(H,W)``."""
    t = (np.arange(height) + 0.5) / height * np.pi
    p = (np.arange(width) + 0.5) / width * 2 * np.pi
    t, p = np.meshgrid(t, p, indexing="ij")
    directions = np.stack([np.sin(t) * np.cos(p), np.cos(t), np.sin(t) * np.sin(p)], -1)
    return directions, np.sin(t) * (np.pi / height) * (2 * np.pi / width)


def analyse(linear: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Linear radiance ``(H,W,3)`` -> harmonics ``(9,3)`` without the key light, its direction and colour
    (reflected, facing it).

    The key light is what exceeds the surrounding level within 14 degrees of the brightest cell above the
    horizon.
    """
    directions, solid = grid_directions(*linear.shape[:2])
    bright = linear @ LUMINANCE
    above = np.where(directions[..., 1] > 0.1, bright, 0)
    peak = directions.reshape(-1, 3)[np.argmax(above)]
    near = directions @ peak > np.cos(np.radians(KEY_RADIUS_DEG))
    level = np.median(linear[(directions @ peak > np.cos(np.radians(3 * KEY_RADIUS_DEG))) & ~near], axis=0)
    excess = np.where(near[..., None], np.maximum(linear - level, 0), 0)
    power = excess * solid[..., None]
    direction = np.einsum("hwc,hwk->k", power, directions)
    direction = direction / max(np.linalg.norm(direction), 1e-9) if power.sum() > 0 else np.array([0.0, 1, 0])
    rest = (linear - excess) * solid[..., None]
    harmonics = np.einsum("hwk,hwc->kc", harmonic_basis(directions), rest) * COSINE_LOBE[:, None]
    return harmonics, direction, power.sum((0, 1)) / np.pi


def make_place(name: str, panorama: np.ndarray, linear: np.ndarray) -> Place:
    """Light analysed and scaled so that a grey object looks about as bright as the panorama around the
    horizon."""
    harmonics, direction, key = analyse(linear.astype(np.float64))
    angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    around = np.stack([np.cos(angles), np.full(16, 0.3), np.sin(angles)], -1)
    around /= np.linalg.norm(around, axis=1, keepdims=True)
    lit = np.maximum(harmonic_basis(around) @ harmonics, 0) + np.maximum(around @ direction, 0)[:, None] * key
    height = len(panorama)
    band = panorama[height // 3 : height * 3 // 4 : 4, ::4].astype(np.float32) / 255
    shown = np.clip(float(((band**2.2) @ LUMINANCE).mean()), 0.06, 0.3)
    scale = shown / (GREY * float((lit @ LUMINANCE).mean()))
    return Place(
        name,
        panorama,
        (harmonics * scale).astype(np.float32),
        direction.astype(np.float32),
        (key * scale).astype(np.float32),
    )


def read_places(folder: Path, split: str) -> list[Place]:
    """The places of ``split`` (train, validation, test) in a folder of ``<name>.jpg`` with ``light.npz``."""
    if not (folder / "light.npz").is_file():
        raise InputError(f"{folder} has no light.npz; give a folder of panoramas with their linear light")
    light = read_npz(folder / "light.npz", 10_000_000)
    held = {"validation": VALIDATION_PLACES, "test": TEST_PLACES}
    places = []
    for path in sorted(folder.glob("*.jpg")):
        wanted = (
            path.stem in held[split] if split in held else path.stem not in VALIDATION_PLACES + TEST_PLACES
        )
        if wanted and path.stem not in SKIES and f"linear_{path.stem}" in light:
            places.append(
                make_place(path.stem, read_image(path), light[f"linear_{path.stem}"].astype(np.float32))
            )
    if not places:
        raise InputError(
            f"{folder} has no panorama for the split {split}; it needs some of "
            f"{', '.join(held.get(split, ('any name',)))}"
        )
    return places
