"""Speed of `openhmr recover` without its pictures: photos a second (box given, one at a time), where the time
goes, and the cold start.   python benchmarks/bench_recover.py [--model FILE.onnx] [--photo FILE]
(taskset -c 0,1 limits it to two cores)"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from openhmr.bodies.shipped import open_body
from openhmr.bodies.skinning import skin
from openhmr.geometry.rotations import axis_angle_to_matrix
from openhmr.io.images import read_image
from openhmr.predict.body_fit import BodyFit
from openhmr.predict.coarse_mesh import coarse_level
from openhmr.predict.person_crop import cut, squares
from openhmr.predict.recover import Recoverer

SHIPPED = Path(__file__).parents[1] / "src" / "openhmr" / "assets" / "weights" / "i2l-body.onnx"
COLD = """
import numpy as np
from openhmr.bodies.shipped import open_body
from openhmr.predict.recover import Recoverer
Recoverer({0!r}, open_body())(np.zeros((480, 640, 3), np.uint8), (200, 100, 150, 300))
"""


def median_ms(run: Callable[[], object], seconds: float = 8.0) -> float:
    run()
    times: list[float] = []
    while sum(times) < seconds and len(times) < 300:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, default=SHIPPED)
    parser.add_argument("--photo", type=Path, help="default: noise of 480 x 640")
    args = parser.parse_args()
    if not args.model.is_file():
        print(f"{args.model} is not there; nothing to measure")
        return
    image = (
        np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
        if args.photo is None
        else read_image(args.photo)
    )
    height, width = image.shape[:2]
    box = np.array([[0.3 * width, 0.1 * height, 0.4 * width, 0.8 * height]])
    body = open_body()
    recoverer = Recoverer(args.model, body)
    crops = squares(box)
    patch = cut(image, crops)
    people = recoverer(image, box)
    rig, ids = people.rig, coarse_level(body).vertex_ids
    assert rig is not None and people.sigma is not None and people.lixel_vertices is not None
    fit, turned = BodyFit(body), axis_angle_to_matrix(rig.pose.astype(np.float64))
    drawn, sigma = people.lixel_vertices[:, ids], people.sigma.vertices[:, ids]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    whole = median_ms(lambda: recoverer(image, box))
    print(f"photo and box to placed meshes: {whole:.1f} ms, {1e3 / whole:.1f} a second on {cores} cores")
    parts = {
        "crop": lambda: cut(image, crops),
        "network": lambda: recoverer.run(patch),
        "fit of the body": lambda: fit(drawn, sigma, turned, rig.betas),
        "skinning": lambda: skin(body, rig.pose, rig.betas),
    }
    for name, run in parts.items():
        print(f"  {name}: {median_ms(run, 4):.1f} ms")
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", COLD.format(str(args.model))], check=True)
    print(f"cold start, import to first mesh: {time.perf_counter() - start:.2f} s")


if __name__ == "__main__":
    main()
