"""Model files in the layout of SMPL and MANO, filled with numbers from a fixed recipe (nothing licensed)."""

import numpy as np

from openhmr.joints.mano import MANO_PARENTS
from openhmr.joints.smpl import SMPL_PARENTS


def _ellipsoid(rings: int, segments: int, axes: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    polar = np.pi * (np.arange(rings) + 1)[:, None] / (rings + 1)
    azimuth = 2 * np.pi * np.arange(segments) / segments
    points = np.stack(
        np.broadcast_arrays(np.sin(polar) * np.cos(azimuth), np.cos(polar), np.sin(polar) * np.sin(azimuth)),
        -1,
    )
    vertices = np.concatenate([[(0, 1, 0)], points.reshape(-1, 3), [(0, -1, 0)]]) * axes
    k = np.arange(segments)
    after = (k + 1) % segments
    faces = [np.stack([0 * k, 1 + after, 1 + k], -1)]
    for r in range(rings - 1):
        a, b = 1 + r * segments + k, 1 + r * segments + after
        c, d = a + segments, b + segments
        faces.append(np.stack([a, b, d, a, d, c], -1).reshape(-1, 3))
    last = 1 + (rings - 1) * segments
    faces.append(np.stack([0 * k + rings * segments + 1, last + k, last + after], -1))
    return vertices, np.concatenate(faces).astype(np.uint32)


def model(seed: int, hand: bool) -> dict[str, np.ndarray]:
    """SMPL-like (6890 vertices) or MANO-like (778 vertices) arrays, as the files hold them."""
    rng = np.random.default_rng(seed)
    parents = np.array(MANO_PARENTS if hand else SMPL_PARENTS)
    v, f = _ellipsoid(8, 97, (0.05, 0.1, 0.03)) if hand else _ellipsoid(82, 84, (0.25, 0.9, 0.15))
    scale, joints, size = (0.1 if hand else 1.0), len(parents), len(v)
    out = {"v_template": v, "f": f[:1538] if hand else f}
    out["shapedirs"] = rng.standard_normal((size, 3, 10)) * 0.01 * scale
    out["posedirs"] = rng.standard_normal((size, 3, 9 * (joints - 1))) * 0.001 * scale
    regressor = np.zeros((joints, size))
    for row in regressor:
        picked = np.unique(rng.integers(0, size, 16))
        w = rng.random(len(picked))
        row[picked] = w / w.sum()
    index, w = rng.integers(0, joints, (size, 4)), rng.random((size, 4))
    weights = np.zeros((size, joints))
    np.add.at(weights, (np.arange(size)[:, None], index), w)
    out |= {"J_regressor": regressor, "weights": weights / weights.sum(1, keepdims=True)}
    out["kintree_table"] = np.stack([parents, np.arange(joints)]).astype(np.int64).astype(np.uint32)
    if hand:
        out |= {
            "hands_components": rng.standard_normal((45, 45)) * 0.2,
            "hands_mean": rng.standard_normal(45) * 0.2,
        }
    return out
