"""From anny's relaxed rest pose to a T-pose: legs straight down, arms along X, palms down, feet level and
facing +Z."""

import numpy as np

from openhmr.bodies.skinning import posed_joints
from openhmr.joints.smpl import SMPL_PARENTS

PARENTS = np.array(SMPL_PARENTS)
HAND_ROLL_AXIS = ("finger2-1", "finger5-1")
"""Knuckles whose connecting line gives the roll of a hand (index to little finger)."""


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def frame(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Right-handed orthonormal frames ``(...,3,3)`` (columns) along ``first``, with ``second`` in the plane
    of columns 0 and 1."""
    x = unit(first)
    z = unit(np.cross(x, second))
    return np.stack([x, np.cross(z, x), z], -1)


def shortest_arc(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Rotation matrices ``(...,3,3)`` that take directions ``a`` to ``b`` on the shortest way; half a turn
    about any axis across them where they are opposite."""
    a, b = unit(a), unit(np.broadcast_to(b, a.shape))
    axis, cos = np.cross(a, b), np.sum(a * b, -1)[..., None, None]
    k = np.zeros((*a.shape[:-1], 3, 3))
    k[..., 0, 1], k[..., 0, 2], k[..., 1, 2] = -axis[..., 2], axis[..., 1], -axis[..., 0]
    k -= np.swapaxes(k, -1, -2)
    opposite = cos[..., 0, 0] < -1 + 1e-12
    out = np.eye(3) + k + k @ k / np.where(opposite[..., None, None], 1, 1 + cos)
    if opposite.any():
        # Across a: its cross product with the axis that it has least of.
        across = unit(np.cross(a[opposite], np.eye(3)[np.abs(a[opposite]).argmin(-1)]))
        out[opposite] = 2 * across[..., :, None] * across[..., None, :] - np.eye(3)
    return out


def rest_to_tpose(joints: np.ndarray, heads: np.ndarray, bones: tuple[str, ...]) -> np.ndarray:
    """Global rotation ``(N,24,3,3)`` of each joint that brings rest joints ``(N,24,3)``, bone heads
    ``(N,B,3)`` to the T-pose."""
    out = np.broadcast_to(np.eye(3), (*joints.shape[:2], 3, 3)).copy()
    index = {b: i for i, b in enumerate(bones)}
    down = np.array([0.0, -1.0, 0.0])
    for left, side, letter in ((True, 1.0, "L"), (False, -1.0, "R")):
        hip, knee, ankle, shoulder, elbow, wrist, hand = (
            j if left else j + 1 for j in (1, 4, 7, 16, 18, 20, 22)
        )
        out[:, hip] = shortest_arc(joints[:, knee] - joints[:, hip], down)
        out[:, knee] = shortest_arc(joints[:, ankle] - joints[:, knee], down)
        upper, fore = joints[:, elbow] - joints[:, shoulder], joints[:, wrist] - joints[:, elbow]
        # The elbow bends about -Y on the left and +Y on the right once the palms look down.
        along = np.array([side, 0.0, 0.0])
        target = frame(along, np.array([0.0, -side, 0.0]))
        bend = np.cross(upper, fore)
        out[:, shoulder] = target @ np.swapaxes(frame(upper, bend), -1, -2)
        out[:, elbow] = target @ np.swapaxes(frame(fore, bend), -1, -2)
        index_knuckle, little_knuckle = (heads[:, index[f"{k}.{letter}"]] for k in HAND_ROLL_AXIS)
        # Palms down: the line from the index to the little finger points backwards.
        out[:, wrist] = frame(along, np.array([0.0, 0.0, -1.0])) @ np.swapaxes(
            frame(joints[:, hand] - joints[:, wrist], little_knuckle - index_knuckle), -1, -2
        )
        out[:, hand] = out[:, wrist]
    return out


def pose_joints(joints: np.ndarray, rotations: np.ndarray, parents: np.ndarray = PARENTS) -> np.ndarray:
    """Joint positions ``(N,J,3)`` after each joint's subtree is turned by its GLOBAL rotation ``(N,J,3,3)``;
    root at the origin."""
    return posed_joints(rotations, joints - joints[:, :1], parents)


def pose_vertices(
    vertices: np.ndarray,
    weights: np.ndarray,
    joints: np.ndarray,
    rotations: np.ndarray,
    parents: np.ndarray = PARENTS,
) -> np.ndarray:
    """Linear blend skinning of one body: ``vertices (V,3)``, ``weights (V,J)``, ``joints (J,3)``, global
    ``rotations (J,3,3)``."""
    posed = pose_joints(joints[None], rotations[None], parents)[0]
    offsets = posed - np.einsum("jab,jb->ja", rotations, joints)
    blended = np.tensordot(weights, np.concatenate([rotations, offsets[..., None]], -1), 1)
    return np.einsum("vab,vb->va", blended[..., :3], vertices) + blended[..., 3]
