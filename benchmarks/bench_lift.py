"""Speed of `openhmr lift` without its pictures: poses a second, where the time goes, the cold start, and the
camera fit beside the original's (1,500 Adam steps on three parameters; Pose2Mesh, demo).   python
benchmarks/bench_lift.py [--joints coco]"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx

import openhmr
from openhmr.camera import Camera
from openhmr.geometry.camera_fit import fit_translation
from openhmr.predict.lift import look_at, standardise

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


def flops(path: Path) -> tuple[float, float]:
    """Multiply-adds times two of the matrix products for one pose, and stored parameters, from the ONNX file
    itself."""
    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    widened = {n.output[0]: n.input[0] for n in model.graph.node if n.op_type == "Cast"}
    sizes = {t.name: t.dims for t in model.graph.initializer}
    total = 0.0
    vertices = next(
        v.type.tensor_type.shape.dim[1].dim_value for v in model.graph.output if v.name == "vertices"
    )
    for node in model.graph.node:
        dims = sizes.get(widened.get(node.input[1], node.input[1])) if node.op_type == "MatMul" else None
        if dims is None or len(dims) != 2:
            continue
        # PoseNet sees the pose and its mirror image; decoding has 3 or 16 rows, graph layers one row a
        # vertex.
        rows = vertices if dims[0] < 32 and dims[1] < 100 else 16 if dims[1] == vertices else 2
        total += 2.0 * rows * dims[0] * dims[1]
    return total, float(sum(np.prod(d) for d in sizes.values()))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--joints", choices=("coco", "human36"), default="coco")
    joints = parser.parse_args().joints
    lifter = openhmr.load(f"pose2mesh-{joints}")
    camera = Camera.assumed((1000, 1000))
    example = np.load(ROOT / "examples" / "human36_pose.npy") if joints == "human36" else _coco()
    people = lifter(example, camera)
    keypoints = people.keypoints
    pose, K = keypoints.points, camera.K
    inputs = standardise(look_at(pose, camera)[0])
    local = people.joints(joints)[:1] - people.roots[0]
    whole = median_ms(lambda: lifter(keypoints, camera))
    parts = {
        "network": median_ms(lambda: lifter.session.run(["vertices"], {"pose2d": inputs})),
        "camera fit": median_ms(lambda: fit_translation(local, pose[..., :2], pose[..., 2], K)),
    }
    print(f"pose to placed mesh: {whole:.2f} ms, {1e3 / whole:.0f} a second")
    for name, ms in parts.items():
        print(f"  {name}: {ms:.2f} ms")
    adam = median_ms(lambda: adam_fit(local[0], pose[0, :, :2]), 5)
    print(
        f"camera fit of the original, 1,500 Adam steps in NumPy: {adam:.1f} ms, "
        f"{adam / parts['camera fit']:.0f} times ours"
    )
    operations, parameters = flops(
        ROOT / "src" / "openhmr" / "assets" / "weights" / f"pose2mesh-{joints}.onnx"
    )
    print(f"network: {operations / 1e9:.3f} GFLOP a pose, {parameters / 1e6:.1f} M stored numbers")
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
