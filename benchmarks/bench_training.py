"""Time of one optimiser step of the official Pose2Mesh, all losses, in this package's form and word for word,
in one run; and of making its samples.

    python benchmarks/bench_training.py [--batch 8] [--threads 2] [--repeats 5]

The bar is 2: a step must be twice as fast as the plain twin's. The mesh is the tests' body of 6,890 vertices.
The samples come from the tests' miniature Human3.6M (no pictures are read), with synthetic 2D errors;
``share`` is what one loading process takes of a step's time: below 1 it keeps the training fed.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.bench_pose2mesh import MESHES, compare, read_faces
from openhmr.joints import COCO, HUMAN36
from openhmr.lab.data.human36m import Human36MPoses
from openhmr.lab.graphs.mesh_graph import build
from openhmr.lab.items.pose2mesh import PoseItems
from openhmr.lab.models.pose2mesh.losses import LossConfig, pose2mesh_loss
from openhmr.lab.models.pose2mesh.network import Pose2Mesh
from openhmr.lab.training.batches import seeded
from tests.test_data_recorded import MINI, stand_in_regressor
from tests.test_skinning import synthetic_body
from tests.twins import PlainPose2Mesh


def stepper(model: Pose2Mesh, faces: np.ndarray, batch: int):
    """One whole step: forward, all losses, backward, RMSprop."""
    vertices, generator = model.graph.real[0], torch.Generator().manual_seed(1)

    def draw(*shape):
        return torch.randn(*shape, generator=generator)

    target = {
        "mesh": draw(batch, vertices, 3),
        "reg_pose3d": draw(batch, HUMAN36.size, 3),
        "lift_pose3d": draw(batch, COCO.size, 3),
    }
    target |= {f"{k}_valid": torch.ones(batch, v.shape[1], 1) for k, v in list(target.items())}
    x, triangles, regressor = (
        draw(batch, COCO.size, 2),
        torch.as_tensor(faces).long(),
        torch.rand(HUMAN36.size, vertices) / vertices,
    )
    optimizer = torch.optim.RMSprop(model.train().parameters(), lr=1e-4)

    def step() -> None:
        nodes, pose3d = model(x)
        optimizer.zero_grad(set_to_none=True)
        terms = pose2mesh_loss(model.vertices(nodes), pose3d, target, triangles, regressor, 9, LossConfig())
        assert len(terms) == 5
        torch.stack(list(terms.values())).sum().backward()
        optimizer.step()

    return step


def sample_seconds(count: int = 40) -> float:
    """Median seconds of making one training sample of Human3.6M with COCO joints and a detector's errors."""
    body = synthetic_body(False)
    body.joint_regressors.update({"human36": stand_in_regressor(401), "coco": stand_in_regressor(501)})  # type: ignore[attr-defined]
    items, times = PoseItems(Human36MPoses(MINI / "Human36M", "train", body), COCO, body), []
    for i in range(count):
        started = time.perf_counter()
        items.item(i % len(items), *seeded(i))
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    faces = read_faces(MESHES)
    graph = build(faces, COCO, 9)
    plain, fast = PlainPose2Mesh(graph), Pose2Mesh(graph)
    plain.load_state_dict(fast.state_dict())
    a, b, ratio = compare(stepper(plain, faces, args.batch), stepper(fast, faces, args.batch), args.repeats)
    print(
        f"Pose2Mesh step, {graph.real[0]} vertices, batch {args.batch}, {args.threads} threads, all losses:"
    )
    print(f"  plain {a:.0f} ms, ours {b:.0f} ms: {ratio:.2f} times as fast (bar: 2)")
    seconds = sample_seconds()
    print(
        f"  a sample takes {1000 * seconds:.1f} ms: one loading process takes "
        f"{1000 * seconds * args.batch / b:.2f} of a step's time"
    )


if __name__ == "__main__":
    main()
