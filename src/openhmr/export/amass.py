"""Motions as AMASS keeps them (Mahmood et al. 2019): SMPL+H poses, world z up."""

from pathlib import Path

import numpy as np

from openhmr.export.motion import Clip, Motion, of_person
from openhmr.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from openhmr.io.atomic import atomic_path

_BODY, _JOINTS, _BETAS, _DMPLS = 22, 52, 16, 8
"""SMPL+H's joints without and with its hands, and its numbers of shape and of soft tissue."""

Z_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
"""From the axes of other files (x right, y up, z to the viewer) to AMASS's: x right, y away, z up."""


def write_amass(path: Path, clip: Clip) -> None:
    """Write a ``.npz`` a person: ``poses (T,156)``, ``betas (16,)``, ``trans (T,3)``, ``dmpls``, ``gender``
    and ``mocap_framerate``, besides ``times_s (T,)`` from the clip's first frame.

    Hands are flat: SMPL's two hand joints have no like among SMPL+H's fingers. ``betas`` are those of the
    body that was lifted with, named by ``openhmr_body``: of the open body they are no shape of SMPL's.
    """
    for motion in clip.bodies:
        with atomic_path(of_person(path, motion.name)) as temporary, temporary.open("wb") as file:
            arrays = _arrays(motion.evenly(clip.period_s), clip.period_s)
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def _arrays(motion: Motion, period_s: float) -> dict[str, np.ndarray]:
    pose, count = motion.pose.copy(), len(motion.pose)
    pose[:, 0] = matrix_to_axis_angle(Z_UP @ axis_angle_to_matrix(pose[:, 0]))
    poses = np.zeros((count, _JOINTS, 3))
    poses[:, :_BODY] = pose[:, :_BODY]
    return {
        "poses": poses.reshape(count, -1),
        "betas": np.pad(motion.betas.astype(np.float64), (0, max(0, _BETAS - len(motion.betas)))),
        "trans": motion.root @ Z_UP.T - motion.rest_joints[0],
        "dmpls": np.zeros((count, _DMPLS)),
        "gender": np.array("neutral"),
        "mocap_framerate": np.array(1 / period_s),
        "times_s": motion.times_s,
        "openhmr_body": np.array(motion.body.content_hash()),
    }
