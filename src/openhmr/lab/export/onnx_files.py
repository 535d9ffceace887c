"""Write a trained compact network as ONNX: written node by node, so that every number in the file is one we
chose to store."""

import io
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from openhmr.bodies.body import Body
from openhmr.io.atomic import atomic_path
from openhmr.lab.models.pose2mesh.compact import (
    CompactPose2Mesh,
    Girth,
    GraphConv,
    ResidualStage,
    laplacian_table,
)

OPSET = 17
HALF_FROM = 4096
"""Constants with at least so many numbers are stored as float16 (and widened once, when a session loads)."""


RECOVER_OUTPUTS = (
    "joints_lixel",
    "joints_sigma",
    "vertices_lixel",
    "vertices_sigma",
    "scale_m",
    "rotations",
    "betas",
)
"""What the runtime reads of a network that sees pictures (:class:`openhmr.predict.recover.Recoverer`)."""


def traced(
    module: torch.nn.Module, example: torch.Tensor, name: str, outputs: tuple[str, ...]
) -> onnx.ModelProto:
    """``module`` in evaluation mode as ONNX, with the input ``name`` shaped as ``example`` but for a free
    batch size."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        # The tracing exporter is marked as old; the new one cannot leave the batch free through the joints'
        # volume.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            (example,),
            cast(Any, file),
            input_names=[name],
            output_names=list(outputs),
            opset_version=OPSET,
            dynamic_axes={n: {0: "batch"} for n in (name, *outputs)},
            dynamo=False,
        )
    return onnx.load_from_string(file.getvalue())


def described(model: onnx.ModelProto, metadata: Mapping[str, object]) -> onnx.ModelProto:
    """``model``, checked, with ``metadata`` (JSON but for texts)."""
    helper.set_model_props(
        model, {k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()}
    )
    model.producer_name = "openhmr"
    onnx.checker.check_model(model)
    return model


def save_model(model: onnx.ModelProto, path: Path, metadata: Mapping[str, object]) -> None:
    """Write :func:`described` atomically."""
    with atomic_path(path) as temporary:
        onnx.save(described(model, metadata), str(temporary))


class _Graph:
    """Collects nodes and constants; every method returns the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        names = [f"{kind}_{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0]

    def split(self, x: str, parts: int) -> list[str]:
        self.op("Split", x, self.constant(np.full(parts, self.last_width // parts)), outputs=parts, axis=-1)
        return list(self.nodes[-1].output)

    def constant(self, value: object) -> str:
        array = value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
        name = f"constant_{len(self.constants)}"
        array = np.ascontiguousarray(array, np.float32) if array.dtype.kind == "f" else array.astype(np.int64)
        if array.dtype == np.float32 and array.size >= HALF_FROM:
            self.constants.append(numpy_helper.from_array(array.astype(np.float16), name))
            return self.op("Cast", name, to=TensorProto.FLOAT)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def linear(self, x: str, layer: torch.nn.Linear, fold: torch.nn.BatchNorm1d | None = None) -> str:
        """``x W^T + b``, with the BatchNorm behind it folded in."""
        weight, bias = layer.weight.double(), layer.bias.double()
        if fold is not None:
            scale, shift = _affine(fold)
            weight, bias = weight * scale[:, None], bias * scale + shift
        self.last_width = len(bias)
        return self.op("Add", self.op("MatMul", x, self.constant(weight.T)), self.constant(bias))

    def normalised_relu(self, x: str, norm: torch.nn.BatchNorm1d) -> str:
        scale, shift = _affine(norm)
        return self.op("Relu", self.op("Add", self.op("Mul", x, self.constant(scale)), self.constant(shift)))

    def reshape(self, x: str, *shape: int) -> str:
        return self.op("Reshape", x, self.constant(np.array(shape)))


def _affine(norm: torch.nn.BatchNorm1d) -> tuple[torch.Tensor, torch.Tensor]:
    assert norm.running_var is not None and norm.running_mean is not None
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    return scale, norm.bias.double() - norm.running_mean.double() * scale


def restore_girth(g: _Graph, transforms: str, girth: Girth) -> str:
    """:class:`Girth` on transforms ``(B,3,J,4)``."""
    g.op(
        "Split",
        g.op("Transpose", transforms, perm=[0, 2, 1, 3]),
        g.constant(np.array([3, 1])),
        outputs=2,
        axis=-1,
    )
    matrix, shift = g.nodes[-1].output
    both = g.constant(np.array([-2, -1]))
    size = g.op(
        "Clip", g.op("ReduceSum", g.op("Mul", matrix, matrix), both, keepdims=1), g.constant(np.float32(1e-6))
    )
    rotation = g.op("Mul", matrix, g.op("Sqrt", g.op("Div", g.constant(np.float32(3)), size)))
    for _ in range(girth.iterations):
        square = g.op("MatMul", rotation, g.op("Transpose", rotation, perm=[0, 1, 3, 2]))
        cubed = g.op("Mul", g.op("MatMul", square, rotation), g.constant(np.float32(0.5)))
        rotation = g.op("Sub", g.op("Mul", rotation, g.constant(np.float32(1.5))), cubed)
    full = g.op(
        "Add",
        g.op("MatMul", matrix, g.constant(girth.along)),
        g.op("MatMul", rotation, g.constant(girth.across)),
    )
    moved = g.op("Add", shift, g.op("MatMul", g.op("Sub", matrix, full), g.constant(girth.rest)))
    return g.op("Transpose", g.op("Concat", full, moved, axis=-1), perm=[0, 2, 1, 3])


def build(network: CompactPose2Mesh, body: Body, metadata: dict[str, object]) -> onnx.ModelProto:
    """The network in evaluation mode as ONNX: ``pose2d (B,J,3)`` -> ``vertices (B,V,3)``, ``pose3d
    (B,J,3)``."""
    g, net, mesh = _Graph(), network.pose_net, network.mesh_net
    joints, width = len(network.flip), mesh.joint_features
    body_joints, count = mesh.joints, mesh.decode.shape[1]
    flip, signs = g.constant(network.flip.numpy()), g.constant(network.signs)

    def mirrored(x: str) -> str:
        return g.op("Mul", g.op("Gather", x, flip, axis=1), signs)

    def average(x: str, other: str) -> str:
        return g.op("Mul", g.op("Add", x, other), g.constant(np.float32(0.5)))

    def halves(x: str) -> tuple[str, str]:
        g.op("Split", x, outputs=2, axis=0)
        first, second = g.nodes[-1].output
        return first, second

    x = g.op("Concat", "pose2d", mirrored("pose2d"), axis=0)
    x = g.linear(g.reshape(x, -1, 3 * joints), net.input)
    for stage in net.stages:
        assert isinstance(stage, ResidualStage)
        y = g.linear(g.normalised_relu(x, stage.norm1), stage.linear1, stage.norm2)
        x = g.op("Add", x, g.linear(g.op("Relu", y), stage.linear2))
    features = g.normalised_relu(x, net.norm)
    direct, other = halves(g.reshape(g.linear(features, net.output), -1, joints, 3))
    pose3d = average(direct, mirrored(other))

    body_flip = g.constant(mesh.flip.numpy())
    direct, other = halves(g.reshape(g.linear(features, mesh.transforms), -1, 3, body_joints, 4))
    other = g.op("Mul", g.op("Gather", other, body_flip, axis=2), g.constant(mesh.signs))
    transforms = g.reshape(restore_girth(g, average(direct, other), mesh.girth), -1, 3, 4 * body_joints)
    start = g.op("MatMul", transforms, g.constant(mesh.decode))
    direct, other = halves(g.reshape(g.linear(features, mesh.features), -1, width, body_joints))
    blended = g.op(
        "MatMul", average(direct, g.op("Gather", other, body_flip, axis=2)), g.constant(mesh.blend)
    )
    node_major = g.op("Transpose", g.op("Concat", start, blended, axis=1), perm=[2, 0, 1])

    neighbours, values = laplacian_table(body.level("coarse").faces, count)
    table, weights = g.constant(neighbours.reshape(-1)), g.constant(values[:, :, None, None])

    def product(x: str, features: int) -> str:
        gathered = g.reshape(g.op("Gather", x, table, axis=0), *neighbours.shape, -1, features)
        return g.op("ReduceSum", g.op("Mul", gathered, weights), g.constant(np.array([1])), keepdims=0)

    def conv(x: str, layer: GraphConv) -> str:
        a, b, c = g.split(g.linear(x, layer.project), 3)
        inner = product(c, layer.out)
        return g.op("Add", g.op("Sub", a, c), product(g.op("Add", b, g.op("Add", inner, inner)), layer.out))

    refined = conv(g.op("Relu", conv(node_major, mesh.conv1)), mesh.conv2)
    vertices = g.op(
        "Add", g.op("Transpose", start, perm=[0, 2, 1]), g.op("Transpose", refined, perm=[1, 0, 2])
    )
    g.nodes += [
        helper.make_node("Identity", [vertices], ["vertices"]),
        helper.make_node("Identity", [pose3d], ["pose3d"]),
    ]
    value = lambda name, rows: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", rows, 3])
    graph = helper.make_graph(
        g.nodes,
        "pose2mesh",
        [value("pose2d", joints)],
        [value("vertices", count), value("pose3d", joints)],
        g.constants,
    )
    return described(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8), metadata
    )


def export(network: CompactPose2Mesh, body: Body, path: Path, metadata: dict[str, object]) -> None:
    """Write :func:`build`'s model to ``path``, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(build(network.eval(), body, metadata).SerializeToString())
