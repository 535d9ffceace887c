"""A linear stand-in for Pose2Mesh on the tiny body, as an ONNX file."""

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save_model

from openhmr.bodies.body import Body


def base_vertices(body: Body) -> np.ndarray:
    """The coarse template ``(Vc,3)`` in camera axes, facing the camera, human36 pelvis at the origin."""
    pelvis = body.joint_regressor("human36")[0] @ body.v_template
    return ((body.v_template[body.level("coarse").vertex_ids] - pelvis) * (1, -1, -1)).astype(np.float32)


def weights(body: Body, joints: int, strength: float) -> np.ndarray:
    """``(3J, 3Vc)`` matrix by which the standardised pose moves the vertices."""
    size = (3 * joints, 3 * len(body.level("coarse").vertex_ids))
    return (np.random.default_rng(3).normal(size=size) * strength).astype(np.float32)


def write_tiny_model(
    path: Path,
    body: Body,
    joint_set: str,
    joints: int,
    strength: float = 0.01,
    made_for: str | None = None,
    **facts: str,
) -> Path:
    """``vertices = base + reshape(flatten(pose2d) @ weights)``; the file's metadata holds ``facts`` too."""
    constants = {
        "w": weights(body, joints, strength),
        "base": base_vertices(body),
        "flat": np.array([-1, 3 * joints]),
        "mesh": np.array([-1, len(base_vertices(body)), 3]),
    }
    nodes = [
        helper.make_node("Reshape", ["pose2d", "flat"], ["x"]),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
        helper.make_node("Reshape", ["y", "mesh"], ["offsets"]),
        helper.make_node("Add", ["offsets", "base"], ["vertices"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("pose2d", TensorProto.FLOAT, ["n", joints, 3])],
        [helper.make_tensor_value_info("vertices", TensorProto.FLOAT, ["n", len(base_vertices(body)), 3])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"joint_set": joint_set, "body": made_for or body.content_hash()} | facts)
    save_model(model, path)
    return path
