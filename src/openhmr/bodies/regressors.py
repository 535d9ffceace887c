"""Joint regressors from files: where the joints of a data set lie on a mesh."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from openhmr.bodies.body import Body
from openhmr.errors import InputError
from openhmr.io.arrays import read_npy
from openhmr.joints import get_joint_set

MAX_NUMBERS = 10_000_000


def add_regressors(body: Body, files: Mapping[str, str | Path]) -> Body:
    """``body`` with the regressors of more joint sets, by their names: ``.npy`` matrices ``(J,V)`` of its own
    mesh, in which each row weighs the vertices of a joint; derived joints are left out.

    Raises :class:`InputError` for other names, shapes or numbers.
    """
    known = dict(body.joint_regressors)
    for name, path in files.items():
        joint_set = get_joint_set(name)
        matrix, shape = read_npy(path, MAX_NUMBERS), (len(joint_set.base), body.num_vertices)
        if matrix.dtype.kind != "f" or matrix.shape != shape:
            raise InputError(
                f"{path} holds {matrix.dtype} of shape {matrix.shape}; the {name} regressor of this mesh has "
                f"shape {shape}: use the one that belongs to it"
            )
        if not np.isfinite(matrix).all():
            raise InputError(f"{path} holds numbers that are not finite; download it again")
        known[joint_set.regressor or name] = matrix.astype(np.float32)
    return replace(body, joint_regressors=known)
