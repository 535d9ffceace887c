"""Linear blend skinning of any :class:`Body` (SMPL, Loper et al. 2015, equations 2-10), in NumPy."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from openhmr.bodies.body import Body
from openhmr.errors import InputError
from openhmr.geometry.rotations import axis_angle_to_matrix


def world_rotations(local: NDArray, parents: Sequence[int] | NDArray) -> NDArray:
    """Rotations ``(..., J, 3, 3)`` of the joints in the root's frame from those relative to their parents."""
    world = np.array(local)
    for j, parent in enumerate(parents[1:], start=1):
        world[..., j, :, :] = world[..., parent, :, :] @ local[..., j, :, :]
    return world


def local_rotations(world: NDArray, parents: Sequence[int] | NDArray) -> NDArray:
    """The inverse of :func:`world_rotations`."""
    local, above = np.array(world), list(parents[1:])
    local[..., 1:, :, :] = world[..., above, :, :].swapaxes(-1, -2) @ world[..., 1:, :, :]
    return local


def posed_joints(world: NDArray, rest_joints: NDArray, parents: Sequence[int] | NDArray) -> NDArray:
    """Joints ``(..., J, 3)`` of a tree whose ``world (..., J, 3, 3)`` rotations are given; the root stays at
    rest."""
    joints = np.array(rest_joints)
    for j, parent in enumerate(parents[1:], start=1):
        bone = rest_joints[..., j, :] - rest_joints[..., parent, :]
        joints[..., j, :] = joints[..., parent, :] + (world[..., parent, :, :] @ bone[..., None])[..., 0]
    return joints


def forward_kinematics(
    rotations: NDArray, rest_joints: NDArray, parents: Sequence[int] | NDArray
) -> tuple[NDArray, NDArray]:
    """Rotate a kinematic tree: returns world rotations ``(..., J, 3, 3)`` and posed joints ``(..., J, 3)``.

    ``rotations (..., J, 3, 3)`` are relative to the parent, ``rest_joints (..., J, 3)`` are absolute; joint 0
    is the root and stays where it rests. Batch axes broadcast.
    """
    batch = np.broadcast_shapes(rotations.shape[:-3], rest_joints.shape[:-2])
    dtype = np.result_type(rotations, rest_joints)
    local = np.broadcast_to(rotations, (*batch, *rotations.shape[-3:])).astype(dtype, copy=False)
    rest = np.broadcast_to(rest_joints, (*batch, *rest_joints.shape[-2:])).astype(dtype, copy=False)
    world = world_rotations(local, parents)
    return world, posed_joints(world, rest, parents)


def _offsets(coefficients: NDArray, directions: NDArray) -> NDArray:
    """Sum of ``directions (V, 3, K)`` weighted by ``coefficients (..., K)``: ``(..., V, 3)``."""
    return np.tensordot(coefficients, directions.astype(coefficients.dtype, copy=False), axes=(-1, -1))


def skin(
    body: Body, pose: ArrayLike, betas: ArrayLike, trans: ArrayLike | None = None
) -> tuple[NDArray, NDArray]:
    """Vertices ``(..., V, 3)`` and posed joints ``(..., J, 3)`` in metres, body axes.

    ``pose (..., J, 3)`` axis-angle relative to the parent (radians), ``betas (..., s)`` with ``s`` at most
    the body's shape coefficients (missing ones are 0), ``trans (..., 3)`` metres, added to both. Batch axes
    broadcast. The root turns about the root joint, not about the origin. ``hands_mean`` of a MANO body is
    added to the non-root pose (``flat_hand_mean=False``). The work is done in float32, in float64 if an
    argument is float64. Raises :class:`InputError` on wrong shapes and on batches of different sizes.
    """
    dtype = np.result_type(np.float32, np.asarray(pose), np.asarray(betas))
    pose, betas = np.array(pose, dtype), np.asarray(betas, dtype)
    if pose.shape[-2:] != (body.num_joints, 3):
        raise InputError(
            f"pose has shape {pose.shape}; this body needs (..., {body.num_joints}, 3): axis-angle per joint"
        )
    if betas.ndim == 0 or betas.shape[-1] > body.num_betas:
        raise InputError(
            f"betas have shape {betas.shape}; this body takes (..., up to {body.num_betas}): drop the rest"
        )
    shift = np.zeros(3, dtype) if trans is None else np.asarray(trans, dtype)
    if shift.shape[-1:] != (3,):
        raise InputError(f"trans has shape {shift.shape}; (..., 3) metres are needed")
    try:
        np.broadcast_shapes(pose.shape[:-2], betas.shape[:-1], shift.shape[:-1])
    except ValueError:
        raise InputError(
            f"pose {pose.shape}, betas {betas.shape} and trans {shift.shape} differ in their batch axes, "
            f"{pose.shape[:-2]}, {betas.shape[:-1]} and {shift.shape[:-1]}; give as many of each, or one"
        ) from None
    if body.hands_mean is not None:
        pose[..., 1:, :] += body.hands_mean.reshape(-1, 3)
    rotations = axis_angle_to_matrix(pose)
    shaped = body.v_template + _offsets(betas, body.shapedirs[..., : betas.shape[-1]])
    rest_joints = body.J_regressor.astype(dtype, copy=False) @ shaped
    posed = shaped
    if body.posedirs.shape[-1]:
        features = (rotations[..., 1:, :, :] - np.eye(3, dtype=dtype)).reshape(
            *rotations.shape[:-3], 9 * (body.num_joints - 1)
        )
        posed = shaped + _offsets(features, body.posedirs)
    world, joints = forward_kinematics(rotations, rest_joints, body.parents)
    # x -> R x + t per joint, with t chosen so that the rest joint lands on the posed joint; then blended per
    # vertex.
    offsets = joints - (world @ rest_joints[..., None])[..., 0]
    transforms = np.concatenate([world, offsets[..., None]], axis=-1)
    blended = body.weights.astype(dtype, copy=False) @ transforms.reshape(*transforms.shape[:-2], 12)
    blended = blended.reshape(*blended.shape[:-1], 3, 4)
    vertices = np.einsum("...vij,...vj->...vi", blended[..., :3], posed) + blended[..., 3]
    if trans is not None:
        vertices, joints = vertices + shift[..., None, :], joints + shift[..., None, :]
    return vertices, joints
