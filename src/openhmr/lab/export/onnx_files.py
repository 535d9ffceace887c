"""What all exports share: tracing a module, how constants are stored, metadata, and writing the file.

Constants of a file keep the names that the network's own state_dict gives them, so that training can start
from the file (:func:`openhmr.lab.models.onnx_weights.read_onnx_weights`): weights are kept once. Nothing that
a session can compute when it loads is computed here, since that would destroy names; onnxruntime folds
BatchNorm, transposed weights and everything else that depends on constants alone.
"""

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
from openhmr.joints import JointSet
from openhmr.predict.recover import OUTPUTS as RECOVER_OUTPUTS  # noqa: F401 (what exports return)

OPSET = 17
HALF_FROM = 4096
"""Constants with at least so many numbers are stored as float16 (and widened once, when a session loads)."""


def traced(
    module: torch.nn.Module, example: torch.Tensor, name: str, outputs: tuple[str, ...]
) -> onnx.ModelProto:
    """``module`` in evaluation mode as ONNX, with the input ``name`` shaped as ``example`` but for a free
    batch size.

    Initialisers have the names of the module's parameters and buffers.
    """
    with torch.no_grad():
        shapes = [result.shape for result in module.eval()(example)]
    file = io.BytesIO()
    with warnings.catch_warnings():
        # The tracing exporter is deprecated; the new one cannot leave the batch size free through the
        # joints' volume.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (example,),
            cast(Any, file),
            input_names=[name],
            output_names=list(outputs),
            opset_version=OPSET,
            dynamic_axes={n: {0: "batch"} for n in (name, *outputs)},
            dynamo=False,
            # Both would replace parameters by what is computed from them.
            training=torch.onnx.TrainingMode.PRESERVE,
            do_constant_folding=False,
        )
    model = onnx.load_from_string(file.getvalue())
    _share_constants(model.graph)
    for result, shape in zip(model.graph.output, shapes, strict=True):
        for axis, size in enumerate(shape[1:], 1):
            result.type.tensor_type.shape.dim[axis].dim_value = size
    for node in model.graph.node:
        node.ClearField("name")
    return model


def _share_constants(graph: onnx.GraphProto) -> None:
    """Turn large constants, which tracing writes wherever one is used, into initialisers, each once; and the
    Identity that tracing writes for one of two equal parameters back into an initialiser of its own."""
    known: dict[tuple[int, tuple[int, ...], bytes], str] = {}
    renamed: dict[str, str] = {}
    stored = {tensor.name: tensor for tensor in graph.initializer}
    kept = []
    for node in graph.node:
        value = node.attribute[0].t if node.op_type == "Constant" else None
        if value is not None and np.prod(value.dims) >= HALF_FROM:
            name = known.setdefault((value.data_type, tuple(value.dims), value.raw_data), node.output[0])
            renamed[node.output[0]] = name
            if name == node.output[0]:
                graph.initializer.append(numpy_helper.from_array(numpy_helper.to_array(value), name))
        elif node.op_type == "Identity" and node.input[0] in stored:
            graph.initializer.append(
                numpy_helper.from_array(numpy_helper.to_array(stored[node.input[0]]), node.output[0])
            )
        else:
            kept.append(node)
    for node in kept:
        node.input[:] = [renamed.get(name, name) for name in node.input]
    del graph.node[:]
    graph.node.extend(kept)


def strip_prefix(graph: onnx.GraphProto, prefix: str) -> None:
    """Take ``prefix`` off the names of initialisers: that of the attribute in which a traced wrapper holds
    the network."""
    renamed = {t.name: t.name.removeprefix(prefix) for t in graph.initializer if t.name.startswith(prefix)}
    for tensor in graph.initializer:
        tensor.name = renamed.get(tensor.name, tensor.name)
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]


def halve(graph: onnx.GraphProto) -> None:
    """Store large float32 initialisers as float16, under the same name, behind a Cast that a session folds
    away when it loads."""
    widened = {}
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and np.prod(tensor.dims) >= HALF_FROM:
            half = numpy_helper.to_array(tensor).astype(np.float16)
            widened[tensor.name] = f"{tensor.name}:float32"
            tensor.CopyFrom(numpy_helper.from_array(half, tensor.name))
    nodes = list(graph.node)
    for node in nodes:
        node.input[:] = [widened.get(name, name) for name in node.input]
    del graph.node[:]
    graph.node.extend(
        helper.make_node("Cast", [name], [wide], to=TensorProto.FLOAT) for name, wide in widened.items()
    )
    graph.node.extend(nodes)


def dependencies(family: str, form: str, joint_set: JointSet, body: Body) -> dict[str, object]:
    """Metadata by which :func:`openhmr.load` knows what a file is and what it belongs to: ``family``
    pose2mesh or i2l_meshnet, ``form`` compact or official, ``level`` of the mesh that it predicts
    (``coarse``, or ``all`` for a body without one), joint set and body."""
    # Files without a family, which earlier versions wrote, are recognised by this key.
    kind = {"kind": "i2l-body"} if family == "i2l_meshnet" else {}
    level = "coarse" if "coarse" in body.levels else "all"
    return {
        "family": family,
        "form": form,
        "level": level,
        "joint_set": joint_set.name,
        "body": body.content_hash(),
        **kind,
    }


def save_model(model: onnx.ModelProto, path: Path, metadata: Mapping[str, object]) -> None:
    """Write ``model``, checked, with ``metadata`` (as JSON, but for texts), atomically."""
    helper.set_model_props(
        model, {k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()}
    )
    model.producer_name = "openhmr"
    onnx.checker.check_model(model)
    with atomic_path(path) as temporary:
        onnx.save(model, str(temporary))
