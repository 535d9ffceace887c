"""Which way is up in a BVH file, and how its skeleton stands at rest: found in its own numbers."""

from itertools import permutations, product

import numpy as np

from openhmr.errors import InputError
from openhmr.lab.anny.tpose import shortest_arc, unit

LIMBS = tuple(
    (side + a, side + b)
    for side in "rl"
    for a, b in (("Thigh", "Shin"), ("Shin", "Foot"), ("Shldr", "ForeArm"), ("ForeArm", "Hand"))
)
AXES = [
    m
    for order in permutations(range(3))
    for signs in product((1, -1), repeat=3)
    if np.linalg.det(m := np.eye(3)[list(order)] * signs) > 0
]
"""The 24 rotations that take axes to axes."""
SNAP = np.cos(np.radians(35))


def rest_frame(at: dict[str, np.ndarray], t_pose: bool = False) -> np.ndarray:
    """Axes (left, up, front) as the columns of ``(3,3)`` of a standing skeleton, whose joints are ``at``
    ``(3,)`` by their pack names.

    Arms may hang, but not cross the body (with ``t_pose`` they must point sideways). Raises
    :class:`InputError` that says what does not stand.
    """
    for a, b in LIMBS:
        if not np.linalg.norm(at[b] - at[a]) > 0:
            raise InputError(f"{a} and {b} lie in one place")
    across = [at["l" + name] - at["r" + name] for name in ("Thigh", "Shldr")]
    trunk = at["head"] - (at["lThigh"] + at["rThigh"]) / 2
    if min(np.linalg.norm(v) for v in (*across, trunk)) == 0:
        raise InputError("hips, shoulders or head lie in one place")
    hips, shoulders, trunk = unit(across[0]), unit(across[1]), unit(trunk)
    if hips @ shoulders < 0.7 or abs(hips @ trunk) > 0.5:
        raise InputError("hips and shoulders do not lie across an upright trunk")
    left = unit(hips + shoulders)
    up = unit(trunk - (trunk @ left) * left)
    frame = np.stack([left, up, np.cross(left, up)], 1)
    nearest = max(AXES, key=lambda axes: float(np.sum(axes * frame)))
    if np.min(np.sum(nearest * frame, 0)) > SNAP:
        frame = nearest
    for a, b in LIMBS:
        direction = unit(at[b] - at[a])
        if a[1:] in ("Thigh", "Shin") and direction @ frame[:, 1] > -0.5:
            raise InputError(f"the bone from {a} to {b} does not point down")
        sideways = direction @ frame[:, 0] * (1 if a[0] == "l" else -1)
        if a[1:] in ("Shldr", "ForeArm") and sideways < (0.8 if t_pose else -0.5):
            raise InputError(f"the bone from {a} to {b} does not point away from the body")
    toes = sum((at[s + "Toe"] - at[s + "Foot"] for s in "rl" if s + "Toe" in at), start=np.zeros(3))
    if np.linalg.norm(toes) > 0 and unit(toes) @ frame[:, 2] < -0.5:
        raise InputError(
            "its toes point backwards: left and right are exchanged, or its axes are left-handed"
        )
    return frame


def world_frame(frame: np.ndarray, turns: np.ndarray, root: np.ndarray, leg: float) -> np.ndarray:
    """Axes (left, up, front) of the file's world, from those of its skeleton at rest.

    Usually the same. Some programs write a skeleton that rests along Y and stands along Z by its root's
    rotation: there the hips (``turns (T,3,3)``, at ``root (T,3)``) are a leg's length above the ground along
    another axis, in the mean of all frames. People who lie keep the axes of their rest.
    """
    up = frame[:, 1]
    mean = (turns @ up).mean(0)
    if np.linalg.norm(mean) < 0.5 or unit(mean) @ up > 0.5:
        return frame
    other = np.zeros(3)
    other[np.argmax(np.abs(mean))] = np.sign(mean[np.argmax(np.abs(mean))])

    def stands(axis: np.ndarray) -> bool:
        return bool(0.6 < np.median(root @ axis) / leg < 1.6)

    if other @ up > 0.5 or stands(up) or not stands(other):
        return frame
    return shortest_arc(up, other) @ frame
