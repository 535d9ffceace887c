"""Who wears what, in which colours; nobody is ever without a suit that was measured to be decent."""

import colorsys
from dataclasses import dataclass, field

import numpy as np

from openhmr.errors import InputError
from openhmr.lab.synth.wardrobe import Wardrobe

DECENT_SUITS = (
    "female_casualsuit01",
    "female_casualsuit02",
    "female_elegantsuit01",
    "male_casualsuit01",
    "male_casualsuit02",
    "male_casualsuit03",
    "male_casualsuit04",
    "male_casualsuit05",
    "male_casualsuit06",
    "male_elegantsuit01",
    "male_worksuit01",
)
"""Suits that cover pelvis, thighs and chest in every pose tried; nothing else may be worn without one of
these."""
FEMININE = ("female_casualsuit01", "female_casualsuit02", "female_elegantsuit01")
UNCUT = ("female_elegantsuit01", "female_casualsuit02", "male_worksuit01", "male_elegantsuit01")
TROUSERS = tuple(s for s in DECENT_SUITS if s not in UNCUT)
SHORTS = ("female_casualsuit02",)
"""Short pants: always dark or plainly coloured, so that nobody takes them for skin."""
SHORTS_COLOURS = ("#101012", "#1b2440", "#123a1e", "#4a0d16", "#2b1a4d", "#0c3a4a")
LONG_SLEEVES = ("male_casualsuit01", "male_casualsuit02", "male_casualsuit03", "male_casualsuit05")
TEST_ONLY = frozenset(
    {
        "female_casualsuit02",
        "male_casualsuit05",
        "shoes05",
        "bob02",
        "short03",
        "eyebrow004",
        "young_lightskinned_female_diffuse3",
        "young_lightskinned_male_diffuse3",
    }
)
VALIDATION_ONLY = frozenset({"male_casualsuit04", "shoes04", "short02"})
MASCULINE_HAIR = ("short01", "short02", "short03", "short04", "ponytail01")
HAIR_COLOURS = (
    "#0d0a08",
    "#1c120c",
    "#2c1a10",
    "#4a2e1a",
    "#6b4423",
    "#8d6236",
    "#b58a55",
    "#d6b57d",
    "#7a2f14",
    "#55514e",
    "#9b9794",
    "#d8d6d2",
)
NEUTRALS = ("#101012", "#2a2a2e", "#4b4d52", "#8a8c90", "#c9c9c6", "#f1f1ee", "#1b2440", "#39402e")
SKIN_HUES, SKIN_SATURATION = (0.12, 0.97), 0.85
"""Skin's hues lie outside these two, its saturation below."""
PATTERNS = 12
LOGOS = 16


def linear(colour: tuple[float, float, float]) -> np.ndarray:
    """sRGB in [0, 1] -> linear."""
    return np.asarray(colour, np.float32) ** 2.2


def from_hex(text: str) -> np.ndarray:
    return linear(tuple(int(text[i : i + 2], 16) / 255 for i in (1, 3, 5)))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Look:
    """How a surface is coloured: ``amount`` of recolouring to ``first``, patterned with ``second`` (linear
    RGB) by pattern number ``pattern`` (-1 none) at ``scale`` a metre, turned by ``turn`` radians."""

    first: np.ndarray = field(default_factory=lambda: np.ones(3, np.float32))
    second: np.ndarray = field(default_factory=lambda: np.ones(3, np.float32))
    amount: float = 0.0
    pattern: int = -1
    scale: float = 5.0
    turn: float = 0.0


@dataclass(frozen=True)
class Outfit:
    """Names of the skin texture and of items; ``lower`` and ``upper`` colour the suit. ``sleeve`` is where
    sleeves end as a fraction of the way shoulder - wrist, ``leg`` where trousers end between hip and ankle;
    beyond 1 they stay whole. ``crease`` is the strength of folds drawn on the suit, ``crease_scale`` how many
    a metre."""

    skin: str
    skin_tint: np.ndarray
    suit: str
    shoes: str
    hair: str | None
    hat: str | None
    brows: tuple[str, ...]
    eyes: str
    lower: Look
    upper: Look
    shoe: Look
    hair_look: Look
    hat_look: Look
    sleeve: float = 9.0
    leg: float = 9.0
    logo: int = -1
    logo_size_m: float = 0.1
    crease: float = 0.0
    crease_scale: float = 4.0

    @property
    def name(self) -> str:
        return "+".join(n for n in (self.suit, self.shoes, self.hair, self.hat, self.skin) if n)


def random_colour(rng: np.random.Generator) -> np.ndarray:
    """A garment's linear colour: a third neutral, else any hue that nobody takes for skin."""
    if rng.random() < 0.35:
        return from_hex(NEUTRALS[rng.integers(len(NEUTRALS))]) * np.float32(rng.uniform(0.7, 1.3))
    while True:
        hue, saturation, value = rng.random(), rng.uniform(0.25, 0.95), rng.uniform(0.2, 0.95)
        if SKIN_HUES[0] < hue < SKIN_HUES[1] or saturation > SKIN_SATURATION:
            return linear(colorsys.hsv_to_rgb(hue, saturation, value))


def random_look(rng: np.random.Generator, recolour: float, patterned: float) -> Look:
    """Recoloured with probability ``recolour``, then patterned with probability ``patterned``."""
    if rng.random() > recolour:
        return Look()
    pattern = int(rng.integers(PATTERNS)) if rng.random() < patterned else -1
    turn = rng.choice([0.0, np.pi / 2, rng.uniform(0, np.pi)])
    return Look(
        random_colour(rng),
        random_colour(rng),
        rng.uniform(0.75, 1.0),
        pattern,
        float(np.exp(rng.uniform(0.9, 2.7))),
        float(turn),
    )


class Closet:
    """The names that one split may use, out of a wardrobe and the textures of a humans pack."""

    def __init__(self, wardrobe: Wardrobe, textures: dict[str, list[str]], split: str) -> None:
        def allowed(names: list[str]) -> list[str]:
            held = {"train": TEST_ONLY | VALIDATION_ONLY, "validation": TEST_ONLY, "test": frozenset()}[split]
            return sorted(n for n in names if n not in held)

        worn = [n.split("/")[1] for n in wardrobe.items]
        self.gender = wardrobe.gender
        self.suits = allowed([n for n in worn if n in DECENT_SUITS])
        only = {"validation": VALIDATION_ONLY, "test": TEST_ONLY}.get(split, frozenset())
        self.preferred = only
        self.shoes = allowed([n for n in worn if n.startswith("shoes")])
        self.hats = allowed([n for n in worn if n.startswith("fedora")])
        self.hair = allowed([n.split("/")[1] for n in wardrobe.items if n.startswith("hair/")])
        self.brows = allowed([n for n in worn if n.startswith("eyebrow")])
        self.lashes = allowed([n for n in worn if n.startswith("eyelash")])
        self.skins = allowed([n for n in textures["skins"] if "special" not in n])
        self.eyes = allowed([n for n in textures["eyes"] if n.endswith("_eye")])
        for kind in ("suits", "shoes", "hair", "brows", "skins", "eyes"):
            if not getattr(self, kind):
                raise InputError(f"the humans pack has no {kind} for the split {split}; use the whole pack")

    def pick(self, rng: np.random.Generator, names: list[str]) -> str:
        """One name; in validation and test those that training never shows come up in most cases."""
        held = [n for n in names if n in self.preferred]
        return str(rng.choice(held if held and rng.random() < 0.8 else names))

    def dress(self, rng: np.random.Generator, betas: np.ndarray) -> Outfit:
        """A random outfit that suits the sex that ``betas (10,)`` look like (in most cases)."""
        woman = float(self.gender @ np.concatenate([[1], betas])) + rng.normal() * 0.15 > 0.5
        suits = [
            s
            for s in self.suits
            if (s in FEMININE and woman) or (s not in FEMININE and (not woman or rng.random() < 0.6))
        ]
        suit = self.pick(rng, suits or self.suits)
        skins = [s for s in self.skins if ("female" in s) == woman] or self.skins
        skin = self.pick(rng, skins)
        hairs = self.hair if woman else ([h for h in self.hair if h in MASCULINE_HAIR] or self.hair)
        hat = self.pick(rng, self.hats) if self.hats and rng.random() < 0.05 else None
        bald = hat is not None or rng.random() < (0.0 if woman else 0.08)
        hair_colour = from_hex(HAIR_COLOURS[rng.integers(len(HAIR_COLOURS))]) * np.float32(
            rng.uniform(0.6, 1.5)
        )
        sleeve = rng.uniform(0.22, 0.5) if suit in LONG_SLEEVES and rng.random() < 0.4 else 9.0
        leg = rng.uniform(0.35, 0.62) if suit in TROUSERS and rng.random() < 0.22 else 9.0
        lower = random_look(rng, 0.65, 0.2)
        if suit in SHORTS:
            lower = Look(from_hex(SHORTS_COLOURS[rng.integers(len(SHORTS_COLOURS))]), amount=1.0)
        return Outfit(
            skin,
            self._skin_tint(rng, skin),
            suit,
            self.pick(rng, self.shoes),
            None if bald else self.pick(rng, hairs),
            hat,
            (self.pick(rng, self.brows), self.pick(rng, self.lashes)),
            self.pick(rng, self.eyes),
            lower,
            random_look(rng, 0.85, 0.4),
            random_look(rng, 0.5, 0.0),
            Look(hair_colour, hair_colour, 0.9),
            Look(random_colour(rng), random_colour(rng), 1.0),
            sleeve,
            leg,
            int(rng.integers(LOGOS)) if rng.random() < 0.3 else -1,
            float(rng.uniform(0.05, 0.14)),
            float(rng.uniform(0, 0.45)),
            float(np.exp(rng.uniform(0, 1.3))),
        )

    @staticmethod
    def _skin_tint(rng: np.random.Generator, skin: str) -> np.ndarray:
        """Linear factor: light textures are darkened along the line of human skin tones in a third of the
        cases."""
        depth = rng.uniform(0.25, 1.0) if "dark" not in skin and rng.random() < 0.35 else rng.uniform(0, 0.12)
        tint = (1 - depth) * np.array([1.03, 1.0, 0.98]) + depth * np.array([0.30, 0.21, 0.17])
        return (tint * rng.uniform(0.85, 1.1)).astype(np.float32)
