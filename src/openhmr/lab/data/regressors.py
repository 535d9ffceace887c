"""Joint regressors of the data sets, which fits are checked with and errors are measured at."""

from pathlib import Path

from openhmr.bodies.body import Body
from openhmr.bodies.regressors import add_regressors
from openhmr.bodies.smpl import check_smpl
from openhmr.errors import InputError

FILES = {"human36": "Human36M/J_regressor_h36m_correct.npy", "coco": "MSCOCO/J_regressor_coco_hip_smpl.npy"}
"""Where the original keeps them below its data folder."""


def add(body: Body, **paths: str | Path) -> Body:
    """``body`` with joint regressors by name, ``human36=path, coco=path``: ``.npy`` matrices ``(17, V)`` of
    its own mesh.

    Raises :class:`InputError` for other names, shapes or numbers, and for a body that is not SMPL.
    """
    check_smpl(body)
    for name in paths:
        if name not in FILES:
            raise InputError(f"joint regressor {name!r} is unknown; {sorted(FILES)} can be added")
    return add_regressors(body, paths)
