"""Arrays that nobody can write into, and mesh levels made of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from openhmr.errors import InputError

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


def check_range(name: str, indices: NDArray, count: int) -> None:
    """Raises :class:`InputError` if ``indices`` are not all of ``count`` vertices."""
    if indices.size and (indices.min() < 0 or indices.max() >= count):
        wrong = indices.min() if indices.min() < 0 else indices.max()
        raise InputError(f"body {name} index vertex {wrong}, but there are {count}; check that array")


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

    def check(self, name: str, vertices: int) -> None:
        """Raises :class:`InputError` if this cannot be level ``name`` of a body of so many ``vertices``."""
        check_range(f"level {name!r}", self.vertex_ids, vertices)
        check_range(f"faces of level {name!r}", self.faces, len(self.vertex_ids))
        if self.upsample is not None:
            rows, cols, values = self.upsample
            check_range(f"upsampling rows of level {name!r}", rows, vertices)
            check_range(f"upsampling columns of level {name!r}", cols, len(self.vertex_ids))
            if not rows.shape == cols.shape == values.shape:
                raise InputError(
                    f"body level {name!r} has an upsampling of {rows.size} rows, {cols.size} columns and "
                    f"{values.size} values; it needs as many of each"
                )
