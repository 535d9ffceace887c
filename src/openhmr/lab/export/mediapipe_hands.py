"""MediaPipe's palm detector and hand landmark network from its wheel to ONNX: the detector of hands.

Both become ONNX operator by operator, so TensorFlow is not needed. What follows them in the original, the
choice of palms and the crops of hands, is numpy (:mod:`openhmr.predict.detect.palms`,
:mod:`openhmr.predict.detect.hands`).
"""

import zipfile
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from openhmr.errors import InputError
from openhmr.lab.export.onnx_files import save_model
from openhmr.lab.export.onnx_graph import GraphBuilder
from openhmr.lab.models.tflite_file import Operator, TFLiteFile
from openhmr.predict.detect.hands import HAND_OUTPUTS, KIND
from openhmr.predict.detect.palms import PALM_OUTPUTS

MODULES = "mediapipe/modules/"
_MAX_BYTES = 64 << 20
_ACTIVATIONS = {0: None, 1: "Relu", 3: "Relu6"}
_SAME = 0


def export_hand_detector(wheel: Path, out: Path, size: Literal["full", "lite"] = "full") -> None:
    """Write ``out`` (.onnx), both networks of ``size`` in ``wheel`` (of mediapipe 0.10.14) in one file.

    The inputs are ``palm_image (B,3,192,192)`` and ``hand_image (B,3,224,224)`` RGB in [0,1], either with a
    batch of 0 where only the other is asked, and the outputs ``PALM_OUTPUTS`` and ``HAND_OUTPUTS``. Raises
    :class:`InputError` if the file is no such wheel.
    """
    graph, results = GraphBuilder(torch.nn.Module()), {}
    inputs: dict[str, tuple[int, ...]] = {}
    for name, member, outputs in (
        ("palm_image", f"palm_detection/palm_detection_{size}", PALM_OUTPUTS),
        ("hand_image", f"hand_landmark/hand_landmark_{size}", HAND_OUTPUTS),
    ):
        source = read_member(wheel, f"{MODULES}{member}.tflite")
        conversion = _Conversion(source, graph, name)
        for operator in source.operators:
            conversion.add(operator)
        _, height, width, channels = source.shape(source.inputs[0])
        inputs[name] = channels, height, width
        for (result, shape), tensor in zip(outputs.items(), source.outputs, strict=True):
            results[result] = (graph.reshape(conversion.names[tensor], -1, *shape), shape)
    save_model(graph.model(inputs, results), out, {"kind": KIND, "joint_set": "mano"})


def read_member(wheel: Path, name: str) -> TFLiteFile:
    """The TensorFlow Lite file ``name`` of ``wheel``. Raises :class:`InputError` without it."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            if archive.getinfo(name).file_size > _MAX_BYTES:
                raise KeyError(name)
            data = archive.read(name)
    except (OSError, KeyError, zipfile.BadZipFile):
        raise InputError(
            f"{wheel} is no wheel with {name}; give the one that `pip download mediapipe==0.10.14 --no-deps` "
            f"brings"
        ) from None
    return TFLiteFile(data, name)


class _Conversion:
    """Operators to ONNX nodes. Maps are ``(B,C,H,W)`` here, ``(1,H,W,C)`` in the file."""

    def __init__(self, source: TFLiteFile, graph: GraphBuilder, image: str) -> None:
        self.source, self.graph = source, graph
        self.names = {source.inputs[0]: image}

    def add(self, operator: Operator) -> None:
        convert = getattr(self, f"_{operator.kind.lower()}", None)
        if convert is None:
            raise InputError(
                f"the graph has an operator of kind {operator.kind}, as MediaPipe's hand networks do not"
            )
        self.names[operator.outputs[0]] = convert(operator)

    def constant(self, tensor: int) -> NDArray:
        value = self.source.constant(tensor)
        assert value is not None
        return value

    def activated(self, name: str, operator: Operator) -> str:
        kind = _ACTIVATIONS[operator.options.FusedActivationFunction()]
        if kind == "Relu6":
            return self.graph.op("Clip", name, self.graph.constant(0.0), self.graph.constant(6.0))
        return name if kind is None else self.graph.op(kind, name)

    def _conv_2d(self, operator: Operator, depthwise: bool = False) -> str:
        weight, bias = self.constant(operator.inputs[1]), self.constant(operator.inputs[2])
        # (O,h,w,I), depthwise (1,h,w,C).
        kernel = weight.transpose(3, 0, 1, 2) if depthwise else weight.transpose(0, 3, 1, 2)
        side, stride = kernel.shape[2], operator.options.StrideH()
        # TensorFlow's SAME of sides that the stride divides: the odd row and column are behind.
        total = max(side - stride, 0) if operator.options.Padding() == _SAME else 0
        before, after = total // 2, total - total // 2
        out = self.graph.op(
            "Conv",
            self.names[operator.inputs[0]],
            self.graph.constant(np.ascontiguousarray(kernel)),
            self.graph.constant(bias),
            strides=[stride, stride],
            pads=[before, before, after, after],
            group=len(kernel) if depthwise else 1,
        )
        return self.activated(out, operator)

    def _depthwise_conv_2d(self, operator: Operator) -> str:
        return self._conv_2d(operator, depthwise=True)

    def _fully_connected(self, operator: Operator) -> str:
        weight, bias = (self.graph.constant(self.constant(t)) for t in operator.inputs[1:3])
        return self.graph.op("Gemm", self.names[operator.inputs[0]], weight, bias, transB=1)

    def _prelu(self, operator: Operator) -> str:
        slope = self.constant(operator.inputs[1]).reshape(-1, 1, 1)
        return self.graph.op("PRelu", self.names[operator.inputs[0]], self.graph.constant(slope))

    def _add(self, operator: Operator) -> str:
        return self.activated(self.graph.op("Add", *(self.names[t] for t in operator.inputs)), operator)

    def _max_pool_2d(self, operator: Operator) -> str:
        side = [operator.options.FilterHeight(), operator.options.FilterWidth()]
        return self.graph.op("MaxPool", self.names[operator.inputs[0]], kernel_shape=side, strides=side)

    def _pad(self, operator: Operator) -> str:
        before, after = self.constant(operator.inputs[1])[[0, 3, 1, 2]].T
        pads = self.graph.constant([*before.tolist(), *after.tolist()])
        return self.graph.op("Pad", self.names[operator.inputs[0]], pads)

    def _resize_bilinear(self, operator: Operator) -> str:
        assert operator.options.HalfPixelCenters()
        scales = self.graph.constant(np.array([1, 1, 2, 2], np.float32))
        return self.graph.op("Resize", self.names[operator.inputs[0]], "", scales, mode="linear")

    def _reshape(self, operator: Operator) -> str:
        flat = self.graph.op("Transpose", self.names[operator.inputs[0]], perm=[0, 2, 3, 1])
        return self.graph.reshape(flat, -1, *self.source.shape(operator.outputs[0])[1:])

    def _concatenation(self, operator: Operator) -> str:
        return self.graph.op("Concat", *(self.names[t] for t in operator.inputs), axis=1)

    def _mean(self, operator: Operator) -> str:
        return self.graph.op("ReduceMean", self.names[operator.inputs[0]], axes=[2, 3], keepdims=0)

    def _logistic(self, operator: Operator) -> str:
        return self.graph.op("Sigmoid", self.names[operator.inputs[0]])
