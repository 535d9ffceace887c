"""How tall a posed person is: the length of legs and trunk, as a share of the mean body's."""

import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.body import Body
from openhmr.bodies.skinning import skin

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


def grown_betas(
    body: Body, pose: NDArray, betas: NDArray, scale: NDArray, height_m: NDArray
) -> NDArray[np.float32]:
    """The ``betas (N,S)`` whose bodies are most like those of the given ones times ``scale (N,)``, vertex by
    vertex in the T-pose, and as tall in their ``pose (N,J,3)`` as ``height_m (N,)`` by :func:`stature`.

    No body model has every body's larger copy: at 5 per cent some 4 mm are left (ours).
    """
    directions = body.shapedirs.astype(np.float64)
    mean = body.v_template.astype(np.float64)
    higher = stature(body, mean + np.moveaxis(directions, -1, 0)) - stature(body, mean[None])
    across = (directions - directions.mean(0)).reshape(-1, directions.shape[-1])
    metric = across.T @ across
    larger = np.linalg.solve(metric, across.T @ (mean - mean.mean(0)).ravel())
    out = scale[:, None] * betas + (scale[:, None] - 1) * larger
    way = np.linalg.solve(metric, higher)  # what changes the body least for a height
    for _ in range(2):
        lacking = height_m - stature(body, skin(body, pose, out.astype(np.float32))[0])
        out = out + lacking[:, None] * way / (higher @ way)
    return out.astype(np.float32)


def tpose_heights(body: Body, betas: NDArray) -> NDArray[np.float64]:
    """Heights ``(...)`` in metres of the T-poses of ``betas (...,S)``."""
    low, along = _up(body)
    return low + betas @ along


def _up(body: Body) -> tuple[float, NDArray[np.float64]]:
    """Height of the mean shape's T-pose, and what each beta adds ``(S,)``."""
    top, sole = body.v_template[:, 1].argmax(), body.v_template[:, 1].argmin()
    along = (body.shapedirs[top, 1] - body.shapedirs[sole, 1]).astype(np.float64)
    return float(body.v_template[top, 1] - body.v_template[sole, 1]), along
