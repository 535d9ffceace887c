"""A pack of hand poses: 22 joint angles a pose, and how they turn the joints of the open hand.

A pack is an ``.npz`` with ``dof_rad (N,22)`` in the order of :data:`DOFS`, the constants ``skel_twist_rad
(5,)`` and ``skel_thumb_frame (3,3)`` of its joints' frames, and ``weight (N,)``, ``letter (N,)`` and ``source
(N,)``. Its axes: x to the thumb's side, y along the fingers, z out of the palm. A joint's rotation in the
frame of its parent is ``Rx(flexion) Rz(abduction) Ry(twist)``; the bone lies along y.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from openhmr.errors import InputError
from openhmr.io.arrays import read_npz
from openhmr.joints.mano import FINGERS
from openhmr.lab.anny import tpose
from openhmr.lab.anny.hand_rest import DISTAL, ORDER, PALMAR, RADIAL, SPLAY_DEG, THUMB_AXES

MAX_NUMBERS = 10_000_000
DOFS = (
    *(f"thumb_{d}" for d in ("cmc_flex", "cmc_abd", "cmc_twist", "mcp_flex", "mcp_abd", "ip_flex")),
    *(f"{f.lower()}_{d}" for f in FINGERS[1:] for d in ("mcp_flex", "mcp_abd", "pip_flex", "dip_flex")),
)
"""Angles of a pose: flexion bends to the palm, abduction turns to the little finger's side."""
VALIDATION_LETTERS = ("K", "L", "C")
VALIDATION_SOURCES = ("handy-work", "iwer")
"""Signs and stored poses that are never trained on."""
THUMB = slice(0, 6)
COLUMNS = (THUMB, *(slice(6 + 4 * k, 10 + 4 * k) for k in range(4)))
"""The angles of each finger, in the order of FreiHAND's fingers."""


@dataclass(frozen=True)
class HandPack:
    """Poses ``dof_rad (N,22)`` with sampling ``weights (N,)``, and the frames of the pack's joints:
    ``twist_rad (5,)`` of the fingers, ``thumb_frame (3,3)``."""

    dof_rad: np.ndarray
    weights: np.ndarray
    twist_rad: np.ndarray
    thumb_frame: np.ndarray


def load_hands(path: str | Path, *, validation: bool = False) -> HandPack:
    """The poses of a pack that are trained on, or those kept apart for ``validation``.

    Raises :class:`InputError` where the file is no such pack or has no such poses.
    """
    names = ("dof_rad", "weight", "letter", "source", "skel_twist_rad", "skel_thumb_frame")
    data = read_npz(path, MAX_NUMBERS, names)
    missing = [name for name in names if name not in data]
    if missing:
        raise InputError(f"{path} lacks {', '.join(missing)}; give a pack of hand poses (hands_poses.npz)")
    count = len(data["dof_rad"])
    shapes = {"dof_rad": (count, len(DOFS)), "skel_twist_rad": (5,), "skel_thumb_frame": (3, 3)}
    shapes |= {name: (count,) for name in ("weight", "letter", "source")}
    for name, shape in shapes.items():
        if data[name].shape != shape:
            raise InputError(f"{path} has {name} of shape {data[name].shape}; it must be {shape}")
        if data[name].dtype.kind not in ("U" if name in ("letter", "source") else "f"):
            raise InputError(f"{path} has {name} of type {data[name].dtype}; give a pack as it was made")
    kept = np.isin(data["letter"], VALIDATION_LETTERS) | np.isin(data["source"], VALIDATION_SOURCES)
    rows = np.flatnonzero(kept if validation else ~kept)
    numbers = [data[name] for name in ("dof_rad", "weight", "skel_twist_rad", "skel_thumb_frame")]
    if not len(rows) or not all(np.isfinite(n).all() for n in numbers) or not (numbers[1][rows] > 0).all():
        kind = "validation" if validation else "training"
        raise InputError(f"{path} holds no usable {kind} poses: numbers must be finite, weights positive")
    weights = data["weight"][rows].astype(np.float64)
    return HandPack(
        data["dof_rad"][rows].astype(np.float32),
        weights / weights.sum(),
        data["skel_twist_rad"].astype(np.float64),
        data["skel_thumb_frame"].astype(np.float64),
    )


class HandFrames:
    """Turns angles into rotations of the open hand's joints: ``frames(dof (B,22)) -> (B,16,3,3)``, relative
    to the parent joint, the wrist's being one.

    Both hands agree on the directions of bones and on the axes that joints bend about; the open hand's flat
    pose has fingers spread by :data:`SPLAY_DEG`, the pack's zero has them parallel.
    """

    def __init__(self, pack: HandPack, device: torch.device) -> None:
        axes = np.stack([RADIAL, DISTAL, PALMAR], -1)  # from the pack's axes to the open hand's
        before, after = np.empty((2, 15, 3, 3))
        for finger in FINGERS:
            k, j = FINGERS.index(finger), 3 * ORDER.index(finger)
            if finger == "Thumb":
                own = tpose.frame(np.array(THUMB_AXES[0]), np.array(THUMB_AXES[1]))
                rest = np.stack([own[:, 1], own[:, 0], -own[:, 2]], -1)  # bone along y, bends about x
                base = pack.thumb_frame
            else:
                base = _about(1, pack.twist_rad[k])
                rest = _about(2, np.radians(SPLAY_DEG[finger])) @ base
            before[j : j + 3], after[j : j + 3] = axes @ rest, (axes @ rest).T
            before[j] = axes @ base
        self.before, self.after = (
            torch.as_tensor(a, dtype=torch.float32, device=device) for a in (before, after)
        )
        self.columns = torch.as_tensor(_columns(), device=device)

    def __call__(self, dof: Tensor) -> Tensor:
        padded = torch.cat([dof, torch.zeros_like(dof[:, :1])], 1)
        angles = padded[:, self.columns]
        (sf, sa, st), (cf, ca, ct) = angles.sin().unbind(-1), angles.cos().unbind(-1)
        # Rz(abduction) Ry(twist), whose second and third rows Rx(flexion) mixes.
        second, third = (sa * ct, ca, sa * st), (-st, torch.zeros_like(st), ct)
        rows = [ca * ct, -sa, ca * st]
        rows += [cf * a - sf * b for a, b in zip(second, third, strict=True)]
        rows += [sf * a + cf * b for a, b in zip(second, third, strict=True)]
        local = self.before @ torch.stack(rows, -1).unflatten(-1, (3, 3)) @ self.after
        root = torch.eye(3, device=dof.device).expand(len(dof), 1, 3, 3)
        return torch.cat([root, local], 1)


def _about(axis: int, angle: float) -> np.ndarray:
    """The rotation ``(3,3)`` by ``angle`` about a coordinate axis."""
    out = np.eye(3)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    out[i, i] = out[j, j] = np.cos(angle)
    out[j, i] = np.sin(angle)
    out[i, j] = -out[j, i]
    return out


def _columns() -> np.ndarray:
    """Which angle ``(15,3)`` is flexion, abduction and twist of each of MANO's joints but the wrist; 22 for
    those that it does not have."""
    out = np.full((15, 3), len(DOFS))
    for finger in FINGERS:
        joints = ("cmc", "mcp", "ip") if finger == "Thumb" else ("mcp", "pip", "dip")
        for i, joint in enumerate(joints):
            for c, motion in enumerate(("flex", "abd", "twist")):
                name = f"{finger.lower()}_{joint}_{motion}"
                if name in DOFS:
                    out[3 * ORDER.index(finger) + i, c] = DOFS.index(name)
    return out
