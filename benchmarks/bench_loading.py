"""Does loading keep training fed? Both official systems train on the tests' miniature Human3.6M with a
loading process beside them.

    python benchmarks/bench_loading.py [--workers 1] [--batch 8] [--steps 4] [--threads 1]

A body of SMPL's size, COCO joints with a detector's errors for Pose2Mesh; augmented crops of real pictures
for I2L-MeshNet with ResNet-50. Printed: processor time of a sample, and the share of the time that training
waited for its batches. ``--pace`` takes a step's place by so many seconds of idling, to ask the same of a
quicker machine.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from openhmr.joints import COCO
from openhmr.lab.data.human36m import Human36M, Human36MPoses
from openhmr.lab.items.i2l_meshnet import I2LItems, Preparation
from openhmr.lab.items.pose2mesh import PoseItems
from openhmr.lab.models.i2l_meshnet import official as official_i2l
from openhmr.lab.models.i2l_meshnet.losses import lixel_losses, total_loss
from openhmr.lab.models.pose2mesh.losses import LossConfig, pose2mesh_loss
from openhmr.lab.models.pose2mesh.network import official as official_pose2mesh
from openhmr.lab.training.batches import BalancedMix, Batches, ItemSet, seeded
from tests.test_data_recorded import MINI, stand_in_regressor
from tests.test_skinning import synthetic_body

Step = Callable[[dict[str, Tensor]], Tensor]


def body():
    out = synthetic_body(False)
    out.joint_regressors.update({"human36": stand_in_regressor(401), "coco": stand_in_regressor(501)})  # type: ignore[attr-defined]
    return out


def pose2mesh() -> tuple[ItemSet, torch.optim.Optimizer, Step]:
    person = body()
    network = official_pose2mesh(COCO, person.faces, cache_dir=".cache").train()
    faces, regressor = (
        torch.tensor(person.faces).long(),
        torch.tensor(person.joint_regressor("human36")),
    )

    def loss(batch: dict[str, Tensor]) -> Tensor:
        nodes, pose3d = network(batch["pose2d"])
        return torch.stack(
            list(
                pose2mesh_loss(
                    network.vertices(nodes), pose3d, batch, faces, regressor, 9, LossConfig()
                ).values()
            )
        ).sum()

    items = PoseItems(Human36MPoses(MINI / "Human36M", "train", person), COCO, person)
    return items, torch.optim.RMSprop(network.parameters(), 1e-4), loss


def i2l() -> tuple[ItemSet, torch.optim.Optimizer, Step]:
    person = body()
    network = official_i2l("body", "lixel", person, 50).train()
    faces = torch.tensor(person.faces).long()
    items = I2LItems(Human36M(MINI / "Human36M", "train", person), Preparation("body", person))
    optimizer = torch.optim.Adam(network.trainable_parameters(), 1e-4)
    return items, optimizer, lambda batch: total_loss(lixel_losses(network(batch["img"]), batch, faces))


class Repeated:
    """A short data set gone through many times."""

    def __init__(self, items: ItemSet, count: int) -> None:
        self.items, self.count = items, count

    def __len__(self) -> int:
        return self.count

    def item(self, index, rng, picker):
        return self.items.item(index % len(self.items), rng, picker)


def measure(
    name: str, make: Callable[[], tuple[ItemSet, torch.optim.Optimizer, Step]], args: argparse.Namespace
) -> None:
    items, optimizer, loss = make()
    items.item(0, *seeded(0))
    started = time.process_time()
    for i in range(30):
        items.item(i % len(items), *seeded(i))
    sample = (time.process_time() - started) / 30
    many = Repeated(items, args.batch * args.steps)
    batches = Batches([many], BalancedMix([len(many)]), args.batch, 1, workers=args.workers)
    batches(0)  # starts the loading processes
    batches.waited, started = 0.0, time.perf_counter()
    for step in range(1, args.steps + 1):
        batch = batches(step)
        if args.pace:
            time.sleep(args.pace)
            continue
        optimizer.zero_grad(set_to_none=True)
        loss(batch).backward()
        optimizer.step()
    seconds = time.perf_counter() - started
    print(
        f"{name}: a sample takes {1000 * sample:.1f} ms; batches of {args.batch} beside {args.workers} "
        f"loading process(es): "
        f"{seconds / args.steps:.2f} s a step, {batches.waited / seconds:.1%} of it waiting"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pace", type=float, default=0.0, metavar="S")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    for name, make in (("Pose2Mesh", pose2mesh), ("I2L-MeshNet", i2l)):
        measure(name, make, args)


if __name__ == "__main__":
    main()
