"""Binary glTF 2.0 (Khronos specification 2.0, sections 3 and 4.4), written by hand: the container."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openhmr.io.atomic import atomic_path

ARRAY_BUFFER, ELEMENT_BUFFER = 34962, 34963
_MAGIC, _VERSION, _JSON, _BIN = 0x46546C67, 2, 0x4E4F534A, 0x004E4942
_COMPONENTS = {"|u1": 5121, "<u2": 5123, "<u4": 5125, "<f4": 5126}
_TYPES = {1: "SCALAR", 3: "VEC3", 4: "VEC4", 16: "MAT4"}


class Gltf:
    """A document with one buffer. :meth:`put` appends to any of its lists, :meth:`array` to the buffer."""

    def __init__(self) -> None:
        self.document: dict[str, Any] = {"asset": {"version": "2.0", "generator": "openhmr"}}
        self._data = bytearray()

    def put(self, kind: str, **item: Any) -> int:
        """Append ``item`` to ``nodes``, ``meshes`` ... and return its index."""
        items = self.document.setdefault(kind, [])
        items.append(item)
        return len(items) - 1

    def array(
        self, array: NDArray, target: int | None = None, *, normalized: bool = False, bounds: bool = False
    ) -> int:
        """Append ``array (N,)`` or ``(N,C)`` and return the index of its accessor.

        ``normalized`` for whole numbers that stand for 0..1; ``bounds`` where the specification asks for
        minimum and maximum: positions, and times of key frames.
        """
        array = np.ascontiguousarray(array)
        view: dict[str, Any] = {"buffer": 0, "byteOffset": len(self._data), "byteLength": array.nbytes}
        if target is not None:
            view["target"] = target
        flat = array.reshape(len(array), -1)
        accessor: dict[str, Any] = {
            "bufferView": self.put("bufferViews", **view),
            "componentType": _COMPONENTS[array.dtype.str],
            "count": len(array),
            "type": _TYPES[flat.shape[1]],
        }
        if normalized:
            accessor["normalized"] = True
        if bounds:
            accessor |= {"min": flat.min(0).tolist(), "max": flat.max(0).tolist()}
        self._data += array.tobytes()
        self._data += b"\0" * (-len(self._data) % 4)
        return self.put("accessors", **accessor)

    def save(self, path: str | Path) -> None:
        """Write the file, atomically."""
        if self._data:
            self.document["buffers"] = [{"byteLength": len(self._data)}]
        text = json.dumps(self.document, separators=(",", ":")).encode()
        chunks = [(_JSON, text + b" " * (-len(text) % 4))]
        if self._data:
            chunks.append((_BIN, bytes(self._data)))
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            file.write(struct.pack("<III", _MAGIC, _VERSION, 12 + sum(8 + len(c) for _, c in chunks)))
            for kind, chunk in chunks:
                file.write(struct.pack("<II", len(chunk), kind) + chunk)
