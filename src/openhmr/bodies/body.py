"""One format for every body: the arrays of SMPL under SMPL's own names."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.content import first_version, same_body, second_version
from openhmr.bodies.level import Array, IntArray, Level, check_range, read_only
from openhmr.bodies.mano import is_mano, mano_joint_regressor
from openhmr.bodies.storage import PLAIN, read_parts, to_arrays
from openhmr.errors import InputError
from openhmr.io.atomic import atomic_path
from openhmr.joints import HUMAN36, JOINT_SETS, POINTS, JointSet, get_joint_set, has_points, point_indices


@dataclass(frozen=True, eq=False, repr=False)
class Body:
    """A skinned body model. Metres; rest pose is a T-pose, Y up, facing +Z, left = +X.

    ``v_template (V,3)``, ``shapedirs (V,3,S)``, ``posedirs (V,3,P)`` with ``P = 9 (J-1)`` or 0, ``J_regressor
    (J,V)``, ``weights (V,J)``, ``parents (J,)`` with -1 at the root, ``faces (F,3)``; optional ``hands_mean
    (3 (J-1),)`` (MANO), ``uv (T,2)`` with ``face_uv (F,3)``, ``joint_regressors`` name -> (K,V) and
    ``levels`` name -> :class:`Level`. All arrays are read-only; arrays that somebody else can write into are
    copied. Raises :class:`InputError` where shapes do not belong together.
    """

    v_template: Array
    shapedirs: Array
    posedirs: Array
    J_regressor: Array
    weights: Array
    parents: IntArray
    faces: IntArray
    hands_mean: Array | None = None
    uv: Array | None = None
    face_uv: IntArray | None = None
    joint_regressors: Mapping[str, Array] = field(default_factory=dict)
    levels: Mapping[str, Level] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name == "joint_regressors":
                value = {name: read_only(matrix, np.float32) for name, matrix in value.items()}
            elif f.name == "levels":
                value = dict(value)
            elif value is not None:
                kind = np.int32 if f.name in ("parents", "faces", "face_uv") else np.float32
                value = read_only(value, kind)
            object.__setattr__(self, f.name, value)
        self._check()

    def _check(self) -> None:
        v, j = self.num_vertices, self.num_joints
        expected = {
            "v_template": (v, 3),
            "shapedirs": (v, 3, self.shapedirs.shape[-1]),
            "J_regressor": (j, v),
            "weights": (v, j),
            "faces": (self.faces.shape[0], 3),
        }
        found = {name: getattr(self, name).shape for name in expected}
        for name, matrix in self.joint_regressors.items():
            expected[f"joint_regressors/{name}"] = (*matrix.shape[:1], v)
            found[f"joint_regressors/{name}"] = matrix.shape
        for name, shape in expected.items():
            if found[name] != shape:
                raise InputError(
                    f"body array {name} has shape {found[name]}; with {v} vertices and {j} joints it must be "
                    f"{shape}: check that all arrays come from one model"
                )
        if self.posedirs.shape not in ((v, 3, 0), (v, 3, 9 * (j - 1))):
            raise InputError(
                f"body array posedirs has shape {self.posedirs.shape}; allowed are {(v, 3, 0)} and "
                f"{(v, 3, 9 * (j - 1))}"
            )
        if (
            self.parents[0] != -1
            or np.any(self.parents[1:] < 0)
            or np.any(self.parents[1:] >= np.arange(1, j))
        ):
            raise InputError(
                f"body parents {self.parents.tolist()} must start with -1 and name only earlier joints; "
                f"reorder the joints"
            )
        check_range("faces", self.faces, v)
        if self.hands_mean is not None and self.hands_mean.shape != (3 * (j - 1),):
            raise InputError(
                f"body array hands_mean has shape {self.hands_mean.shape}; {j} joints need {(3 * (j - 1),)}"
            )
        for name, level in self.levels.items():
            level.check(name, v)

    def __repr__(self) -> str:
        parts = f"{self.num_vertices} vertices, {self.num_joints} joints, {self.num_betas} betas"
        return f"Body({parts}, regressors {sorted(self.joint_regressors)}, levels {sorted(self.levels)})"

    @property
    def num_vertices(self) -> int:
        return int(self.v_template.shape[0])

    @property
    def num_joints(self) -> int:
        return int(self.parents.shape[0])

    @property
    def num_betas(self) -> int:
        return int(self.shapedirs.shape[-1])

    def has_joint_regressor(self, joint_set: JointSet | str) -> bool:
        """Whether :meth:`joint_regressor` knows ``joint_set``."""
        return self._base_regressor(get_joint_set(joint_set)) is not None

    def joint_regressor(self, joint_set: JointSet | str) -> NDArray[np.float32]:
        """Matrix ``(J,V)`` from vertices to the joints of a joint set (or its name), derived ones included.

        Raises :class:`InputError` if the body has none.
        """
        joint_set = get_joint_set(joint_set)
        regressor = self._base_regressor(joint_set)
        if regressor is None:
            known = [s.name for s in JOINT_SETS.values() if self.has_joint_regressor(s)]
            raise InputError(
                f"the body with {self.num_vertices} vertices has no joint regressor {joint_set.name!r}; it "
                f"has {', '.join(known) or 'none'}: convert the body together with the regressor of these "
                f"joints, or use another body"
            )
        return joint_set.complete(regressor)

    def _base_regressor(self, joint_set: JointSet) -> NDArray[np.float32] | None:
        own = self.joint_regressors.get(joint_set.regressor or joint_set.name)
        if own is not None:
            return own
        if "points" in self.joint_regressors and has_points(joint_set):
            return self._points_regressor[point_indices(joint_set)]
        if joint_set.name == "smpl" and len(self.J_regressor) == joint_set.size:
            return self.J_regressor
        if joint_set.name == "mano" and is_mano(self):
            return mano_joint_regressor(self)
        return None

    @cached_property
    def _points_regressor(self) -> NDArray[np.float32]:
        return POINTS.complete(self.joint_regressors["points"])

    @property
    def root_regressor(self) -> NDArray[np.float32]:
        """Weights ``(V,)`` of the joint that networks predict relative to: the body's own ``root`` regressor,
        or Human3.6M's pelvis where it has that, else the root of its tree."""
        if "root" in self.joint_regressors:
            return self.joint_regressors["root"][0]
        human36 = self._base_regressor(HUMAN36)
        return self.J_regressor[0] if human36 is None else human36[0]

    def content_hash(self) -> str:
        """A text that tells this body from others: it covers every array that a network or a prediction
        depends on. Computed once."""
        return self._content_hash

    @cached_property
    def _content_hash(self) -> str:
        names = ("shapedirs", "posedirs", "J_regressor", "weights", "parents", "hands_mean")
        others = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        if "coarse" in self.levels:
            coarse = self.levels["coarse"]
            others |= {"coarse/vertex_ids": coarse.vertex_ids, "coarse/faces": coarse.faces}
            others |= {f"coarse/upsample{i}": part for i, part in enumerate(coarse.upsample or ())}
        return second_version(self.v_template, self.faces, others, self.joint_regressors)

    def matches(self, content_hash: str) -> bool:
        """Whether a model file with this ``content_hash`` was made for this body.

        Hashes of older files, which know template and faces alone, are recognised.
        """
        if ":" not in content_hash:
            return content_hash == first_version(self.v_template, self.faces)
        return same_body(content_hash, self.content_hash())

    def level(self, name: str) -> Level:
        """The level ``name``; raises :class:`InputError` that lists the known ones."""
        if name not in self.levels:
            raise InputError(f"body has no level {name!r}; it has {sorted(self.levels) or 'none'}")
        return self.levels[name]

    def at_level(self, name: str) -> "Body":
        """This body reduced to the vertices of level ``name``; smaller levels and named regressors come
        along.

        Exact only for regressors whose support lies within the level (the open body's all lie within *full*).
        """
        level = self.level(name)
        ids = level.vertex_ids
        renumber = np.full(self.num_vertices, -1, np.int32)
        renumber[ids] = np.arange(len(ids))

        def reduced(other: Level) -> Level:
            assert other.upsample is not None
            rows, cols, values = other.upsample
            kept = renumber[rows] >= 0
            return Level(
                renumber[other.vertex_ids], other.faces, (renumber[rows[kept]], cols[kept], values[kept])
            )

        inside = {k: v for k, v in self.levels.items() if k != name and np.all(renumber[v.vertex_ids] >= 0)}
        return Body(
            self.v_template[ids],
            self.shapedirs[ids],
            self.posedirs[ids],
            self.J_regressor[:, ids],
            self.weights[ids],
            self.parents,
            level.faces,
            self.hands_mean,
            joint_regressors={k: v[:, ids] for k, v in self.joint_regressors.items()},
            levels={k: reduced(v) for k, v in inside.items()},
        )

    def save(self, path: str | Path) -> None:
        """Write one compressed ``.npz`` without pickles, atomically; :meth:`load` reads it."""
        matrices = {"J_regressor": self.J_regressor, "weights": self.weights}
        matrices |= {f"joint_regressors/{name}": matrix for name, matrix in self.joint_regressors.items()}
        arrays = to_arrays({name: getattr(self, name) for name in PLAIN}, matrices, self.levels)
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: str | Path) -> "Body":
        """Read what :meth:`save` wrote. Raises :class:`InputError` for anything else."""
        return cls(**read_parts(path))
