"""Feet that stand stay where they are: the root is moved first, then the legs reach (ours)."""

import numpy as np
from numpy.typing import NDArray

from openhmr.geometry import quaternions
from openhmr.geometry.quaternions import Quaternions
from openhmr.sequence.feet import LEGS, Ground, runs
from openhmr.sequence.legs import arc, reach
from openhmr.sequence.penalised import Array, penalty, solve_path, stiffness

HELD, LEVEL = 1.0, 0.1
"""How much the speed of a foot that stands, and its height, weigh beside the root's place across the line of
sight in one frame."""
DRIFT_M = 0.08
"""A contact whose foot moves further is two: it slides or turns, which people do."""
FIRM, FREE = 1e4, 0.02
"""Weights of corrections while a foot stands, and of none at all while it does not."""
EASE_HZ = 4.0
"""How quickly corrections come and go."""
SIDEWAYS = np.array([1.0, 0, 0])
"""The axis that knees bend about, in the axes of the thigh at rest."""

Marks = NDArray[np.bool_]


def plant_root(
    root: Array,
    trusted: Array,
    feet: Array,
    standing: Marks,
    ground: Ground | None,
    times: Array,
    cutoff_hz: float,
) -> Array:
    """The root's path ``(T,3)`` near to ``root`` by the weights ``trusted (T,3,3)``, of which feet that stand
    neither move nor leave the ``ground``, where there is one: ``feet (T,4,3)`` are relative to the root,
    ``standing (T,4)``.

    One linear system, because a foot's speed and height are linear in the root's places.
    """
    diagonal, next_, over = penalty(times, stiffness(cutoff_hz, float(np.median(np.diff(times)))))
    held = HELD * (standing[1:] & standing[:-1])
    moved = (held[..., None] * np.diff(feet, axis=0)).sum(1)
    total = held.sum(1)
    right = (trusted @ root[..., None])[..., 0]
    right[:-1] += moved
    right[1:] -= moved
    diagonal[:-1] += total
    diagonal[1:] += total
    if ground is not None:
        low = LEVEL * (standing * ground.heights(feet)).sum(1)
        right += low[:, None] * ground.down
        level = LEVEL * standing.sum(1)[:, None, None]
        trusted = trusted + level * np.outer(ground.down, ground.down)
    return solve_path(trusted, right[..., None], (diagonal, next_ - total, over))[..., 0]


def footholds(points: Array, standing: Marks, ground: Ground | None) -> Array:
    """Where each point of the feet stands ``(T,4,3)``, on the ground if there is one; what does not stand
    is left where it is."""
    out = np.array(points)
    for k in range(points.shape[1]):
        for start, end in runs(standing[:, k]):
            for a, b in _resting(points[:, k], start, end):
                middle = points[a:b, k].mean(0)
                out[a:b, k] = middle if ground is None else middle + ground.heights(middle) * ground.down
    return out


def _resting(path: Array, start: int, end: int) -> list[tuple[int, int]]:
    """``start`` to ``end`` cut into parts in which the ``path (T,3)`` stays within :data:`DRIFT_M`."""
    far = np.linalg.norm(path[start:end] - path[start:end].mean(0), axis=-1).max()
    if far <= DRIFT_M or end - start < 4:
        return [(start, end)]
    middle = (start + end) // 2
    return _resting(path, start, middle) + _resting(path, middle, end)


def eased(values: Array, given: Marks, times: Array) -> Array:
    """``values (T,3)`` where they are ``given (T,)``, and a smooth way to zero and back between."""
    weights = np.where(given, FIRM, FREE)
    stiff = stiffness(EASE_HZ, float(np.median(np.diff(times))))
    right = (weights * given)[:, None] * values
    return solve_path(weights[:, None, None], right[:, None], penalty(times, stiff))[:, 0]


def plant_legs(
    world: Quaternions, joints: Array, points: Array, standing: Marks, ground: Ground | None, times: Array
) -> Quaternions:
    """World rotations ``(T,J,4)`` of which the feet stand where they shall, and lie nowhere below the ground.

    ``joints (T,J,3)`` and ``points (T,4,3)`` of the feet in camera axes, ``standing (T,4)``.
    """
    out = np.array(world)
    holds = footholds(points, standing, ground)
    for side, (hip, knee, ankle, toe) in enumerate(LEGS):
        two = slice(2 * side, 2 * side + 2)
        foot, hold, stands = points[:, two], holds[:, two], standing[:, two]
        both: Marks = np.all(stands, axis=1)
        any_: Marks = np.any(stands, axis=1)
        turn = quaternions.log(arc(foot[:, 1] - foot[:, 0], hold[:, 1] - hold[:, 0]))
        turn = quaternions.exp(eased(turn, both, times))
        arms = foot - joints[:, [ankle]]
        turned = quaternions.rotate(turn[:, None], arms)
        wanted = hold - turned - joints[:, [ankle]]
        share = stands / np.maximum(stands.sum(1, keepdims=True), 1)
        shift = eased((share[..., None] * wanted).sum(1), any_, times)
        if ground is not None:
            heights = ground.heights(joints[:, [ankle]] + shift[:, None] + turned)
            shift -= lift(heights, times)[:, None] * ground.down
        side_axis = quaternions.rotate(world[:, hip], SIDEWAYS)
        turns = reach(joints[:, hip], joints[:, knee], joints[:, ankle], joints[:, ankle] + shift, side_axis)
        for joint, by in zip((hip, knee, ankle, toe), (*turns, turn, turn), strict=True):
            out[:, joint] = quaternions.multiply(by, world[:, joint])
    return out


def lift(heights: Array, times: Array) -> Array:
    """How far something must go up ``(T,)`` so that none of its points, at ``heights (T,K)``, lies below the
    ground."""
    need = np.maximum(-heights.min(1), 0)
    smooth = eased(need[:, None], need > 0, times)[:, 0]
    return np.maximum(smooth, need) if need.any() else need
