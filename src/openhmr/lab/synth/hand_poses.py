"""Endless hand poses from a few hundred: fingers exchanged, poses blended and perturbed, free bending and
grasps, within anatomical limits, and nothing that passes through anything."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from openhmr.bodies.body import Body
from openhmr.lab.synth.hand_capsules import Capsules
from openhmr.lab.synth.hand_pack import COLUMNS, DOFS, HandFrames, HandPack
from openhmr.lab.synth.poses import random_rotations

LIMITS_DEG: dict[str, tuple[float, float]] = {
    "cmc_flex": (-38, 38),
    "cmc_abd": (-30, 34),
    "cmc_twist": (-25, 18),
    "thumb_mcp_flex": (-12, 62),
    "thumb_mcp_abd": (-14, 18),
    "ip_flex": (-22, 82),
    "mcp_flex": (-25, 92),
    "mcp_abd": (-20, 25),
    "pip_flex": (-8, 110),
    "dip_flex": (-8, 85),
}
"""Least and largest angles by the ends of their names.

Fingers: MCP 45 of hyperextension (half of it here: without help) to 90, PIP 0 to 100, DIP 0 to 80, thumb IP
-15 to 80, MCP -10 to 55 (Eaton, e-hand.com, "Normal Range of Motion Reference Values"); abduction 20
(Chatzioglou et al. 2024: 17, 14 and 32 degrees between fingers at greatest spread); the thumb's base 53 and
42 degrees in all (Cooney et al. 1981), and as far again as half of that, since its zero is a mean pose.
"""
LITTLE_ABD_DEG = (-18.0, 34.0)
DIP_SHARE, DIP_SLACK_DEG = 2 / 3, (45.0, 35.0)
"""The last joint of a finger bends by two thirds of what the middle one does, when nothing presses on it
(Lin, Wu, Huang 2000), and may lie this much below and above."""
NARROWER = 0.6
"""Share of the abduction that a knuckle bent by 90 degrees has lost: its collateral ligaments are tight."""


@dataclass(frozen=True)
class HandWidening:
    """How far hands are widened beyond the poses of the pack; all zero draws these."""

    exchange: float = 0.5
    """Probability that a hand takes fingers from several poses (each with one half)."""
    blend: float = 0.4
    """Probability that two poses are mixed, up to a fifth beyond either."""
    perturb: float = 0.85
    """Probability that the angles are perturbed."""
    perturb_deg: float = 12.0
    """Largest standard deviation of that perturbation; each hand has its own."""
    free: float = 0.12
    """Share of hands whose fingers bend freely about a common angle."""
    grasp: float = 0.12
    """Share of hands that close about something."""


AS_STORED = HandWidening(exchange=0, blend=0, perturb=0, free=0, grasp=0)


def limits(device: torch.device) -> tuple[Tensor, Tensor]:
    """Least and largest angles ``(22,)`` each, radians."""
    rows = []
    for name in DOFS:
        if name == "pinky_mcp_abd":
            rows.append(LITTLE_ABD_DEG)
        else:
            rows.append(next(v for k, v in LIMITS_DEG.items() if name == k or name.split("_", 1)[1] == k))
    low, high = torch.deg2rad(torch.tensor(rows, device=device)).unbind(1)
    return low, high


def _of(*ends: str) -> list[int]:
    return [i for i, name in enumerate(DOFS) if not name.startswith("thumb") and name.endswith(ends)]


MCP, ABD, PIP, DIP = (_of(f"_{end}") for end in ("mcp_flex", "mcp_abd", "pip_flex", "dip_flex"))


class HandPoses:
    """Draws angles of hands and rotations of the open hand's joints; the same generator gives the same
    hands."""

    def __init__(self, pack: HandPack, hand: Body, widening: HandWidening, device: torch.device) -> None:
        self.dof = torch.as_tensor(pack.dof_rad, device=device)
        self.weights = torch.as_tensor(pack.weights, dtype=torch.float32, device=device)
        self.widening, self.device = widening, device
        self.frames, self.capsules = HandFrames(pack, device), Capsules(hand, device)
        self.low, self.high = limits(device)
        self.spread = self.dof.std(0).clamp(min=math.radians(4)) / math.radians(25)

    def __call__(self, n: int, generator: torch.Generator) -> Tensor:
        """Rotations ``(n,16,3,3)`` relative to the parent joint, of hands turned every way."""
        local = self.frames(self.angles(n, generator))
        local[:, 0] = random_rotations(n, generator, self.device)
        return local

    def angles(self, n: int, generator: torch.Generator) -> Tensor:
        """Angles ``(n,22)`` of hands in which nothing passes through anything; those of the pack as they are
        where nothing is widened."""
        if self.widening == AS_STORED:
            return self.dof[self._rows((n,), generator)]
        kept, count = [], 0
        while count < n:
            proposed = self.propose(2 * (n - count) + 16, generator)
            kept.append(proposed[self.capsules.apart(self.frames(proposed))])
            count += len(kept[-1])
        return torch.cat(kept)[:n]

    def _rows(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        drawn = torch.multinomial(self.weights, math.prod(shape), replacement=True, generator=generator)
        return drawn.view(shape)

    def propose(self, n: int, generator: torch.Generator) -> Tensor:
        """Angles ``(n,22)`` within the limits, whatever they pass through."""
        w, device = self.widening, self.device

        def rand(columns: int = 1) -> Tensor:
            return torch.rand(n, columns, generator=generator, device=device)

        def normal(columns: int = 1) -> Tensor:
            return torch.randn(n, columns, generator=generator, device=device)

        whole, others = self.dof[self._rows((n,), generator)], self._rows((n, 5), generator)
        mixes = (rand() < w.exchange) & (rand(5) < 0.5)
        out = torch.cat(
            [
                torch.where(mixes[:, k : k + 1], self.dof[others[:, k]][:, c], whole[:, c])
                for k, c in enumerate(COLUMNS)
            ],
            1,
        )
        other, share = self.dof[self._rows((n,), generator)], 1.2 * rand() - 0.1
        out = torch.where(rand() < w.blend, out + share * (other - out), out)
        kind = rand()
        out = torch.where(kind < w.free, self._free(out, normal, rand), out)
        out = torch.where(kind > 1 - w.grasp, self._grasp(out, normal, rand), out)
        size = math.radians(w.perturb_deg) * rand() * (rand() < w.perturb)
        noise = normal(len(DOFS)) * self.spread
        noise[:, DIP] = DIP_SHARE * noise[:, PIP] + 0.4 * noise[:, DIP]
        return self.limited(out + size * noise)

    def _free(self, out: Tensor, normal, rand) -> Tensor:  # type: ignore[no-untyped-def]
        """Fingers bent by any angles, neighbours alike."""
        out = out.clone()
        out[:, MCP] = math.radians(100) * rand() - 0.25 + 0.4 * normal(4)
        out[:, PIP] = math.radians(105) * rand() + 0.4 * normal(4)
        out[:, DIP] = DIP_SHARE * out[:, PIP] + 0.15 * normal(4)
        out[:, ABD] = 0.15 * normal(4) + 0.25 * (rand() - 0.5) * torch.linspace(-1, 1, 4, device=out.device)
        return out

    def _grasp(self, out: Tensor, normal, rand) -> Tensor:  # type: ignore[no-untyped-def]
        """Fingers closed about something round: knuckles and middle joints share the bend, and the little
        finger bends most."""
        out = out.clone()
        more = 0.12 * rand() * torch.arange(4, device=out.device)
        closed = 0.3 + 1.5 * rand()
        share = 0.25 + 0.4 * rand()
        out[:, MCP] = closed * share + more + 0.1 * normal(4)
        out[:, PIP] = closed * (1 - share) + more + 0.1 * normal(4)
        out[:, DIP] = DIP_SHARE * out[:, PIP] + 0.1 * normal(4)
        out[:, ABD] = 0.2 * (rand() - 0.3) * torch.linspace(-1, 1, 4, device=out.device) + 0.04 * normal(4)
        # The thumb stands against the fingers.
        out[:, :3] = out[:, :3] + torch.tensor([0.1, 0.25, 0.0], device=out.device) * rand()
        return out

    def limited(self, dof: Tensor) -> Tensor:
        """``dof (B,22)`` within the limits of each joint and the couplings between joints."""
        out = torch.minimum(torch.maximum(dof, self.low), self.high)
        free = 1 - NARROWER * (out[:, MCP] / math.radians(90)).clamp(0, 1)
        out[:, ABD] = torch.minimum(torch.maximum(out[:, ABD], self.low[ABD] * free), self.high[ABD] * free)
        below, above = (math.radians(a) for a in DIP_SLACK_DEG)
        bend = DIP_SHARE * out[:, PIP]
        dip = torch.minimum(torch.maximum(out[:, DIP], bend - below), bend + above)
        out[:, DIP] = torch.minimum(torch.maximum(dip, self.low[DIP]), self.high[DIP])
        return out
