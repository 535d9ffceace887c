"""Joint regressors of the data sets, which fits are checked with and errors are measured at."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from openhmr.bodies.body import Body
from openhmr.bodies.smpl import check_smpl
from openhmr.errors import InputError
from openhmr.io.arrays import read_npy

FILES = {"human36": "Human36M/J_regressor_h36m_correct.npy", "coco": "MSCOCO/J_regressor_coco_hip_smpl.npy"}
"""Where the original keeps them below its data folder."""
JOINTS = 17


def add(body: Body, **paths: str | Path) -> Body:
    """``body`` with joint regressors by name, ``human36=path, coco=path``: ``.npy`` matrices ``(17, V)`` of
    its own mesh.

    Raises :class:`InputError` for other names, shapes or numbers, and for a body that is not SMPL.
    """
    check_smpl(body)
    known = dict(body.joint_regressors)
    for name, path in paths.items():
        if name not in FILES:
            raise InputError(f"joint regressor {name!r} is unknown; {sorted(FILES)} can be added")
        matrix = read_npy(path, 10_000_000)
        if matrix.dtype.kind != "f" or matrix.shape != (JOINTS, body.num_vertices):
            raise InputError(
                f"{path} holds {matrix.dtype} of shape {matrix.shape}; the regressor of this mesh has shape "
                f"({JOINTS}, "
                f"{body.num_vertices}): use the one that belongs to it"
            )
        if not np.isfinite(matrix).all():
            raise InputError(f"{path} holds numbers that are not finite; download it again")
        known[name] = matrix.astype(np.float32)
    return replace(body, joint_regressors=known)
