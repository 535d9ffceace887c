"""One format for every body: the arrays of SMPL under SMPL's own names."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from openhmr.bodies.content import first_version, same_body, second_version
from openhmr.bodies.mano import is_mano, mano_joint_regressor
from openhmr.errors import InputError
from openhmr.io.atomic import atomic_path
from openhmr.joints import JOINT_SETS, JointSet, get_joint_set

FORMAT = "openhmr-body-1"
MAX_ELEMENTS = 20_000_000
"""No array of a body file may hold more numbers than this (a header can claim any size)."""

Array = NDArray[np.float32]
IntArray = NDArray[np.int32]


def read_only(value: ArrayLike, dtype: DTypeLike) -> NDArray:
    """``value`` as an array that nobody can write into: copied where somebody still could."""
    out = np.ascontiguousarray(value, dtype)
    owner: object = out
    while isinstance(owner, np.ndarray):
        if owner.flags.writeable:
            out = out.copy() if out is value or out.base is not None else out
            out.flags.writeable = False
            break
        owner = owner.base
    return out


@dataclass(frozen=True, eq=False)
class Level:
    """A mesh level whose vertices are a subset of the body's own.

    ``vertex_ids (n,)`` index the body's vertices, ``faces (f,3)`` index the level. ``upsample`` holds
    ``(rows, cols, values)`` of the fixed sparse matrix ``(V, n)`` that carries level vertices to the body's
    vertices; ``None`` where none is defined.
    """

    vertex_ids: IntArray
    faces: IntArray
    upsample: tuple[IntArray, IntArray, Array] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "vertex_ids", read_only(self.vertex_ids, np.int32))
        object.__setattr__(self, "faces", read_only(self.faces, np.int32))
        if self.upsample is not None:
            rows, cols, values = self.upsample
            frozen = read_only(rows, np.int32), read_only(cols, np.int32), read_only(values, np.float32)
            object.__setattr__(self, "upsample", frozen)


@dataclass(frozen=True, eq=False)
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
        if self.faces.size and (self.faces.min() < 0 or self.faces.max() >= v):
            raise InputError(
                f"body faces index {int(self.faces.max())}, but there are {v} vertices; check the faces array"
            )

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
                f"has {', '.join(known) or 'none'}: add it from the data sets' files, or use another body"
            )
        return joint_set.complete(regressor)

    def _base_regressor(self, joint_set: JointSet) -> NDArray[np.float32] | None:
        if joint_set.name == "smpl" and len(self.J_regressor) == joint_set.size:
            return self.J_regressor
        if joint_set.name == "mano" and is_mano(self):
            return mano_joint_regressor(self)
        return self.joint_regressors.get(joint_set.regressor or joint_set.name)

    @property
    def root_regressor(self) -> NDArray[np.float32]:
        """Weights ``(V,)`` of the joint that networks predict relative to: Human3.6M's pelvis where the body
        has it, else the root of its own tree."""
        human36 = self.joint_regressors.get("human36")
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
        """Write one compressed ``.npz`` without pickles; mostly-zero matrices are stored as (rows, cols,
        values)."""
        out: dict[str, np.ndarray] = {"format": np.array(FORMAT)}
        for name in (
            "v_template",
            "shapedirs",
            "posedirs",
            "parents",
            "faces",
            "hands_mean",
            "uv",
            "face_uv",
        ):
            if getattr(self, name) is not None:
                out[name] = getattr(self, name)
        matrices = {"J_regressor": self.J_regressor, "weights": self.weights}
        matrices |= {f"joint_regressors/{k}": v for k, v in self.joint_regressors.items()}
        for name, dense in matrices.items():
            rows, cols = np.nonzero(dense)
            out |= {f"{name}.shape": np.array(dense.shape), f"{name}.rows": rows.astype(np.int32)}
            out |= {
                f"{name}.cols": cols.astype(np.int32),
                f"{name}.values": dense[rows, cols].astype(np.float32),
            }
        for name, level in self.levels.items():
            out |= {f"levels/{name}.vertex_ids": level.vertex_ids, f"levels/{name}.faces": level.faces}
            if level.upsample is not None:
                out |= {
                    f"levels/{name}.{k}": v
                    for k, v in zip(("rows", "cols", "values"), level.upsample, strict=True)
                }
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **out)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: str | Path) -> "Body":
        """Read what :meth:`save` wrote. Raises :class:`InputError` for anything else."""
        from openhmr.io.arrays import read_npz

        arrays = read_npz(path, MAX_ELEMENTS)
        for array in arrays.values():
            array.flags.writeable = False  # so that nothing is copied
        if str(arrays.get("format")) != FORMAT:
            raise InputError(
                f"{path} is not an openhmr body; convert SMPL or MANO files with `openhmr bodies convert IN "
                f"OUT.npz`"
            )

        def dense(name: str) -> Array:
            out = np.zeros([int(n) for n in arrays[f"{name}.shape"]], np.float32)
            out[arrays[f"{name}.rows"], arrays[f"{name}.cols"]] = arrays[f"{name}.values"]
            out.flags.writeable = False
            return out

        names = lambda prefix: sorted(
            {k[len(prefix) :].split(".")[0] for k in arrays if k.startswith(prefix)}
        )
        levels = {}
        for n in names("levels/"):
            up = [arrays.get(f"levels/{n}.{k}") for k in ("rows", "cols", "values")]
            upsample = None if up[0] is None else (up[0], up[1], up[2])
            levels[n] = Level(arrays[f"levels/{n}.vertex_ids"], arrays[f"levels/{n}.faces"], upsample)  # type: ignore[arg-type]
        plain = ("v_template", "shapedirs", "posedirs", "parents", "faces", "hands_mean", "uv", "face_uv")
        return cls(
            **{k: arrays[k] for k in plain if k in arrays},
            J_regressor=dense("J_regressor"),
            weights=dense("weights"),
            joint_regressors={n: dense(f"joint_regressors/{n}") for n in names("joint_regressors/")},
            levels=levels,
        )
