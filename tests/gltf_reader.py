"""A reader of binary glTF by its specification, in float64: what a viewer would show at a moment."""

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.testing import assert_array_equal

WIDTHS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}
TYPES = {5121: "<u1", 5123: "<u2", 5125: "<u4", 5126: "<f4"}


def turn(q: np.ndarray) -> np.ndarray:
    """Rotation matrix of a unit quaternion x, y, z, w: v + 2 w (u x v) + 2 u x (u x v), by columns."""
    u, w = q[:3], q[3]
    return np.stack([e + 2 * w * np.cross(u, e) + 2 * np.cross(u, np.cross(u, e)) for e in np.eye(3)], 1)


@dataclass
class Glb:
    document: dict[str, Any]
    binary: bytes

    @classmethod
    def read(cls, path: Path) -> "Glb":
        data = path.read_bytes()
        magic, version, length, json_length, kind = struct.unpack("<4sIII4s", data[:20])
        assert (magic, version, length, kind) == (b"glTF", 2, len(data), b"JSON") and json_length % 4 == 0
        document = json.loads(data[20 : 20 + json_length])
        bin_length, bin_kind = struct.unpack("<I4s", data[20 + json_length : 28 + json_length])
        binary = data[28 + json_length :]
        assert bin_kind == b"BIN\0" and bin_length == len(binary) == document["buffers"][0]["byteLength"]
        return cls(document, binary)

    def accessor(self, index: int) -> np.ndarray:
        accessor = self.document["accessors"][index]
        view = self.document["bufferViews"][accessor["bufferView"]]
        width, dtype = WIDTHS[accessor["type"]], np.dtype(TYPES[accessor["componentType"]])
        assert view["byteOffset"] % 4 == 0
        assert view["byteLength"] == accessor["count"] * width * dtype.itemsize
        out = np.frombuffer(self.binary, dtype, accessor["count"] * width, view["byteOffset"])
        out = out.reshape(-1, width)
        if "min" in accessor:
            assert_array_equal([accessor["min"], accessor["max"]], [out.min(0), out.max(0)])
        if accessor.get("normalized"):
            return out / float(np.iinfo(dtype).max)
        return out.astype(np.float64)

    def node(self, name: str) -> dict[str, Any]:
        return next(n for n in self.document["nodes"] if n["name"] == name)

    def attributes(self, node: dict[str, Any]) -> dict[str, np.ndarray]:
        (primitive,) = self.document["meshes"][node["mesh"]]["primitives"]
        assert primitive.get("mode", 4) == 4
        out = {name: self.accessor(index) for name, index in primitive["attributes"].items()}
        return out | {"faces": self.accessor(primitive["indices"]).reshape(-1, 3).astype(int)}

    def worlds(self, time: float | None = None) -> list[np.ndarray]:
        """World matrices of all nodes, animated at ``time`` in seconds."""
        nodes = [dict(node) for node in self.document["nodes"]]
        if time is not None:
            for channel in self.document["animations"][0]["channels"]:
                sampler = self.document["animations"][0]["samplers"][channel["sampler"]]
                value = self._sample(sampler, time, channel["target"]["path"])
                nodes[channel["target"]["node"]][channel["target"]["path"]] = value
        out: list[Any] = [None] * len(nodes)

        def visit(index: int, above: np.ndarray) -> None:
            node, local = nodes[index], np.eye(4)
            scale = np.array(node.get("scale", (1, 1, 1)), float)
            local[:3, :3] = turn(np.array(node.get("rotation", (0, 0, 0, 1)), float)) * scale
            local[:3, 3] = node.get("translation", (0, 0, 0))
            assert out[index] is None
            out[index] = above @ local
            for child in node.get("children", ()):
                visit(child, out[index])

        for root in self.document["scenes"][self.document["scene"]]["nodes"]:
            visit(root, np.eye(4))
        return out

    def _sample(self, sampler: dict[str, Any], time: float, path: str) -> np.ndarray:
        times, values = self.accessor(sampler["input"])[:, 0], self.accessor(sampler["output"])
        assert (np.diff(times) > 0).all() and len(times) == len(values)
        after = int(np.searchsorted(times, time))
        if after == 0 or after == len(times):
            return values[min(after, len(times) - 1)]
        if sampler["interpolation"] == "STEP":
            return values[after if times[after] == time else after - 1]
        share = (time - times[after - 1]) / (times[after] - times[after - 1])
        a, b = values[after - 1], values[after]
        if path == "rotation":
            assert a @ b >= 0  # one hemisphere, so that all readers take the shorter way
            angle = np.arccos(min(a @ b, 1))
            if angle > 1e-9:
                return (np.sin((1 - share) * angle) * a + np.sin(share * angle) * b) / np.sin(angle)
        return a + share * (b - a)

    def vertices(self, name: str, time: float | None = None) -> np.ndarray:
        """The vertices of the mesh node ``name`` as the scene shows them."""
        node, worlds = self.node(name), self.worlds(time)
        attributes = self.attributes(node)
        points = np.pad(attributes["POSITION"], ((0, 0), (0, 1)), constant_values=1)
        if "skin" not in node:
            return (points @ worlds[self.document["nodes"].index(node)].T)[:, :3]
        skin = self.document["skins"][node["skin"]]
        inverse = self.accessor(skin["inverseBindMatrices"]).reshape(-1, 4, 4).swapaxes(1, 2)
        joints = np.array([worlds[j] @ inverse[k] for k, j in enumerate(skin["joints"])])
        weights = attributes["WEIGHTS_0"]
        np.testing.assert_allclose(weights.sum(1), 1, atol=1e-12)
        blended = np.einsum("vk,vkij->vij", weights, joints[attributes["JOINTS_0"].astype(int)])
        return np.einsum("vij,vj->vi", blended, points)[:, :3]
