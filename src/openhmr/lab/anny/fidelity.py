"""How far the open body is from ``anny`` itself: the same people in the same poses, vertex by vertex."""

import numpy as np

from openhmr.bodies.body import Body
from openhmr.bodies.skinning import world_rotations
from openhmr.lab.anny import source as anny_source
from openhmr.lab.anny import tpose
from openhmr.lab.anny.body import POPULATIONS, fold_skin


def measure(body: Body, rotations: np.ndarray, seed: int = 99) -> dict[str, float]:
    """Errors (mm) over the render vertices of ``len(rotations)`` new people, one for each pose ``(N,24,3,3)``
    (local rotations).

    anny is posed with all 104 bones and its own (up to nine) weights a vertex; our body with the ten betas
    nearest to the person. ``shape`` is the error in the T-pose, ``posed`` after posing, both root-relative.
    """
    source = anny_source.load_anny()
    ids, _ = fold_skin(source)
    vertices, heads, _ = source.sample(len(rotations), seed, POPULATIONS["adults"])
    joints = anny_source.joint_heads(heads, source.bones)
    turn = tpose.rest_to_tpose(joints, heads, source.bones)
    directions = body.shapedirs.reshape(-1, body.num_betas).astype(np.float64)
    gram = directions.T @ directions
    shape_errors, posed_errors = [], []
    for rest, centres, to_tpose, local in zip(vertices, joints, turn, rotations, strict=True):
        world = world_rotations(local, tpose.PARENTS)
        # anny: each bone turns with the joint it folds onto, about that joint's centre, exactly as anny's own
        # linear skinning.
        anny_weights = np.zeros((len(ids), 24))
        np.add.at(anny_weights.T, source.bone_joint, source.weights[ids].T)
        truth = tpose.pose_vertices(rest[ids], anny_weights, centres, world @ to_tpose)
        upright = tpose.pose_vertices(rest[ids], anny_weights, centres, to_tpose)
        betas = np.linalg.solve(gram, directions.T @ (upright - body.v_template).reshape(-1))
        shaped = body.v_template + body.shapedirs @ betas
        own = tpose.pose_vertices(shaped, body.weights, body.J_regressor @ shaped, world)
        shape_errors.append(np.linalg.norm(shaped - upright, axis=1))
        posed_errors.append(np.linalg.norm(own - truth, axis=1))
    out: dict[str, float] = {}
    for name, errors in (("shape", np.array(shape_errors)), ("posed", np.array(posed_errors))):
        out |= {f"{name}_mean_mm": errors.mean() * 1e3, f"{name}_p99_mm": np.percentile(errors, 99) * 1e3}
        out |= {
            f"{name}_worst_mm": errors.max() * 1e3,
            f"{name}_worst_person_mean_mm": errors.mean(1).max() * 1e3,
        }
    return {k: round(float(v), 2) for k, v in out.items()}
