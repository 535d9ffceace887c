"""One format for every body: the arrays of SMPL under SMPL's own names."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openhmr.errors import InputError
from openhmr.io.atomic import atomic_path
from openhmr.joints import JOINT_SETS, JointSet

FORMAT = "openhmr-body-1"
MAX_ELEMENTS = 20_000_000
"""No array of a body file may hold more numbers than this (a header can claim any size)."""

Array = NDArray[np.float32]
IntArray = NDArray[np.int32]


@dataclass(frozen=True)
class Level:
    """A mesh level whose vertices are a subset of the body's own.

    ``vertex_ids (n,)`` index the body's vertices, ``faces (f,3)`` index the level. ``upsample`` holds
    ``(rows, cols, values)`` of the fixed sparse matrix ``(V, n)`` that carries level vertices to the body's
    vertices; ``None`` where none is defined.
    """

    vertex_ids: IntArray
    faces: IntArray
    upsample: tuple[IntArray, IntArray, Array] | None = None


@dataclass(frozen=True, eq=False)
class Body:
    """A skinned body model. Metres; rest pose is a T-pose, Y up, facing +Z, left = +X.

    ``v_template (V,3)``, ``shapedirs (V,3,S)``, ``posedirs (V,3,P)`` with ``P = 9 (J-1)`` or 0, ``J_regressor
    (J,V)``, ``weights (V,J)``, ``parents (J,)`` with -1 at the root, ``faces (F,3)``; optional ``hands_mean
    (3 (J-1),)`` (MANO), ``uv (T,2)`` with ``face_uv (F,3)``, ``joint_regressors`` name -> (K,V) and
    ``levels`` name -> :class:`Level`.
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
            if f.name in ("parents", "faces", "face_uv") and value is not None:
                object.__setattr__(self, f.name, np.ascontiguousarray(value, np.int32))
            elif f.name not in ("joint_regressors", "levels") and value is not None:
                object.__setattr__(self, f.name, np.ascontiguousarray(value, np.float32))
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
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise InputError(
                    f"body array {name} has shape {getattr(self, name).shape}; with {v} vertices and {j} "
                    f"joints it must be "
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

    def has_joint_regressor(self, joint_set: JointSet) -> bool:
        """Whether :meth:`joint_regressor` knows ``joint_set``."""
        return self._base_regressor(joint_set) is not None

    def joint_regressor(self, joint_set: JointSet) -> NDArray[np.float32]:
        """Matrix ``(J,V)`` from vertices to the joints of ``joint_set``, derived ones included.

        Raises :class:`InputError` if the body has none.
        """
        regressor = self._base_regressor(joint_set)
        if regressor is None:
            known = [s.name for s in JOINT_SETS.values() if self.has_joint_regressor(s)]
            raise InputError(
                f"the body with {self.num_vertices} vertices has no regressor for {joint_set.name} joints, "
                f"only for "
                f"{', '.join(known) or 'none'}; add one, or use another body"
            )
        return joint_set.complete(regressor)

    def _base_regressor(self, joint_set: JointSet) -> NDArray[np.float32] | None:
        if joint_set.name == "smpl" and len(self.J_regressor) == joint_set.size:
            return self.J_regressor
        return self.joint_regressors.get(joint_set.regressor or joint_set.name)

    @property
    def root_regressor(self) -> NDArray[np.float32]:
        """Weights ``(V,)`` of the joint that networks predict relative to: Human3.6M's pelvis where the body
        has it, else the root of its own tree."""
        human36 = self.joint_regressors.get("human36")
        return self.J_regressor[0] if human36 is None else human36[0]

    def matches(self, content_hash: str) -> bool:
        """Whether ``content_hash`` is this body's."""
        return content_hash == self.content_hash()

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

    def content_hash(self) -> str:
        """SHA-256 (first 16 hex digits) of template and faces: what a graph or a network of this body depends
        on."""
        return sha256(self.v_template.tobytes() + self.faces.tobytes()).hexdigest()[:16]

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
        if str(arrays.get("format")) != FORMAT:
            raise InputError(
                f"{path} is not an openhmr body; convert SMPL or MANO files with `openhmr bodies convert IN "
                f"OUT.npz`"
            )

        def dense(name: str) -> Array:
            out = np.zeros([int(n) for n in arrays[f"{name}.shape"]], np.float32)
            out[arrays[f"{name}.rows"], arrays[f"{name}.cols"]] = arrays[f"{name}.values"]
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
