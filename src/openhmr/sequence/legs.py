"""Legs that reach where feet shall stand: hip, knee and ankle turned, in closed form."""

import numpy as np

from openhmr.geometry import quaternions
from openhmr.geometry.quaternions import Quaternions
from openhmr.sequence.penalised import Array

STRETCHED = 0.9995
"""A leg never becomes longer than this share of thigh and shin."""


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
    thigh, shin, way = knee - hip, ankle - knee, target - hip
    a, b = np.linalg.norm(thigh, axis=-1), np.linalg.norm(shin, axis=-1)
    length = np.clip(np.linalg.norm(way, axis=-1), np.abs(a - b) + 1e-6, STRETCHED * (a + b))
    now = np.linalg.norm(ankle - hip, axis=-1)
    axis = np.cross(thigh, shin)
    size = np.linalg.norm(axis, axis=-1, keepdims=True)
    # The bend of an almost straight knee has no direction of its own.
    bent = np.clip(size / (0.1 * a * b)[:, None], 0, 1)
    side = sideways * np.sign((sideways * axis).sum(-1, keepdims=True) + 1e-12)
    axis = bent * axis / np.maximum(size, 1e-12) + (1 - bent) * side
    axis /= np.linalg.norm(axis, axis=-1, keepdims=True)

    def corner(p: Array, q: Array, r: Array) -> Array:
        """Angle between sides p and q of a triangle, opposite of r."""
        return np.arccos(np.clip((p * p + q * q - r * r) / (2 * p * q), -1, 1))

    at_hip = corner(a, length, b) - corner(a, now, b)
    at_knee = corner(a, b, length) - corner(a, b, now)
    turn_thigh = quaternions.exp(-at_hip[:, None] * axis)
    turn_shin = quaternions.multiply(turn_thigh, quaternions.exp(-at_knee[:, None] * axis))
    reached = quaternions.rotate(turn_thigh, thigh) + quaternions.rotate(turn_shin, shin)
    swing = arc(reached, way)
    return quaternions.multiply(swing, turn_thigh), quaternions.multiply(swing, turn_shin)
