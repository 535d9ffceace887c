"""Legs that reach where feet shall stand: hip, knee and ankle turned, in closed form."""

import numpy as np

from openhmr.geometry import quaternions
from openhmr.geometry.quaternions import Quaternions
from openhmr.sequence.penalised import Array

STRETCHED = 0.9995
"""A leg never becomes longer than this share of thigh and shin."""
SHORTEST_M = 1e-6
STRAIGHT = 0.1
"""Share of the thigh from which on the knee's way off the line from hip to ankle has a direction."""


def arc(a: Array, b: Array) -> Quaternions:
    """The shortest turn ``(...,4)`` from the directions ``a (...,3)`` to ``b (...,3)``."""
    a = a / np.linalg.norm(a, axis=-1, keepdims=True)
    b = b / np.linalg.norm(b, axis=-1, keepdims=True)
    # Through the half way between them; opposite directions do not occur here.
    half = a + b
    half /= np.maximum(np.linalg.norm(half, axis=-1, keepdims=True), 1e-12)
    return np.concatenate([(a * half).sum(-1, keepdims=True), np.cross(a, half)], -1)


def reach(
    hip: Array, knee: Array, ankle: Array, target: Array, sideways: Array
) -> tuple[Quaternions, Quaternions]:
    """Turns ``(T,4)`` of thigh and shin, in the axes that places are given in, after which the ``ankle
    (T,3)`` lies at ``target (T,3)``, or as near to it as the leg reaches.

    The knee keeps the plane that it bends in, turned with the leg; ``sideways (T,3)`` is the axis that a
    stretched knee bends about.
    """
    thigh, shin, line, way = knee - hip, ankle - knee, ankle - hip, target - hip
    a, b = (np.linalg.norm(bone, axis=-1, keepdims=True) for bone in (thigh, shin))
    far = np.linalg.norm(way, axis=-1, keepdims=True)
    far = np.clip(far, np.abs(a - b) + SHORTEST_M, STRETCHED * (a + b))
    along = line / np.linalg.norm(line, axis=-1, keepdims=True)
    # Where the knee is off the line from hip to ankle; of an almost straight leg that has no direction.
    off = thigh - (thigh * along).sum(-1, keepdims=True) * along
    size = np.linalg.norm(off, axis=-1, keepdims=True)
    bent = np.clip(size / (STRAIGHT * a), 0, 1)
    ahead = np.cross(along, sideways)
    ahead /= np.maximum(np.linalg.norm(ahead, axis=-1, keepdims=True), 1e-12)
    ahead *= np.where((ahead * off).sum(-1, keepdims=True) < -0.5 * size, -1, 1)
    off = bent * off / np.maximum(size, 1e-12) + (1 - bent) * ahead
    off /= np.linalg.norm(off, axis=-1, keepdims=True)
    # The triangle of thigh, shin and the new distance, first on the old line.
    share = (a * a + far * far - b * b) / (2 * far)
    new_thigh = share * along + np.sqrt(np.maximum(a * a - share * share, 0)) * off
    swing = arc(along, way)
    turn_thigh = quaternions.multiply(swing, arc(thigh, new_thigh))
    turn_shin = quaternions.multiply(swing, arc(shin, far * along - new_thigh))
    return turn_thigh, turn_shin
