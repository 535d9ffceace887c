"""Binary glTF 2.0 (Khronos specification 2.0, sections 3 and 4.4), written by hand."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openhmr.export.obj import CAMERA_TO_Y_UP
from openhmr.io.atomic import atomic_path
from openhmr.people import People
from openhmr.render.suit import suit_colours, suit_of

_MAGIC, _VERSION, _JSON, _BIN = 0x46546C67, 2, 0x4E4F534A, 0x004E4942
_FLOAT, _UINT32, _ARRAY_BUFFER, _ELEMENT_BUFFER = 5126, 5125, 34962, 34963
_CLOTH = {"name": "suit", "pbrMetallicRoughness": {"metallicFactor": 0, "roughnessFactor": 0.65}}
"""White: the colours of the suit are the vertices'."""
_GAMMA = np.float32(2.2)


class _Buffer:
    """The binary chunk, its views and accessors."""

    def __init__(self) -> None:
        self.data, self.views, self.accessors = bytearray(), [], []  # type: bytearray, list[Any], list[Any]

    def add(self, array: NDArray, kind: str, target: int) -> int:
        """Append float32 vectors or uint32 scalars; returns the accessor's index. All parts stay 4-byte
        aligned."""
        self.views.append(
            {"buffer": 0, "byteOffset": len(self.data), "byteLength": array.nbytes, "target": target}
        )
        accessor: dict[str, Any] = {"bufferView": len(self.views) - 1, "count": len(array), "type": kind}
        accessor["componentType"] = _FLOAT if array.dtype == np.float32 else _UINT32
        if target == _ARRAY_BUFFER:  # required for positions
            accessor |= {"min": array.min(0).tolist(), "max": array.max(0).tolist()}
        self.accessors.append(accessor)
        self.data += array.tobytes()
        return len(self.accessors) - 1


def write_glb(path: str | Path, people: People) -> None:
    """Write N people as the nodes ``person_0`` ... of one scene: positions, normals and the colours of a
    plain suit, metres, y up, camera at the origin.

    A node's translation places its root joint, so that viewers can move people singly. Atomic.
    """
    buffer = _Buffer()
    indices = buffer.add(people.faces.astype(np.uint32).ravel(), "SCALAR", _ELEMENT_BUFFER)
    meshes, nodes, roots = [], [], people.roots
    for i, placed in enumerate(people.vertices):
        shift = roots[i].astype(np.float32)
        local = np.ascontiguousarray((placed - shift) * CAMERA_TO_Y_UP, np.float32)
        attributes = {
            "POSITION": buffer.add(local, "VEC3", _ARRAY_BUFFER),
            # Those of the cloth, so that no relief below it is shaded.
            "NORMAL": buffer.add(suit_of(people.body).shape(local)[1], "VEC3", _ARRAY_BUFFER),
            # glTF's vertex colours are linear light.
            "COLOR_0": buffer.add(suit_colours(people.body, i) ** _GAMMA, "VEC3", _ARRAY_BUFFER),
        }
        meshes.append(
            {
                "name": f"person_{i}",
                "primitives": [{"attributes": attributes, "indices": indices, "material": 0}],
            }
        )
        nodes.append({"name": f"person_{i}", "mesh": i, "translation": (shift * CAMERA_TO_Y_UP).tolist()})
    document = {
        "asset": {"version": "2.0", "generator": "openhmr"},
        "scene": 0,
        "scenes": [{"nodes": list(range(len(nodes)))}],
        "nodes": nodes,
        "meshes": meshes,
        "materials": [_CLOTH],
        "accessors": buffer.accessors,
        "bufferViews": buffer.views,
        "buffers": [{"byteLength": len(buffer.data)}],
    }
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(struct.pack("<III", _MAGIC, _VERSION, 28 + len(text) + len(buffer.data)))
        file.write(struct.pack("<II", len(text), _JSON) + text)
        file.write(struct.pack("<II", len(buffer.data), _BIN) + buffer.data)
