"""Weights from the ONNX files that ship or that ``openhmr lab export`` writes: a run can start from them."""

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, numpy_helper
from torch import Tensor, nn

from openhmr.errors import InputError
from openhmr.joints import POINTS, JointSet, point_indices
from openhmr.lab.models.checkpoint import read_average
from openhmr.models import available


def read_onnx_weights(path: str | Path) -> dict[str, Tensor]:
    """The floating-point constants of an ONNX file by name, in float32 (large ones are stored in half
    precision).

    Files of :mod:`openhmr.lab.export` name them as the network's state_dict does. Raises :class:`InputError`
    if ``path`` is missing or no ONNX model.
    """
    try:
        nodes = (graph := onnx.load(str(path), load_external_data=False).graph).node
    except Exception:  # the parser of protocol buffers fails in several ways
        nodes = None
    if not nodes:  # an empty file is a valid protocol buffer
        raise InputError(f"{path} is missing or no ONNX model; give a file that `openhmr lab export` wrote")
    stored = (TensorProto.FLOAT, TensorProto.FLOAT16)
    return {
        # A copy, because arrays of a protocol buffer are read-only.
        t.name: torch.tensor(numpy_helper.to_array(t), dtype=torch.float32)
        for t in graph.initializer
        if t.data_type in stored
    }


def read_start(source: str | Path) -> dict[str, Tensor]:
    """Weights to start from: of a shipped model by its name (``pose2mesh``), of an ``.onnx`` file, or
    the averaged ones in the folder of a run. Raises :class:`InputError`."""
    shipped = available()
    if str(source) in shipped:
        return read_onnx_weights(shipped[str(source)])
    if Path(source).suffix.lower() == ".onnx":
        return read_onnx_weights(source)
    state = Path(source) / "state.safetensors"
    if not state.is_file():
        raise InputError(
            f"there are no weights at {source}; give a shipped model ({', '.join(shipped)}), an "
            f".onnx file of `openhmr lab export`, or the folder of a run that holds state.safetensors"
        )
    return read_average(state)[0]


def lifter_of(weights: dict[str, Tensor], joint_set: JointSet) -> dict[str, Tensor]:
    """Weights of a compact Pose2Mesh for the points of ``joint_set`` alone, from those of one for all points
    of the body; other weights come back as they are.

    Exact, since points that are not there are zeros: their columns of the first layer and their rows of the
    3D pose go.
    """
    first, last = "pose_net.input.weight", ("pose_net.output.weight", "pose_net.output.bias")
    if first not in weights or weights[first].shape[1] != 3 * POINTS.size:
        return weights
    numbers = torch.as_tensor((3 * point_indices(joint_set)[:, None] + np.arange(3)).ravel())
    return weights | {first: weights[first][:, numbers]} | {name: weights[name][numbers] for name in last}


def start_from(network: nn.Module, source: str | Path, joint_set: JointSet | None = None) -> list[str]:
    """Copy :func:`read_start`'s weights wherever names and shapes agree; returns the names of the
    floating-point tensors that keep their values.

    A compact Pose2Mesh of ``joint_set`` starts from one of all points by :func:`lifter_of`. Raises
    :class:`InputError` where nothing agrees.
    """
    stored = read_start(source)
    if joint_set is not None:
        stored = lifter_of(stored, joint_set)
    own = {k: v for k, v in network.state_dict().items() if v.is_floating_point()}
    fitting = {k: v for k, v in stored.items() if k in own and own[k].shape == v.shape}
    if not fitting:
        raise InputError(
            f"no tensor of {source} fits this network; give weights of a network of the same kind"
        )
    network.load_state_dict(fitting, strict=False)
    return sorted(own.keys() - fitting.keys())
