"""Speed of `openhmr lift` without its pictures: poses a second, where the time goes, the network beside its
own dense layers, the cold start, and the camera fit beside the original's (1,500 Adam steps on three
parameters; Pose2Mesh, demo).   python benchmarks/bench_lift.py [--joints coco]"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import openhmr
from openhmr.camera import Camera
from openhmr.geometry.camera_fit import fit_translation
from openhmr.joints import point_indices
from openhmr.predict.lift import look_at, standardise
from openhmr.predict.session import open_session

ROOT = Path(__file__).parents[1]
COLD = "import openhmr, numpy as np; openhmr.load('pose2mesh-{0}')(np.load(r'{1}'))"


def median_ms(run: Callable[[], object], repeats: int = 300) -> float:
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1e3


def adam_fit(points: np.ndarray, pixels: np.ndarray, steps: int = 1500) -> np.ndarray:
    """The original's weak-perspective fit: L1 over the joints in a 500-pixel crop, Adam, rate 0.1, 0.05 and
    0.001."""
    low, high = pixels.min(0), pixels.max(0)
    target = (pixels - (low + high) / 2) / (high - low).max() * 400 + 250
    x, m, v = np.random.default_rng(0).random(3), np.zeros(3), np.zeros(3)
    for step in range(1, steps + 1):
        moved = points[:, :2] + x[1:]
        sign = np.sign(moved * x[0] * 250 + 250 - target) / target.size * 250
        gradient = np.array([(sign * moved).sum(), *(sign.sum(0) * x[0])])
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        rate = 0.1 if step <= 500 else 0.05 if step <= 1000 else 0.001
        x = x - rate * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
    return x


def weights_of(model: onnx.ModelProto) -> list[np.ndarray]:
    """Weights ``(out, in)`` of the dense layers, in the order in which they are computed."""
    made = {name: node for node in model.graph.node for name in node.output}
    stored = {t.name: t for t in model.graph.initializer}

    def behind(name: str) -> np.ndarray:
        # Stored in half precision, and perhaps with a BatchNorm folded into them.
        while name not in stored:
            name = made[name].input[0]
        return numpy_helper.to_array(stored[name]).astype(np.float32)

    return [behind(node.input[1]) for node in model.graph.node if node.op_type == "Gemm"]


def dense_layers(weights: list[np.ndarray], path: Path) -> None:
    """Write an ONNX file that computes the network's dense layers, one after another, and nothing else: what
    reading its weights costs at least."""
    x, hidden, nodes, heads = "x", len(weights[0]), [], []
    for i, weight in enumerate(weights):
        nodes.append(helper.make_node("Gemm", [x, f"w{i}"], [f"y{i}"], transB=1))
        if len(weight) == hidden:
            x = f"y{i}"
        else:
            heads.append(helper.make_tensor_value_info(f"y{i}", TensorProto.FLOAT, [2, len(weight)]))
    # A pose and its mirror image.
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, weights[0].shape[1]])
    stored = [numpy_helper.from_array(weight, f"w{i}") for i, weight in enumerate(weights)]
    graph = helper.make_graph(nodes, "dense", [given], heads, stored)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)


def alternately_ms(*runs: Callable[[], object], repeats: int = 300) -> list[float]:
    """Medians of runs that take turns, so that whatever else the machine does slows all of them."""
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(repeats + 1):
        for run, taken in zip(runs, times, strict=True):
            start = time.perf_counter()
            run()
            taken.append(time.perf_counter() - start)
    return [float(np.median(taken[1:])) * 1e3 for taken in times]


def flops(model: onnx.ModelProto) -> float:
    """Multiply-adds times two of the matrix products for one pose, from the ONNX file itself."""
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {
        v.name: [d.dim_value for d in v.type.tensor_type.shape.dim]
        for v in (*graph.value_info, *graph.input, *graph.output)
    } | {t.name: list(t.dims) for t in graph.initializer}
    products = [node for node in graph.node if node.op_type in ("MatMul", "Gemm")]
    return sum(2.0 * np.prod(shapes[n.output[0]]) * shapes[n.input[0]][-1] for n in products)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--joints", default="coco", metavar="SET", help="skeleton of the 2D pose")
    joints = parser.parse_args().joints
    camera = Camera.assumed((1000, 1000))
    seen = openhmr.load("pose2mesh")(_coco(), camera)
    lifter = openhmr.load(f"pose2mesh-{joints}")
    people = lifter(seen.camera.project(seen.joints(joints)), camera)
    keypoints = people.keypoints
    pose, K = keypoints.points, camera.K
    whole_pose = np.zeros((1, lifter.layout.size, 3), np.float32)
    whole_pose[:, point_indices(keypoints.joint_set)] = pose
    inputs = standardise(look_at(whole_pose, camera)[0])
    local = people.joints(joints)[:1] - people.roots[0]
    path = openhmr.available()["pose2mesh"]
    model = onnx.load(path)
    weights = weights_of(model)
    whole = median_ms(lambda: lifter(keypoints, camera))
    fit = median_ms(lambda: fit_translation(local, pose[..., :2], pose[..., 2], K))
    with tempfile.TemporaryDirectory() as folder:
        dense_layers(weights, Path(folder) / "dense.onnx")
        dense = open_session(Path(folder) / "dense.onnx", threads=2)
        two = np.repeat(inputs.reshape(1, -1), 2, 0)
        network, alone = alternately_ms(
            lambda: lifter.session.run(["vertices"], {"pose2d": inputs}), lambda: dense.run(None, {"x": two})
        )
    print(f"pose to placed mesh: {whole:.2f} ms, {1e3 / whole:.0f} a second")
    print(f"  network: {network:.2f} ms, {network / alone:.2f} times its own dense layers ({alone:.2f} ms)")
    print(f"  camera fit: {fit:.2f} ms")
    adam = median_ms(lambda: adam_fit(local[0], pose[0, :, :2]), 5)
    print(
        f"camera fit of the original, 1,500 Adam steps in NumPy: {adam:.1f} ms, {adam / fit:.0f} times ours"
    )
    stored = sum(np.prod(t.dims) for t in model.graph.initializer)
    dense_flops = sum(4 * w.size for w in weights)
    print(
        f"network: {flops(model) / 1e9:.3f} GFLOP a pose, {dense_flops / 1e9:.3f} of them in dense layers; "
        f"{stored / 1e6:.1f} M stored numbers"
    )
    path = ROOT / "examples" / "human36_pose.npy"
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", COLD.format("human36", path)], check=True)
    print(f"cold start, import to first mesh: {time.perf_counter() - start:.2f} s")


def _coco() -> np.ndarray:
    import json

    keypoints = json.loads((ROOT / "examples" / "coco_skier.json").read_text())["annotations"][0]["keypoints"]
    return np.minimum(np.array(keypoints, float).reshape(17, 3), [np.inf, np.inf, 1])


if __name__ == "__main__":
    main()
