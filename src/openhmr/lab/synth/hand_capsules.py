"""Whether fingers pass through one another or through the palm: capsules about the bones of the open hand."""

import itertools

import numpy as np
import torch
from torch import Tensor

from openhmr.bodies.body import Body
from openhmr.joints import MANO
from openhmr.joints.mano import FINGERS
from openhmr.lab.anny.hand_rest import CARPUS, ORDER
from openhmr.lab.skinning import forward_kinematics

RADII_MM = {
    "Thumb": (13.0, 10.0, 8.5),
    "Index": (9.0, 8.0, 6.5),
    "Middle": (9.0, 8.0, 6.5),
    "Ring": (8.5, 7.5, 6.2),
    "Pinky": (7.5, 6.5, 5.5),
}
PALM_MM = 11.0
"""Radii of bones with their flesh in the mean open hand, from its own skin."""
SOFT = 0.8
"""Flesh gives way: axes may come as near as this share of both radii."""


class Capsules:
    """Bones of the mean hand as capsules, three a finger, and the four metacarpals."""

    def __init__(self, hand: Body, device: torch.device) -> None:
        rest = (hand.J_regressor @ hand.v_template).astype(np.float64)
        points = (hand.joint_regressor(MANO) @ hand.v_template).astype(np.float64)
        tips = points[[MANO.names.index(f"{f}_4") for f in ORDER]]
        self.parents = [int(p) for p in hand.parents]
        knuckles = rest[[3 * ORDER.index(f) + 1 for f in FINGERS[1:]]]
        along, across = CARPUS
        palm = along * rest[4] + across * (knuckles - rest[4])
        radii = np.concatenate([*(RADII_MM[f] for f in ORDER), [PALM_MM] * 4]) / 1000

        def tensor(a: np.ndarray) -> Tensor:
            return torch.as_tensor(a, dtype=torch.float32, device=device)

        self.rest, self.tips, self.radii = tensor(rest), tensor(tips), tensor(radii)
        self.palm = torch.stack([tensor(palm), tensor(knuckles)])
        first, second = np.array(list(_pairs())).T
        self.first, self.second = (torch.as_tensor(p, device=device) for p in (first, second))
        self.allowed = SOFT * (self.radii[self.first] + self.radii[self.second])

    def bones(self, local: Tensor) -> tuple[Tensor, Tensor]:
        """Ends ``(B,19,3)`` each of all capsules for rotations ``(B,16,3,3)``: fingers in MANO's order, then
        metacarpals; the wrist is not turned."""
        world, joints = forward_kinematics(local, self.rest.expand(len(local), -1, -1), self.parents)
        last = torch.arange(3, 16, 3, device=local.device)
        ends = joints[:, last] + (world[:, last] @ (self.tips - self.rest[last])[..., None])[..., 0]
        stop = torch.cat([joints[:, 2:], joints[:, :1]], 1)  # (B,15,3): the next joint of the chain
        stop[:, 2::3] = ends
        palm = self.palm[:, None].expand(-1, len(local), -1, -1)
        return torch.cat([joints[:, 1:], palm[0]], 1), torch.cat([stop, palm[1]], 1)

    def apart(self, local: Tensor) -> Tensor:
        """Which hands ``(B,)`` of rotations ``(B,16,3,3)`` have nothing that passes through anything."""
        start, end = self.bones(local)
        gap = segment_distance(
            start[:, self.first], end[:, self.first], start[:, self.second], end[:, self.second]
        )
        return (gap >= self.allowed).all(1)


def _pairs() -> "itertools.chain[tuple[int, int]]":
    """Capsules that may collide: those of different fingers, but for neighbours' first bones, which lie side
    by side in the palm; and the palm with all bones that do not start in it."""
    finger = {f: [3 * ORDER.index(f) + i for i in range(3)] for f in FINGERS}
    between = (
        (a, b)
        for f, g in itertools.combinations(FINGERS, 2)
        for a in finger[f]
        for b in finger[g]
        if not (a % 3 == b % 3 == 0)
    )
    palm = ((finger[f][i], 15 + k) for f in FINGERS for i in (1, 2) for k in range(4))
    return itertools.chain(between, palm)


def segment_distance(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """Smallest distance ``(...)`` between the segments from ``a`` to ``b`` and from ``c`` to ``d (...,3)``
    (Ericson, Real-Time Collision Detection, 2005, section 5.1.9)."""
    u, v, w = b - a, d - c, a - c
    uu, vv, uv = (u * u).sum(-1), (v * v).sum(-1), (u * v).sum(-1)
    uw, vw = (u * w).sum(-1), (v * w).sum(-1)
    s = ((uv * vw - uw * vv) / (uu * vv - uv * uv).clamp(min=1e-12)).clamp(0, 1)
    t = ((uv * s + vw) / vv).clamp(0, 1)
    s = ((uv * t - uw) / uu).clamp(0, 1)
    return (w + s[..., None] * u - t[..., None] * v).norm(dim=-1)
