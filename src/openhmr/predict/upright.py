"""How pictures of people are turned so that their trunks stand upright, as networks know them (ours;
MediaPipe turns its crops likewise)."""

import numpy as np
from numpy.typing import NDArray

from openhmr.joints import JointSet
from openhmr.joints.mano import REACH

TURNED = np.deg2rad(35.0)
"""Angle between trunk and vertical from which somebody is turned: networks are trained with rolls of 20
degrees (standard deviation) and lose little below."""
LYING = np.deg2rad(75.0)
"""The same for lifts: their network knows bodies that bend and tumble, and errs more on real people whose
poses were turned for less (PA-MPJPE 55.8 instead of 54.1 mm from 35 degrees)."""
FAINT = 0.15
"""Confidence up to which a joint was not seen."""

_HIPS, _SHOULDERS = (tuple(f"{side}_{part}" for side in "LR") for part in ("Hip", "Shoulder"))


def upright_rolls(points: NDArray, joint_set: JointSet, beyond: float = TURNED) -> NDArray[np.float64]:
    """By which angle ``(N,)`` each of the poses ``points (N,J,3)`` (x, y and confidence) must be rolled to
    have its shoulders straight above its hips, in radians, clockwise as the picture is seen.

    0 where that is less than ``beyond``, and where hips or shoulders were not seen.
    """
    names = joint_set.names
    if not {*_HIPS, *_SHOULDERS} <= set(names):
        return np.zeros(len(points))
    hips, shoulders = (_middle(points[:, [names.index(n) for n in pair]]) for pair in (_HIPS, _SHOULDERS))
    x, y = (shoulders - hips).T
    # Up in the picture is -y; nan, where either was not seen, is not turned.
    angle = np.where(np.isfinite(x), np.arctan2(x, -y), 0.0)
    return np.where(np.abs(angle) > beyond, -angle, 0.0)


def finger_rolls(hands: NDArray[np.float32]) -> NDArray[np.float64]:
    """By which angle ``(N,)`` poses of hands ``(N,21,3)`` must be rolled to have their fingers pointing up,
    in radians, clockwise as the picture is seen.

    Hands are seen every way, and which way is up tells nothing about them: a network that is spared it learns
    more of the rest (ours). Up is where the joints lie further along the hand, by
    :data:`~openhmr.joints.mano.REACH`; where all lie equally far along it, or in one place, up stays up.
    """
    present = (hands[..., 2] > 0).astype(np.float64)
    reach, count = np.array(REACH), present.sum(1, keepdims=True)
    along = (reach - (present * reach).sum(1, keepdims=True) / count) * present
    x, y = np.einsum("nj,njc->cn", along, hands[..., :2].astype(np.float64))
    return np.where(np.hypot(x, y) > 1e-9, -np.arctan2(x, -y), 0.0)


def _middle(pair: NDArray) -> NDArray[np.float64]:
    """The middle ``(N,2)`` of what was seen of two joints ``(N,2,3)``, nan where neither was."""
    weight = np.where(pair[..., 2:] > FAINT, pair[..., 2:], 0.0).astype(np.float64)
    total = weight.sum(1)
    middle = (pair[..., :2] * weight).sum(1) / np.where(total > 0, total, 1.0)
    return np.where(total > 0, middle, np.nan)


def rolled(rolls: NDArray) -> NDArray[np.float64]:
    """Rotations ``(...,2,2)`` of the plane by ``rolls (...)``, clockwise where y points down."""
    cos, sin = np.cos(rolls), np.sin(rolls)
    return np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)


def rolled_poses(poses: NDArray[np.float32], rolls: NDArray) -> NDArray[np.float32]:
    """``poses (N,J,3)`` (x, y, confidence) turned clockwise about the origin by ``rolls (N,)``."""
    out = poses.copy()
    out[..., :2] = poses[..., :2] @ rolled(rolls).swapaxes(-1, -2)
    return out


def rolled_cameras(rotations: NDArray, rolls: NDArray) -> NDArray[np.float64]:
    """Rotations ``(N,3,3)`` into cameras that are rolled by ``rolls (N,)`` against those of ``rotations``:
    what they see is turned clockwise by that."""
    out = np.array(rotations, np.float64)
    out[..., :2, :] = rolled(rolls) @ out[..., :2, :]
    return out


def unrolled_sigma(sigma: NDArray[np.float32], rolls: NDArray) -> NDArray[np.float32]:
    """Standard deviations ``(N,P,3)`` along the axes of cameras that are rolled by ``rolls (N,)``, along the
    axes of those that are not: errors along two axes count as independent."""
    squares = rolled(rolls) ** 2
    out = sigma.copy()
    # Nobody is changed, not by a rounding error, who is not turned.
    turned = np.flatnonzero(rolls)
    out[turned, :, :2] = np.sqrt((sigma[turned, :, :2] ** 2) @ squares[turned])
    return out
