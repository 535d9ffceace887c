"""Gravity and the ground from people in motion: feet are below the centre of mass on average, and lie in one
plane where they stand (ours)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from openhmr.joints.smpl import SMPL_NAMES
from openhmr.sequence.feet import Ground, runs
from openhmr.sequence.penalised import Array

_SEGMENTS = (
    ("Pelvis", "Neck", 0.497, 0.5),
    ("Neck", "Head", 0.081, 1.0),
    ("*_Shoulder", "*_Elbow", 0.028, 0.436),
    ("*_Elbow", "*_Wrist", 0.022, 0.682),
    ("*_Hip", "*_Knee", 0.100, 0.433),
    ("*_Knee", "*_Ankle", 0.0465, 0.433),
    ("*_Ankle", "*_Toe", 0.0145, 0.5),
)
"""From joint to joint, share of the body's mass, and where along the way its centre is (Winter 2009, table
4.1; forearms with hands)."""
TILT = np.deg2rad(6.0)
"""Standard deviation of that mean direction from gravity."""
UNEVEN_M = 0.03
"""Standard deviation of the place of a foot that stands, across the ground."""
BENT = 0.8
"""Share of the largest distance between feet and centre of mass from which a person is taken for upright."""
ROUNDS = 20


def centre_of_mass(joints: Array) -> Array:
    """``(T,3)`` of bodies with ``joints (T,24,3)``."""
    out, total = np.zeros((len(joints), 3)), 0.0
    for start, end, mass, share in _SEGMENTS:
        for side in "LR" if start[0] == "*" else "*":
            a, b = (joints[:, SMPL_NAMES.index(name.replace("*", side))] for name in (start, end))
            out += mass * (a + share * (b - a))
            total += mass
    return out / total


def downwards(joints: Array, points: Array, standing: NDArray[np.bool_]) -> Array:
    """The mean direction ``(3,)`` from the centre of mass of ``joints (T,24,3)`` to those of the feet's
    ``points (T,4,3)`` that are ``standing (T,4)``: who does not fall is held up from below.

    Over the frames in which the person is stretched; robust to some in which a stretched person lies. Who
    never stands is taken to be above both feet.
    """
    share = (standing if standing.any() else np.ones_like(standing)).astype(np.float64)
    held = share.sum(1)
    support = (share[..., None] * points).sum(1) / np.maximum(held, 1)[:, None]
    way = support - centre_of_mass(joints)
    length = np.linalg.norm(way, axis=-1)
    upright = (held > 0) & (length >= BENT * length[held > 0].max())
    directions = way[upright] / length[upright, None]
    mean = np.median(directions, axis=0)
    for _ in range(ROUNDS):
        off = np.linalg.norm(directions - mean / np.linalg.norm(mean), axis=-1)
        mean = (directions / (1 + (off / (2 * TILT)) ** 2)[:, None]).mean(0)
    return mean / np.linalg.norm(mean)


def stands(points: Array, standing: NDArray[np.bool_]) -> Array:
    """Where feet stood ``(C,3)``: the middle of each contact of ``points (T,4,3)``."""
    found = [
        points[start:end, k].mean(0) for k in range(points.shape[1]) for start, end in runs(standing[:, k])
    ]
    return np.reshape(found, (-1, 3))


def fit_grounds(down: Array, places: Sequence[Array]) -> list[Ground | None]:
    """The ground of each person, parallel to each other, from the direction ``down (3,)`` of upright people
    and the ``places (C,3)`` at which each person's feet stood; None for those that never stood.

    Robust least squares with ``down`` as the prior. Everybody has a distance of their own: a person that is
    taken for taller than they are stands on a ground that lies deeper.
    """
    owner = np.repeat(np.arange(len(places)), [len(p) for p in places])
    points = np.concatenate([*places, np.zeros((0, 3))])
    if not len(points):
        return [None] * len(places)
    people = np.unique(owner)
    member = (owner[:, None] == people).astype(np.float64)
    distances = np.array([np.median(points[owner == p] @ down) for p in people])
    prior = down
    for _ in range(ROUNDS):
        off = points @ down - member @ distances
        weights = 1 / (1 + (off / (2 * UNEVEN_M)) ** 2) / UNEVEN_M**2
        sides = _sideways(down)
        rows = np.concatenate([points @ sides.T, -member], 1)
        normal = rows.T @ (weights[:, None] * rows)
        normal[:2, :2] += np.eye(2) / TILT**2
        slope = -rows.T @ (weights * off)
        slope[:2] += sides @ prior / TILT**2
        change = np.linalg.solve(normal, slope)
        down = down + change[:2] @ sides
        distances = distances + change[2:]
        length = np.linalg.norm(down)
        down, distances = down / length, distances / length
    grounds: list[Ground | None] = [None] * len(places)
    for person, distance in zip(people, distances, strict=True):
        grounds[person] = Ground(down, float(distance))
    return grounds


def _sideways(down: Array) -> Array:
    """Two directions ``(2,3)`` at right angles to ``down`` and to each other."""
    return np.linalg.svd(down[None])[2][1:]
