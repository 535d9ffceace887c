"""How tall a posed person is: the length of legs and trunk, as a share of the mean body's."""

import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.body import Body

_LEGS, _TRUNK = ((11, 13, 15), (12, 14, 16)), (7, 8, 9, 10)
"""Ways whose length bends least with the pose: COCO's hip, knee, ankle; Human3.6M's torso to head."""


def stature(body: Body, vertices: NDArray) -> NDArray[np.float64]:
    """Heights ``(N,)`` in metres of people whose posed ``vertices (N,V,3)`` are metres: what they would
    measure standing upright (ours, within a centimetre or two of the T-pose's height).

    Raises :class:`InputError` for a body without the regressors of COCO's and Human3.6M's joints, such as a
    hand.
    """
    mean = body.v_template.astype(np.float64)
    return _bones(body, vertices) / _bones(body, mean[None]) * np.ptp(mean[:, 1])


def _bones(body: Body, vertices: NDArray) -> NDArray[np.float64]:
    def through(name: str, way: tuple[int, ...]) -> NDArray[np.float64]:
        joints = body.joint_regressor(name)[list(way)] @ vertices
        return np.linalg.norm(np.diff(joints, axis=1), axis=-1).sum(-1)

    return (through("coco", _LEGS[0]) + through("coco", _LEGS[1])) / 2 + through("human36", _TRUNK)


def tpose_heights(body: Body, betas: NDArray) -> NDArray[np.float64]:
    """Heights ``(...)`` in metres of the T-poses of ``betas (...,S)``."""
    low, along = _up(body)
    return low + betas @ along


def _up(body: Body) -> tuple[float, NDArray[np.float64]]:
    """Height of the mean shape's T-pose, and what each beta adds ``(S,)``."""
    top, sole = body.v_template[:, 1].argmax(), body.v_template[:, 1].argmin()
    along = (body.shapedirs[top, 1] - body.shapedirs[sole, 1]).astype(np.float64)
    return float(body.v_template[top, 1] - body.v_template[sole, 1]), along


def betas_of_stature(body: Body, betas: NDArray, height_m: NDArray) -> NDArray[np.float32]:
    """The ``betas (N,S)`` nearest to the given ones whose T-pose is ``height_m (N,)`` tall."""
    mean, along = _up(body)
    now = mean + betas @ along
    return (betas + (height_m - now)[:, None] * along / (along @ along)).astype(np.float32)
