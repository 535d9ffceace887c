"""The image network with and without its pass over the mirror image, in turns: errors on rendered pictures,
and CPU time a person.   python benchmarks/mirrored_pass.py PICTURES [--count N]
PICTURES is a folder of `openhmr lab synth images`."""

import argparse
import time
from pathlib import Path

import numpy as np

from openhmr import load
from openhmr.bodies.shipped import open_body
from openhmr.joints import HUMAN36
from openhmr.lab.evaluation.recover_benchmark import items
from openhmr.lab.metrics.errors import mpjpe, mpvpe, pa_mpjpe, pa_mpvpe
from openhmr.lab.synth.shards import read_shards


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--count", type=int, default=200)
    args = parser.parse_args()
    body = open_body()
    regressor = body.joint_regressor("human36")
    ways = {"mirrored": load("i2l-body"), "plain": load("i2l-body", mirrored=False)}
    errors: dict[str, list[list[float]]] = {name: [] for name in ways}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for item in items(read_shards(args.pictures, body, args.count), body, args.count):
        truth = 1000 * item.vertices.astype(np.float64)
        for name, recoverer in ways.items():
            start = time.process_time()
            people = recoverer(item.image, item.box, item.camera)
            seconds[name].append(time.process_time() - start)
            mesh = 1000 * people.vertices[0].astype(np.float64)
            pair = regressor @ mesh, regressor @ truth
            errors[name].append(
                [
                    float(mpjpe(*pair, HUMAN36)),
                    float(pa_mpjpe(*pair, HUMAN36)),
                    float(mpvpe(mesh, truth, body.J_regressor[0])),
                    float(pa_mpvpe(mesh, truth)),
                ]
            )
    print(f"{'':10} MPJPE  PA-MPJPE  MPVPE  PA-MPVPE mm   CPU ms a person   ({len(errors['plain'])} people)")
    for name in ways:
        a, b, c, d = np.mean(errors[name], axis=0)
        print(f"{name:10} {a:5.1f}  {b:8.1f}  {c:5.1f}  {d:8.1f}   {1e3 * np.median(seconds[name]):10.1f}")


if __name__ == "__main__":
    main()
