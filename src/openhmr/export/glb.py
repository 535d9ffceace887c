"""Binary glTF 2.0 (Khronos specification): one node and mesh a person, plain clay material."""

import json
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openhmr.export.obj import TO_Y_UP
from openhmr.geometry.mesh import vertex_normals
from openhmr.io.atomic import atomic_path

FLOAT, UNSIGNED_INT, ARRAY_BUFFER, ELEMENT_BUFFER = 5126, 5125, 34962, 34963


def write_glb(path: str | Path, vertices: NDArray, faces: NDArray) -> None:
    """Write ``vertices (N,V,3)`` metres, camera axes, and ``faces (F,3)`` as a ``.glb`` in glTF's axes (Y up)."""
    meshes = (np.asarray(vertices, np.float64) * TO_Y_UP).astype(np.float32)
    normals = vertex_normals(meshes.astype(np.float64), faces).astype(np.float32)
    blob, views, accessors = b"", [], []

    def add(array: NDArray, kind: str, component: int, target: int, **limits: object) -> int:
        nonlocal blob
        data = np.ascontiguousarray(array).tobytes()
        views.append({"buffer": 0, "byteOffset": len(blob), "byteLength": len(data), "target": target})
        blob += data + b"\0" * (-len(data) % 4)
        accessors.append({"bufferView": len(views) - 1, "componentType": component, "count": len(array), "type": kind} | limits)
        return len(accessors) - 1

    triangles = add(faces.astype(np.uint32).reshape(-1), "SCALAR", UNSIGNED_INT, ELEMENT_BUFFER)
    primitives = []
    for mesh, normal in zip(meshes, normals, strict=True):
        limits = {"min": mesh.min(0).tolist(), "max": mesh.max(0).tolist()}
        position = add(mesh, "VEC3", FLOAT, ARRAY_BUFFER, **limits)
        primitives.append({"POSITION": position, "NORMAL": add(normal, "VEC3", FLOAT, ARRAY_BUFFER)})
    document = {
        "asset": {"version": "2.0", "generator": "openhmr"},
        "scene": 0,
        "scenes": [{"nodes": list(range(len(meshes)))}],
        "nodes": [{"name": f"person_{i}", "mesh": i} for i in range(len(meshes))],
        "meshes": [
            {"name": f"person_{i}", "primitives": [{"attributes": p, "indices": triangles, "material": 0}]} for i, p in enumerate(primitives)
        ],
        "materials": [{"name": "clay", "pbrMetallicRoughness": {
            "baseColorFactor": [0.60, 0.68, 0.78, 1], "metallicFactor": 0, "roughnessFactor": 0.8}}],
        "accessors": accessors, "bufferViews": views, "buffers": [{"byteLength": len(blob)}],
    }  # fmt: skip
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    header = struct.pack("<4sII", b"glTF", 2, 12 + 8 + len(text) + 8 + len(blob))
    with atomic_path(path) as temporary:
        temporary.write_bytes(header + struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(blob), b"BIN\0") + blob)
