"""Time and memory of the official I2L-MeshNet, word for word and in this package's form, on one body.

    python benchmarks/bench_i2l_meshnet.py [--kind hand] [--batch 1 8] [--threads 2] [--train]

The body is a stand-in of the official size, since only sizes matter. Memory of a training step is measured in
a process of its own for each form: what the step adds to parameters, gradients and the optimiser's moments,
all of which are there before.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from openhmr.bodies.body import Body
from openhmr.joints.mano import MANO_PARENTS
from openhmr.joints.smpl import SMPL_PARENTS
from openhmr.lab.models.i2l_meshnet import official
from openhmr.lab.models.i2l_meshnet.losses import lixel_losses, total_loss
from openhmr.lab.models.i2l_meshnet.network import I2LMeshNet
from tests.twins import plain_i2l_meshnet

SIZES = {"body": (6890, 13776, SMPL_PARENTS), "hand": (778, 1538, MANO_PARENTS)}


def stand_in(kind: str) -> Body:
    vertices, faces, parents = SIZES[kind]
    rng, joints = np.random.default_rng(0), len(parents)
    return Body(
        v_template=rng.normal(size=(vertices, 3)),
        shapedirs=rng.normal(size=(vertices, 3, 10)),
        posedirs=np.zeros((vertices, 3, 0)),
        J_regressor=rng.dirichlet(np.ones(vertices), joints),
        weights=rng.dirichlet(np.ones(joints), vertices),
        parents=np.array(parents),
        faces=(rng.integers(0, vertices, (faces, 1)) + np.arange(3)) % vertices,
    )


def build(kind: str, backbone: int, plain: bool) -> I2LMeshNet:
    torch.manual_seed(0)
    network = (plain_i2l_meshnet if plain else official)(kind, "lixel", stand_in(kind), backbone)
    with torch.no_grad():
        for module in network.modules():
            # The official initialisation gives next to nothing at depth; this one gives heatmaps with peaks.
            if isinstance(module, torch.nn.Conv1d | torch.nn.Conv2d | torch.nn.ConvTranspose2d):
                module.weight.normal_(std=1.2 * module.weight[0].numel() ** -0.5)
    return network


def alternate(functions: list[Callable[[], object]], repeats: int) -> list[float]:
    """Median seconds of each, taken in turns so that other load strikes all."""
    times: list[list[float]] = [[] for _ in functions]
    for call in range(repeats + 1):
        for function, taken in zip(functions, times, strict=True):
            start = time.perf_counter()
            function()
            if call:
                taken.append(time.perf_counter() - start)
    return [statistics.median(t) for t in times]


def evaluation(networks: list[I2LMeshNet], batch: int, repeats: int) -> None:
    image = torch.rand(batch, 3, 256, 256)
    with torch.inference_mode():
        plain, fast = (network(image) for network in networks)
        difference = max((plain[k] - fast[k]).abs().max().item() for k in plain)
        slow_s, fast_s = alternate([lambda n=n: n(image) for n in networks], repeats)
    print(
        f"evaluation, batch {batch}: plain {1e3 * slow_s:7.1f} ms   fast {1e3 * fast_s:7.1f} ms   "
        f"{slow_s / fast_s:5.2f} times as fast"
    )
    print(f"  largest difference {difference:.1e} lixel")


def targets(network: I2LMeshNet, body: Body, batch: int) -> dict[str, torch.Tensor]:
    joints, vertices = len(network.joint_regressor), body.num_vertices
    points = {"orig_joint_img": joints, "fit_joint_img": joints, "fit_mesh_img": vertices}
    masks = {"orig_joint_trunc": joints, "fit_joint_trunc": joints, "fit_mesh_trunc": vertices}
    out = {k: torch.rand(batch, n, 3) * 64 for k, n in points.items()} | {
        k: torch.ones(batch, n, 1) for k, n in masks.items()
    }
    return out | {"is_valid_fit": torch.ones(batch), "is_3D": torch.ones(batch)}


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def training_child(kind: str, backbone: int, batch: int, repeats: int, plain: bool) -> None:
    """One form's memory and time, printed as two numbers."""
    body, network = stand_in(kind), build(kind, backbone, plain).train()
    optimizer = torch.optim.Adam(network.trainable_parameters(), 1e-4, fused=True)
    for parameter in network.trainable_parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    image, target, faces = (
        torch.rand(batch, 3, 256, 256),
        targets(network, body, batch),
        torch.tensor(body.faces).long(),
    )

    def step() -> None:
        optimizer.zero_grad(set_to_none=False)
        total_loss(lixel_losses(network(image), target, faces)).backward()
        optimizer.step()

    before = resident_bytes()
    step()
    added = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    print(added, alternate([step], repeats)[0])


def training(arguments: argparse.Namespace, batch: int) -> None:
    numbers = []
    for form in ("plain", "fast"):
        command = [
            sys.executable,
            __file__,
            "--child",
            form,
            "--kind",
            arguments.kind,
            "--backbone",
            str(arguments.backbone),
        ]
        command += [
            "--batch",
            str(batch),
            "--threads",
            str(arguments.threads),
            "--repeats",
            str(arguments.repeats),
        ]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        numbers.append([float(n) for n in done.stdout.split()])
    (slow_bytes, slow_s), (fast_bytes, fast_s) = numbers
    print(
        f"training step, batch {batch}: plain {slow_s:6.2f} s   fast {fast_s:6.2f} s   "
        f"{slow_s / fast_s:5.2f} times as fast"
    )
    print(
        f"  adds to the model's memory: plain {slow_bytes / 1e6:.0f} MB, fast {fast_bytes / 1e6:.0f} MB: "
        f"{fast_bytes / slow_bytes:.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=sorted(SIZES), default="body")
    parser.add_argument("--backbone", type=int, default=50)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--train", action="store_true", help="measure a lixel training step too, at the largest batch"
    )
    parser.add_argument("--child", choices=["plain", "fast"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.child:
        return training_child(args.kind, args.backbone, args.batch[0], args.repeats, args.child == "plain")
    networks = [build(args.kind, args.backbone, plain).eval() for plain in (True, False)]
    networks[0].load_state_dict(networks[1].state_dict())
    print(f"{args.kind}, ResNet-{args.backbone}, {args.threads} threads")
    for batch in args.batch:
        evaluation(networks, batch, args.repeats)
    del networks
    if args.train:
        training(args, max(args.batch))
    return None


if __name__ == "__main__":
    main()
