"""Reading TensorFlow Lite files, the form in which MediaPipe's networks come: operators and constants."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openhmr.errors import InputError

_STORED = {0: np.float32, 1: np.float16, 2: np.int32}
"""Types of constants in the schema's numbers; others do not occur."""
_OPTIONS = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "ADD": "AddOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "RESIZE_BILINEAR": "ResizeBilinearOptions",
    "CONCATENATION": "ConcatenationOptions",
    "MEAN": "ReducerOptions",
}
"""Class of the options of each kind of operator that has any which matter."""


@dataclass(frozen=True)
class Operator:
    """One operator: its kind as the schema names it, numbers of its tensors, and its options (an object of
    the package ``tflite``, or None)."""

    kind: str
    inputs: list[int]
    outputs: list[int]
    options: Any


class TFLiteFile:
    """The first graph of the TensorFlow Lite file ``data``, which messages call ``name``.

    ``operators`` in the order of the file, without those that only widen constants; ``inputs`` and
    ``outputs`` are numbers of tensors. Raises :class:`InputError` if ``data`` is no such file.
    """

    def __init__(self, data: bytes, name: str) -> None:
        import tflite

        kinds = {v: k for k, v in vars(tflite.BuiltinOperator).items() if isinstance(v, int)}
        try:
            if not tflite.Model.ModelBufferHasIdentifier(data, 0):
                raise ValueError("not a TensorFlow Lite file")
            self._model = tflite.Model.GetRootAsModel(data, 0)
            self._graph = self._model.Subgraphs(0)
            self.inputs, self.outputs = (list(map(int, f())) for f in _ends(self._graph))
            self._stored: dict[int, int] = {}
            self.operators = list(self._read(tflite, kinds))
        except (ValueError, IndexError, TypeError, AttributeError, KeyError, struct.error):
            raise InputError(f"{name} is no readable TensorFlow Lite file; give one of MediaPipe's") from None

    def _read(self, tflite: Any, kinds: dict[int, str]) -> Iterator[Operator]:
        for i in range(self._graph.OperatorsLength()):
            node = self._graph.Operators(i)
            kind = kinds[self._model.OperatorCodes(node.OpcodeIndex()).BuiltinCode()]
            inputs, outputs = node.InputsAsNumpy().tolist(), node.OutputsAsNumpy().tolist()
            if kind == "DEQUANTIZE":  # of a constant in half precision
                self._stored[outputs[0]] = inputs[0]
                continue
            options = None
            if kind in _OPTIONS:
                options, table = getattr(tflite, _OPTIONS[kind])(), node.BuiltinOptions()
                options.Init(table.Bytes, table.Pos)
            yield Operator(kind, inputs, outputs, options)

    def constant(self, tensor: int) -> NDArray | None:
        """A constant, halves widened to float32; None for what the graph computes."""
        described = self._graph.Tensors(self._stored.get(tensor, tensor))
        raw = self._model.Buffers(described.Buffer()).DataAsNumpy()
        if not isinstance(raw, np.ndarray):
            return None
        shape = described.ShapeAsNumpy() if described.ShapeLength() else ()
        array = raw.view(_STORED[described.Type()]).reshape(shape)
        return array.astype(np.float32) if array.dtype == np.float16 else array

    def shape(self, tensor: int) -> tuple[int, ...]:
        return tuple(self._graph.Tensors(tensor).ShapeAsNumpy().tolist())

    def convolutions(self) -> Iterator[tuple[NDArray, NDArray]]:
        """Weights ``(O,h,w,I)``, depthwise ``(1,h,w,C)``, and biases of all convolutions in the order of the
        file."""
        for operator in self.operators:
            if operator.kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
                weight, bias = (self.constant(tensor) for tensor in operator.inputs[1:3])
                assert weight is not None and bias is not None
                yield weight, bias


def _ends(graph: Any) -> tuple[Any, Any]:
    return graph.InputsAsNumpy, graph.OutputsAsNumpy
