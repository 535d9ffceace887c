"""A builder of ONNX graphs, node by node, for networks whose layers the tracing exporter does not know."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from openhmr.lab.export.onnx_files import OPSET, halve


class GraphBuilder:
    """Collects nodes and constants; every method returns the name of its result.

    Parameters and buffers of ``network`` become initialisers under their own names, each once.
    """

    def __init__(self, network: torch.nn.Module) -> None:
        named = dict(network.named_parameters()) | dict(network.named_buffers())
        self._names = {id(tensor): name for name, tensor in named.items()}
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        return self.ops(kind, *inputs, outputs=1, **attributes)[0]

    def ops(self, kind: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        """A node with several outputs."""
        names = [f"{kind}_{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names

    def constant(self, value: torch.Tensor | np.ndarray | float | Sequence[int]) -> str:
        """A float32 or int64 constant."""
        name = self._names.get(id(value), f"constant_{len(self.constants)}")
        if name not in self.constants:
            array = value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
            array = np.ascontiguousarray(array, np.float32 if array.dtype.kind == "f" else np.int64)
            # ascontiguousarray makes vectors of scalars.
            self.constants[name] = numpy_helper.from_array(array.reshape(np.shape(value)), name)
        return name

    def affine(self, norm: torch.nn.BatchNorm1d) -> tuple[str, str]:
        """Scale and shift of a BatchNorm in evaluation mode; a session computes them once."""
        assert norm.running_var is not None and norm.running_mean is not None
        deviation = self.op("Sqrt", self.op("Add", self.constant(norm.running_var), self.constant(norm.eps)))
        scale = self.op("Div", self.constant(norm.weight), deviation)
        shift = self.op("Mul", self.constant(norm.running_mean), scale)
        return scale, self.op("Sub", self.constant(norm.bias), shift)

    def linear(self, x: str, layer: torch.nn.Linear, fold: torch.nn.BatchNorm1d | None = None) -> str:
        """``x W^T + b`` of ``x (N,F)``, with the BatchNorm behind it folded in by the session."""
        weight, bias = self.constant(layer.weight), self.constant(layer.bias)
        if fold is not None:
            scale, shift = self.affine(fold)
            weight = self.op("Mul", weight, self.op("Unsqueeze", scale, self.constant([1])))
            bias = self.op("Add", self.op("Mul", bias, scale), shift)
        return self.op("Gemm", x, weight, bias, transB=1)

    def normalised_relu(self, x: str, norm: torch.nn.BatchNorm1d) -> str:
        scale, shift = self.affine(norm)
        return self.op("Relu", self.op("Add", self.op("Mul", x, scale), shift))

    def reshape(self, x: str, *shape: int) -> str:
        return self.op("Reshape", x, self.constant(shape))

    def model(
        self, inputs: Mapping[str, tuple[int, ...]], outputs: Mapping[str, tuple[str, tuple[int, ...]]]
    ) -> onnx.ModelProto:
        """The model of ``inputs`` name -> shape and ``outputs`` name -> (result, shape), but for the batch
        axis in front."""
        for name, (result, _) in outputs.items():
            self.nodes.append(helper.make_node("Identity", [result], [name]))

        def described(name: str, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])

        graph = helper.make_graph(
            self.nodes,
            "openhmr",
            [described(name, shape) for name, shape in inputs.items()],
            [described(name, shape) for name, (_, shape) in outputs.items()],
            list(self.constants.values()),
        )
        halve(graph)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
