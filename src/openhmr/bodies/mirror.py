"""The mirror image of a body model: a left hand from a right one."""

from dataclasses import replace

import numpy as np

from openhmr.bodies.body import Body


def mirrored(body: Body) -> Body:
    """``body`` as a mirror shows it (x -> -x), its faces reversed so that they still look outwards: a left
    hand of a right one. Joints keep their numbers. Exact."""
    x = np.array([-1, 1, 1], np.float32)
    bend = None
    if body.hands_mean is not None:
        bend = (body.hands_mean.reshape(-1, 3) * -x).reshape(-1)
    # What turns add to vertices depends on rotation matrices, whose entries change sign where one axis is x.
    turned = np.tile(np.outer(x, x).ravel(), body.posedirs.shape[2] // 9)
    return replace(
        body,
        v_template=body.v_template * x,
        shapedirs=body.shapedirs * x[:, None],
        posedirs=body.posedirs * x[:, None] * turned,
        faces=body.faces[:, ::-1],
        hands_mean=bend,
        face_uv=None if body.face_uv is None else body.face_uv[:, ::-1],
        levels={name: replace(level, faces=level.faces[:, ::-1]) for name, level in body.levels.items()},
    )
