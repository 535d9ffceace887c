"""MoveNet's TensorFlow.js graph to ONNX, on a small graph of the same kinds of nodes with random weights."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch.nn import functional as F

from openhmr.cli import main
from openhmr.errors import InputError
from openhmr.lab.export.movenet import export_movenet
from openhmr.predict.detect.heads import HEADS
from openhmr.predict.session import open_session, read_metadata
from tests.cli_models import one_sentence

PREFIX = "StatefulPartitionedCall/"
NAMES = {
    "centre": "center_0/conv2d_4/BiasAdd",
    "box_size": "box_scale_0/conv2d_5/BiasAdd",
    "box_offset": "box_offset_0/conv2d_6/BiasAdd",
    "heat": "kpt_heatmap_0/conv2d_7/BiasAdd",
    "displacement": "kpt_regress_0/conv2d_8/BiasAdd",
    "offset": "kpt_offset_0/conv2d_9/BiasAdd",
}


class Graph:
    """A graph in the making, and its weights in half precision."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)
        self.nodes: list[dict[str, Any]] = []
        self.weights: dict[str, np.ndarray] = {}

    def node(self, name: str, kind: str, *inputs: str, **attributes: Any) -> str:
        full = [i if i == "input" else PREFIX + i for i in inputs]
        self.nodes.append({"name": PREFIX + name, "op": kind, "input": full, "attr": attributes})
        return name

    def weight(self, name: str, *shape: int) -> str:
        self.weights[name] = self.rng.normal(size=shape).astype(np.float16)
        return name

    def convolution(self, name: str, x: str, kind: str, *shape: int, stride: int = 1, then: str = "") -> str:
        channels = shape[2] if "Depthwise" in kind else shape[3]
        inputs = [x, self.weight(f"{name}_w", *shape)]
        fused = [base64.b64encode(op.encode()).decode() for op in ("BiasAdd", then) if op]
        attributes: dict[str, Any] = {"strides": {"list": {"i": ["1", str(stride), str(stride), "1"]}}}
        if "used" in kind:
            inputs.append(self.weight(f"{name}_b", channels))
            attributes["fused_ops"] = {"list": {"s": fused}}
        return self.node(name, kind, *inputs, **attributes)

    def save(self, folder: Path) -> Path:
        manifest = [
            {
                "name": PREFIX + name,
                "shape": list(w.shape),
                "dtype": "float32",
                "quantization": {"dtype": "float16"},
            }
            for name, w in self.weights.items()
        ]
        (folder / "m.bin").write_bytes(b"".join(w.tobytes() for w in self.weights.values()))
        content = {
            "modelTopology": {"node": self.nodes},
            "weightsManifest": [{"paths": ["m.bin"], "weights": manifest}],
        }
        (folder / "m.json").write_text(json.dumps(content))
        return folder / "m.json"

    def tensor(self, name: str) -> Any:
        return torch.from_numpy(self.weights[name].astype(np.float32))


@pytest.fixture
def graph() -> Graph:
    out = Graph()
    out.node("Cast", "Cast", "input")
    out.weight("mean", 1, 1, 1, 3)
    x = out.node("sub", "Sub", "Cast", "mean")
    x = out.convolution("a", x, "_FusedConv2D", 3, 3, 3, 4, stride=2, then="Relu6")
    x = out.convolution("b", x, "FusedDepthwiseConv2dNative", 3, 3, 4, 1, stride=2, then="Relu")
    y = out.convolution("c", x, "_FusedConv2D", 1, 1, 4, 4)
    out.convolution("d", out.node("add", "AddV2", x, y), "DepthwiseConv2dNative", 3, 3, 4, 1, stride=2)
    x = out.node("sum", "AddV2", out.node("up", "ResizeBilinear", "d", "size"), x)
    for head, name in NAMES.items():
        out.convolution(name, x, "_FusedConv2D", 1, 1, 4, HEADS[head])
    out.node("Sigmoid", "Sigmoid", NAMES["centre"])
    out.node("Sigmoid_1", "Sigmoid", NAMES["heat"])
    return out


def slow_twin(graph: Graph, image: np.ndarray) -> dict[str, np.ndarray]:
    """What TensorFlow computes of ``image (1,3,H,W)`` in [0,1]: SAME padding of even sides is all behind
    where the stride is 2."""

    def conv(name: str, x: Any, stride: int = 1, depthwise: bool = False) -> Any:
        weight = graph.tensor(f"{name}_w").permute(*((2, 3, 0, 1) if depthwise else (3, 2, 0, 1)))
        bias = graph.tensor(f"{name}_b") if f"{name}_b" in graph.weights else None
        pad = (0, 1, 0, 1) if stride == 2 else (weight.shape[2] // 2,) * 4
        return F.conv2d(F.pad(x, pad), weight, bias, stride, groups=x.shape[1] if depthwise else 1)

    x = torch.from_numpy(image) * 255 - graph.tensor("mean").reshape(1, 3, 1, 1)
    x = conv("b", conv("a", x, 2).clamp(0, 6), 2, True).relu()
    x = x + F.interpolate(conv("d", x + conv("c", x), 2, True), scale_factor=2, mode="bilinear")
    out = {head: conv(name, x) for head, name in NAMES.items()}
    return {k: (v.sigmoid() if k in ("centre", "heat") else v).numpy() for k, v in out.items()}


@pytest.mark.parametrize("size", [(32, 32), (64, 96)])
def test_equal_to_its_slow_twin(graph: Graph, tmp_path: Path, size: tuple[int, int]) -> None:
    out = tmp_path / "d.onnx"
    assert main(["lab", "import-detector", str(graph.save(tmp_path)), "--out", str(out)]) == 0
    image = np.random.default_rng(1).uniform(size=(2, 3, *size)).astype(np.float32)
    maps = open_session(out, 1).run(list(HEADS), {"image": image})
    for name, found in zip(HEADS, maps, strict=True):
        wanted = np.concatenate([slow_twin(graph, image[i : i + 1])[name] for i in range(2)])
        assert_allclose(found, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())
    assert read_metadata(out)["kind"] == "detector"


def test_other_graphs_are_refused(graph: Graph, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = graph.save(tmp_path)
    assert (
        main(["lab", "import-detector", str(tmp_path / "none.json"), "--out", str(tmp_path / "d.onnx")]) == 2
    )
    assert "is no TensorFlow.js graph" in one_sentence(capsys)
    (tmp_path / "m.bin").write_bytes(b"short")
    with pytest.raises(InputError, match="is no TensorFlow.js graph with its weights"):
        export_movenet(path, tmp_path / "d.onnx")
    graph.nodes[1]["op"] = "Softmax"
    with pytest.raises(InputError, match="node of kind 'Softmax'"):
        export_movenet(graph.save(tmp_path), tmp_path / "d.onnx")
    del graph.nodes[-1]
    with pytest.raises(InputError, match="has no node 'Sigmoid_1'"):
        export_movenet(graph.save(tmp_path), tmp_path / "d.onnx")
    assert not (tmp_path / "d.onnx").exists()
