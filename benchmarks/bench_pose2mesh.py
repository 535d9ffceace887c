"""Time of the official Pose2Mesh network, word for word and in this package's form, on one mesh in one run.

    python benchmarks/bench_pose2mesh.py [--mesh FILE.npz] [--train] [--batch 1 8] [--threads 2]

The mesh file holds ``f`` (T,3) faces, or ``body6k_f`` as the tests' mesh file does.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from openhmr.joints import COCO
from openhmr.lab.graphs.mesh_graph import build
from openhmr.lab.models.pose2mesh.losses import LossConfig, pose2mesh_loss
from openhmr.lab.models.pose2mesh.network import Pose2Mesh
from openhmr.lab.models.pose2mesh.sparse import ORDER, SparseMatrix
from tests.twins import PlainPose2Mesh

MESHES = Path(__file__).parents[1] / "tests" / "data" / "pose2mesh" / "meshes.npz"


def read_faces(path: Path) -> np.ndarray:
    with np.load(path, allow_pickle=False) as arrays:
        return arrays["f" if "f" in arrays else "body6k_f"]


def count_flops(model: Pose2Mesh) -> tuple[float, float, float]:
    """FLOPs of one body's evaluation: PoseNet and fc, then the graph convolutions of the plain and of the
    fast form."""
    mesh, graph = model.pose2mesh, model.graph
    dense = 2 * sum(
        m.weight.numel() for m in (*model.pose_lifter.modules(), mesh.fc) if isinstance(m, torch.nn.Linear)
    )
    laplacians = [graph.laplacians[-1], *reversed(graph.laplacians[: graph.levels - 1])]
    plain = fast = 0.0
    for i, channels in enumerate(mesh.blocks):
        k, last = min(i, len(laplacians) - 1), i == len(mesh.blocks) - 1
        level = mesh.real_levels[k]
        for j, (f, g) in enumerate(pairwise(channels)):
            plain += 2 * (ORDER * laplacians[k].shape[0] * f * g + 2 * laplacians[k].nnz * f)
            matrix: SparseMatrix = level.conv_up if i > 1 and not last and j == 0 else level.conv
            rows = len(matrix.offsets_t) // ORDER
            fast += 2 * (ORDER * rows * f * g + len(matrix.indices) * g)
    return dense, plain, fast


def compare(
    plain: Callable[[], object], fast: Callable[[], object], repeats: int
) -> tuple[float, float, float]:
    """Median milliseconds of both and the median of their ratios, taken in turns so that other load strikes
    both."""
    times = []
    for call in range(repeats + 1):
        pair = []
        for function in (plain, fast):
            start = time.perf_counter()
            function()
            pair.append(1e3 * (time.perf_counter() - start))
        if call:
            times.append(pair)
    return (
        statistics.median(t[0] for t in times),
        statistics.median(t[1] for t in times),
        statistics.median(a / b for a, b in times),
    )


def evaluation(plain: Pose2Mesh, fast: Pose2Mesh, batch: int, repeats: int) -> None:
    x = torch.randn(batch, COCO.size, 2)
    joints = torch.randn(batch, COCO.size, 5)
    with torch.inference_mode():
        difference = (plain.predict(x)[0] - fast.predict(x)[0]).abs().max().item()
        full = compare(lambda: plain.predict(x), lambda: fast.predict(x), repeats)
        nodes = compare(lambda: plain(x), lambda: fast(x), repeats)
        mesh = compare(
            lambda: plain.pose2mesh.vertices(joints), lambda: fast.pose2mesh.vertices(joints), repeats
        )
    print(f"evaluation, batch {batch}: largest difference of the vertices {difference:.1e} m")
    for name, (a, b, ratio) in (("vertices", full), ("all nodes", nodes), ("MeshNet alone", mesh)):
        print(f"  {name:14} plain {a:8.1f} ms   fast {b:8.1f} ms   {ratio:5.2f} times as fast")


def training(plain: Pose2Mesh, fast: Pose2Mesh, faces: np.ndarray, batch: int, repeats: int) -> None:
    vertices = plain.graph.real[0]
    x, triangles = torch.randn(batch, COCO.size, 2), torch.as_tensor(faces).long()
    shapes = {"mesh": vertices, "reg_pose3d": COCO.size, "lift_pose3d": COCO.size}
    target = {k: torch.randn(batch, n, 3) for k, n in shapes.items()}
    target |= {f"{k}_valid": torch.ones(batch, n, 1) for k, n in shapes.items()}
    regressor = torch.rand(COCO.size, vertices) / vertices

    def stepper(model: Pose2Mesh) -> Callable[[], None]:
        model.train()
        optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-4)

        def step() -> None:
            nodes, pose3d = model(x)
            optimizer.zero_grad()
            sum(
                pose2mesh_loss(
                    model.vertices(nodes), pose3d, target, triangles, regressor, 9, LossConfig()
                ).values()
            ).backward()
            optimizer.step()

        return step

    a, b, ratio = compare(stepper(plain), stepper(fast), repeats)
    print(f"training step, batch {batch}: plain {a:8.1f} ms   fast {b:8.1f} ms   {ratio:5.2f} times as fast")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mesh", type=Path, default=MESHES)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--train", action="store_true", help="time a training step too, at the largest batch")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    faces = read_faces(args.mesh)
    graph = build(faces, COCO, 9)
    plain, fast = PlainPose2Mesh(graph).eval(), Pose2Mesh(graph).eval()
    plain.load_state_dict(fast.state_dict())
    dense, slow_flops, fast_flops = count_flops(fast)
    print(f"{graph.real[0]} vertices, {len(graph.orders[0])} nodes; {args.threads} threads")
    print(
        f"GFLOP a body: PoseNet and fc {dense / 1e9:.2f}; graph convolutions plain {slow_flops / 1e9:.2f}, "
        f"fast {fast_flops / 1e9:.2f}"
    )
    for batch in args.batch:
        evaluation(plain, fast, batch, args.repeats)
    if args.train:
        training(plain, fast, faces, max(args.batch), max(args.repeats // 3, 2))


if __name__ == "__main__":
    main()
