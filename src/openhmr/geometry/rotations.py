"""Rotations as axis-angle vectors and matrices, batch axes in front."""

import numpy as np
from numpy.typing import NDArray


def axis_angle_to_matrix(axis_angle: NDArray) -> NDArray:
    """Rodrigues' formula ``(..., 3) -> (..., 3, 3)``, radians, floating type kept.

    Follows the SMPL layer of Pose2Mesh step by step, because float32 parity depends on it: the angle is ``|v
    + 1e-8|``, the axis is ``v / angle``, the quaternion of both is normalised again and then expanded.
    """
    v = np.asarray(axis_angle)
    epsilon = v.dtype.type(1e-8)
    angle = np.linalg.norm(v + epsilon, axis=-1, keepdims=True)
    # In float32 the epsilon vanishes beside larger components only; v = (-1e-8, ...) would give 0 / 0.
    angle = np.where(angle == 0, epsilon, angle)
    quaternion = np.concatenate([np.cos(angle / 2), np.sin(angle / 2) * (v / angle)], axis=-1)
    w, x, y, z = np.moveaxis(quaternion / np.linalg.norm(quaternion, axis=-1, keepdims=True), -1, 0)
    rows = (
        w * w + x * x - y * y - z * z,
        2 * x * y - 2 * w * z,
        2 * w * y + 2 * x * z,
        2 * w * z + 2 * x * y,
        w * w - x * x + y * y - z * z,
        2 * y * z - 2 * w * x,
        2 * x * z - 2 * w * y,
        2 * w * x + 2 * y * z,
        w * w - x * x - y * y + z * z,
    )
    return np.stack(rows, axis=-1).reshape(*v.shape[:-1], 3, 3)


def matrix_to_axis_angle(matrix: NDArray) -> NDArray:
    """Inverse of :func:`axis_angle_to_matrix`, ``(..., 3, 3) -> (..., 3)``, with angles in [0, pi].

    Through the quaternion whose largest component is taken from the diagonal (Shepperd 1978), so that no
    angle, 0 and pi included, loses digits.
    """
    m = np.asarray(matrix)
    m00, m11, m22 = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    # Rows of 4 q q^T for q = (w, x, y, z): each is q scaled by one of its components.
    a, b, c = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    d, e, f = m[..., 1, 0] + m[..., 0, 1], m[..., 0, 2] + m[..., 2, 0], m[..., 2, 1] + m[..., 1, 2]
    rows = np.stack(
        [
            np.stack([1 + m00 + m11 + m22, a, b, c], -1),
            np.stack([a, 1 + m00 - m11 - m22, d, e], -1),
            np.stack([b, d, 1 - m00 + m11 - m22, f], -1),
            np.stack([c, e, f, 1 - m00 - m11 + m22], -1),
        ],
        axis=-2,
    )
    best = np.argmax(np.diagonal(rows, axis1=-2, axis2=-1), axis=-1)
    q = np.take_along_axis(rows, best[..., None, None], axis=-2)[..., 0, :]
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    q = np.where(q[..., :1] < 0, -q, q)
    sine = np.linalg.norm(q[..., 1:], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, q[..., :1])
    return q[..., 1:] * np.divide(angle, sine, out=np.full_like(angle, 2), where=sine > 0)
