"""The compact Pose2Mesh as the ONNX file that ships."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from torch import Tensor

from openhmr.bodies.body import Body
from openhmr.bodies.shipped import open_body, open_hand
from openhmr.errors import InputError
from openhmr.joints import JOINT_SETS, MANO, SMPL, JointSet
from openhmr.lab.config import build
from openhmr.lab.export.onnx_files import dependencies, save_model
from openhmr.lab.export.onnx_graph import GraphBuilder
from openhmr.lab.models.checkpoint import load_average
from openhmr.lab.models.pose2mesh.compact import (
    LOG_SIGMA,
    CompactConfig,
    CompactPose2Mesh,
    Girth,
    GraphConv,
    MeshNet,
    PoseNet,
    laplacian_table,
)
from openhmr.lab.run_folder import read_run


class _Graph(GraphBuilder):
    """The network's layers as nodes. Every batch holds the poses, then their mirror images."""

    def __init__(self, network: CompactPose2Mesh, body: Body) -> None:
        super().__init__(network)
        self.mirror = network.mirror
        decode = network.mesh_net.decode.T.double().numpy()
        neighbours, values = laplacian_table(body.level("coarse").faces, len(decode))
        self.vertices = len(neighbours)
        degree = (values != 0).sum(1)
        # Vertices of lower degree have a row of zeros behind the last vertex as neighbours.
        padded = np.where(values != 0, neighbours, len(decode))
        scale = 1 / np.sqrt(degree)[:, None]
        self.neighbours = self.constant(padded.T)  # summed over its first axis, which is quick
        self.scale, self.negative_scale = self.constant(scale), self.constant(-scale)

        def laplacian(x: np.ndarray) -> np.ndarray:
            return np.einsum("vd,vdf->vf", values, x[neighbours])

        once, ones = laplacian(decode), np.ones((len(decode), 1))
        self.basis = np.concatenate([decode, once, laplacian(once)], 1).astype(np.float32)
        sums = laplacian(ones)
        self.row_sums = np.concatenate([ones, sums, laplacian(sums)], 1).astype(np.float32)

    def mean(self, x: str, other: str) -> str:
        return self.op("Mul", self.op("Add", x, other), self.constant(0.5))

    def halves(self, x: str) -> tuple[str, str]:
        first, second = self.ops("Split", x, outputs=2, axis=0)
        return first, second

    def pose_net(self, x: str, net: PoseNet) -> str:
        """Features ``(B,hidden)`` of flat poses."""
        x = self.linear(x, net.input)
        for stage in net.stages:
            y = self.linear(self.normalised_relu(x, stage.norm1), stage.linear1, stage.norm2)  # type: ignore[arg-type]
            x = self.op("Add", x, self.linear(self.op("Relu", y), stage.linear2))  # type: ignore[arg-type]
        return self.normalised_relu(x, net.norm)

    def girth(self, transforms: str, girth: Girth) -> str:
        """:class:`Girth` on transforms ``(B,3,J,4)``."""
        matrix, shift = self.ops(
            "Split",
            self.op("Transpose", transforms, perm=[0, 2, 1, 3]),
            self.constant([3, 1]),
            outputs=2,
            axis=-1,
        )
        square = self.op("ReduceSum", self.op("Mul", matrix, matrix), self.constant([-2, -1]), keepdims=1)
        size = self.op("Clip", square, self.constant(1e-6))
        rotation = self.op("Mul", matrix, self.op("Sqrt", self.op("Div", self.constant(3.0), size)))
        for _ in range(girth.iterations):
            square = self.op("MatMul", rotation, self.op("Transpose", rotation, perm=[0, 1, 3, 2]))
            cubed = self.op("Mul", self.op("MatMul", square, rotation), self.constant(0.5))
            rotation = self.op("Sub", self.op("Mul", rotation, self.constant(1.5)), cubed)
        along, across = self.constant(girth.along), self.constant(girth.across)
        full = self.op("Add", self.op("MatMul", matrix, along), self.op("MatMul", rotation, across))
        rest = self.op("MatMul", self.op("Sub", matrix, full), self.constant(girth.rest))
        moved = self.op("Concat", full, self.op("Add", shift, rest), axis=-1)
        return self.op("Transpose", moved, perm=[0, 2, 1, 3])

    def laplacian(self, x: str) -> str:
        """``L x`` of ``x (B,V,F)``; as L is ``-S A S`` with a diagonal S, a plain sum over the neighbours
        between two scalings."""
        padded = self.op("Pad", self.op("Mul", x, self.scale), self.constant([0, 0, 0, 0, 1, 0]))
        gathered = self.op("Gather", padded, self.neighbours, axis=1)
        summed = self.op("ReduceSum", gathered, self.constant([1]), keepdims=0)
        return self.op("Mul", summed, self.negative_scale)

    def split(self, layer: GraphConv) -> tuple[list[str], list[str]]:
        """Weights ``(G,F)`` and biases ``(G,)`` of ``x``, ``L x`` and ``L L x`` in a convolution."""
        third = self.constant([layer.out] * 3)
        w0, w1, w2 = self.ops("Split", self.constant(layer.project.weight), third, outputs=3, axis=0)
        b0, b1, b2 = self.ops("Split", self.constant(layer.project.bias), third, outputs=3, axis=0)
        return (
            [self.op("Sub", w0, w2), w1, self.op("Add", w2, w2)],
            [self.op("Sub", b0, b2), b1, self.op("Add", b2, b2)],
        )

    def skinned_conv(self, transforms: str, blended: str, basis: str, mesh: MeshNet) -> str:
        """:class:`GraphConv` of what skinning makes of ``transforms (B,3,4 J)`` and ``blended (B,F,J)``,
        ``(B,V,G)``.

        Skinning and the Laplacian are fixed linear maps: their products, the ``basis (V, 12 J)``, stand
        beside one another, so that one product with the weighted transforms is all (exact, ours).
        """
        layer, parts, width = mesh.conv1, mesh.joints, mesh.conv1.out
        weights, biases = self.split(layer)
        side_by_side = self.op("Transpose", self.op("Concat", *weights, axis=0), perm=[1, 0])
        of_start, of_blended = self.ops(
            "Split", side_by_side, self.constant([3, mesh.joint_features]), outputs=2, axis=0
        )

        def weighted(values: str, by: str, per_part: int) -> str:
            """``(B, 3, J * per_part, G)``: what ``values (B,F,J * per_part)`` give to each of the terms."""
            product = self.op("MatMul", self.op("Transpose", values, perm=[0, 2, 1]), by)
            apart = self.reshape(product, -1, parts * per_part, 3, width)
            return self.op("Transpose", apart, perm=[0, 2, 1, 3])

        start = self.reshape(weighted(transforms, of_start, 4), -1, 3, parts, 4, width)
        # A transform's last column has the plain skinning weights, by which features are blended as well.
        last = self.constant(np.array([0.0, 0, 0, 1], np.float32).reshape(1, 1, 1, 4, 1))
        rest = self.reshape(weighted(blended, of_blended, 1), -1, 3, parts, 1, width)
        terms = self.reshape(self.op("Add", start, self.op("Mul", rest, last)), -1, 12 * parts, width)
        row_sums = self.constant(self.row_sums)
        bias = [
            self.op("Mul", self.op("Slice", row_sums, *map(self.constant, ([i], [i + 1], [1]))), b)
            for i, b in enumerate(biases)
        ]
        bias_sum = self.op("Add", self.op("Add", bias[0], bias[1]), bias[2])
        return self.op("Add", self.op("MatMul", basis, terms), bias_sum)

    def conv(self, x: str, layer: GraphConv) -> str:
        """:class:`GraphConv` on ``x (B,V,F)``, few features wide: weights first, then the Laplacians."""
        weights, biases = self.split(layer)

        def term(i: int) -> str:
            weight = self.op("Transpose", weights[i], perm=[1, 0])
            return self.op("Add", self.op("MatMul", x, weight), biases[i])

        once = self.op("Add", term(1), self.laplacian(term(2)))
        return self.op("Add", term(0), self.laplacian(once))

    def averaged(self, x: str, flip: Tensor, axis: int, signs: Tensor | None = None) -> str:
        """The mean of what was found for poses and for their mirror images, ``x (2 B, ...)``, whose parts
        along ``axis`` are exchanged by ``flip``; ``x`` itself of a network that looks at no mirror images."""
        if not self.mirror:
            return x
        direct, other = self.halves(x)
        other = self.op("Gather", other, self.constant(flip), axis=axis)
        if signs is not None:
            other = self.op("Mul", other, self.constant(signs))
        return self.mean(direct, other)

    def mesh_net(self, features: str, mesh: MeshNet) -> str:
        """Vertices ``(B,V,3)`` of the features of poses and of their mirror images."""
        parts, width = mesh.joints, mesh.joint_features
        transforms = self.reshape(self.linear(features, mesh.transforms), -1, 3, parts, 4)
        transforms = self.girth(self.averaged(transforms, mesh.flip, 2, mesh.signs), mesh.girth)
        transforms = self.reshape(transforms, -1, 3, 4 * parts)
        blended = self.reshape(self.linear(features, mesh.features), -1, width, parts)
        blended = self.averaged(blended, mesh.flip, 2)
        basis = self.constant(self.basis)
        skinning = self.op("Slice", basis, *map(self.constant, ([0], [4 * parts], [1])))
        start = self.op("MatMul", skinning, self.op("Transpose", transforms, perm=[0, 2, 1]))
        hidden = self.op("Relu", self.skinned_conv(transforms, blended, basis, mesh))
        return self.op("Add", start, self.conv(hidden, mesh.conv2))

    def sigma(self, features: str, mesh: MeshNet) -> str:
        """Standard deviations ``(B,24,3)`` of the parts."""
        spread = self.reshape(self.linear(features, mesh.spread), -1, mesh.joints, 3)
        both = self.averaged(spread, mesh.flip, 1)
        return self.op("Exp", self.op("Clip", both, self.constant(LOG_SIGMA[0]), self.constant(LOG_SIGMA[1])))


def build_onnx(network: CompactPose2Mesh, body: Body) -> onnx.ModelProto:
    """The network in evaluation mode as ONNX: ``pose2d (B,J,3)`` -> ``vertices (B,V,3)``, ``pose3d (B,J,3)``,
    ``sigma (B,24,3)``."""
    g, joints = _Graph(network, body), len(network.flip)

    def mirrored(x: str) -> str:
        return g.op("Mul", g.op("Gather", x, g.constant(network.flip), axis=1), g.constant(network.signs))

    seen = g.op("Concat", "pose2d", mirrored("pose2d"), axis=0) if network.mirror else "pose2d"
    features = g.pose_net(g.reshape(seen, -1, 3 * joints), network.pose_net)
    pose3d = g.reshape(g.linear(features, network.pose_net.output), -1, joints, 3)
    pose3d = g.averaged(pose3d, network.flip, 1, network.signs)
    vertices = g.mesh_net(features, network.mesh_net)
    parts = network.mesh_net.joints
    outputs = {
        "vertices": (vertices, (g.vertices, 3)),
        "pose3d": (pose3d, (joints, 3)),
        "sigma": (g.sigma(features, network.mesh_net), (parts, 3)),
    }
    return g.model({"pose2d": (joints, 3)}, outputs)


def export(
    network: CompactPose2Mesh,
    body: Body,
    joint_set: JointSet,
    path: Path,
    training: Mapping[str, object],
    *,
    upright: bool = False,
) -> None:
    """Write :func:`build_onnx`'s model to ``path`` with the facts of its ``training``; ``upright`` where it
    sees hands with their fingers up."""
    facts = dependencies("pose2mesh", "compact", joint_set, body) | {"training": training}
    facts |= {"upright": "true"} if upright else {}
    save_model(build_onnx(network.eval(), body), path, facts)


def export_run(run: Path, out: Path) -> Path:
    """Write the averaged weights of the furthest stage of ``run`` to ``out``, with the training facts as
    metadata."""
    states = [run / stage / "state.safetensors" for stage in ("stage2", "stage1")]
    state = next((s for s in states if s.exists()), None)
    if state is None or not (run / "config.json").exists():
        raise InputError(
            f"{run} is not a run folder of the compact model: it has no config.json and "
            f"stage1/state.safetensors"
        )
    config = read_run(run).config
    if config.get("joint_set") not in list(JOINT_SETS) or not isinstance(config.get("model"), dict):
        raise InputError(f"{run}/config.json lacks a joint_set or the model's settings; train again")
    joint_set = JOINT_SETS[config["joint_set"]]
    hand = joint_set == MANO
    body = open_hand() if hand else open_body()
    # A hand's parts have no left and right.
    flip = np.arange(body.num_joints) if hand else SMPL.flip_permutation
    network = CompactPose2Mesh(joint_set.flip_permutation, body, flip, build(CompactConfig, config["model"]))
    facts = {"stage": state.parent.name, **load_average(state, network)}
    export(network, body, joint_set, out, facts, upright=bool(config.get("upright", False)))
    return out
