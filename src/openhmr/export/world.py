"""The axes of files that others read: x right, y up, the camera at the origin."""

import numpy as np
from numpy.typing import NDArray

from openhmr.camera import Camera
from openhmr.geometry.rotations import axis_angle_to_matrix

HALF_TURN = np.diag([1.0, -1.0, -1.0])
"""About x: camera axes (x right, y down, z forward) to those of mesh files (x right, y up, z to the
viewer)."""


def world_from_camera(camera: Camera) -> NDArray[np.float64]:
    """The rotation ``(3,3)`` from camera axes to the files': half a turn about x, and where the camera knows
    which way is down, the shortest turn that levels the floor."""
    if camera.down is None:
        return HALF_TURN
    up = -HALF_TURN @ camera.down
    axis = np.cross(up, [0.0, 1.0, 0.0])
    sine, cosine = np.linalg.norm(axis), up[1]
    if sine < 1e-9:  # level already, or a camera on its head: half a turn about its line of sight
        return HALF_TURN if cosine > 0 else np.diag([-1.0, -1.0, 1.0]) @ HALF_TURN
    return axis_angle_to_matrix(axis / sine * np.arctan2(sine, cosine)) @ HALF_TURN


def in_world(points: NDArray, camera: Camera) -> NDArray:
    """``points (...,3)`` of camera axes in the files' axes."""
    return (points @ world_from_camera(camera).T).astype(points.dtype)
