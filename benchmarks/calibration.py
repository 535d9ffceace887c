"""How well the image network's standard deviations foretell its errors, joint by joint, where joints are
seen, hidden, and outside of the picture.

  python benchmarks/calibration.py --images DIR [--count N] [--model FILE]

DIR are test pictures of `openhmr lab synth images` (docs/synthetic_pictures.md); each is also cut off at
knees, hips or chest, in turns, and covered by a patch of 30 % of the box. Printed is the root mean square of
errors over deviations, of root-relative joints along the axes of the virtual camera: 1 is calibrated."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

import openhmr
from openhmr.bodies.shipped import open_body
from openhmr.geometry.pinhole import gaze_rotation
from openhmr.joints import COCO
from openhmr.lab.evaluation.degradations import CUTS, Shot, cut_below, hidden
from openhmr.lab.evaluation.recover_benchmark import MIN_PERSON_PX, Item, items
from openhmr.lab.synth.shards import read_shards
from openhmr.predict.recover import Recoverer

BINS = ("seen", "hidden", "outside")
FEWEST = 30
"""Errors that a ratio needs."""


def versions(item: Item, visible: NDArray, regressor: NDArray) -> Iterator[tuple[Shot, NDArray]]:
    """The picture as it is, cut off, and covered, each with which joints ``(19,)`` are in sight."""
    truth = (regressor @ item.vertices).astype(np.float64)
    shot = Shot(item.image, item.camera, truth, np.ones(COCO.size, bool), item.box, True)
    yield shot, visible
    cut = cut_below(shot, list(CUTS)[item.number % len(CUTS)])
    if cut.box[2:].max() > MIN_PERSON_PX:
        yield cut, visible & cut.inside
    covered = hidden(shot, 30, np.random.default_rng(item.number))
    at = np.clip(np.rint(item.camera.project(truth)).astype(int), 0, np.array(item.image.shape[1::-1]) - 1)
    same = (covered.image == item.image).all(-1)[at[:, 1], at[:, 0]]
    yield covered, visible & same


def ratios(recoverer: Recoverer, shot: Shot) -> NDArray[np.float64]:
    """Squared errors over variances, the mean of the three axes, a joint ``(19,)``."""
    people = recoverer(shot.image, shot.box, shot.camera)
    assert people.sigma is not None
    joints = people.joints(COCO)[0].astype(np.float64)
    pelvis = COCO.names.index("Pelvis")
    error = (joints - joints[pelvis]) - (shot.joints_m - shot.joints_m[pelvis])
    centre = shot.box[:2] + shot.box[2:] / 2
    x, y, _ = shot.camera.rays(centre[None]).T
    turn = gaze_rotation(x, y)[0]
    return np.asarray(((error @ turn.T) ** 2 / people.sigma.joints[0] ** 2).mean(-1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--model", default="i2l-body")
    args = parser.parse_args()
    recoverer, body = openhmr.load(args.model), open_body()
    assert isinstance(recoverer, Recoverer)
    regressor = body.joint_regressor(COCO)
    found: dict[str, list[list[float]]] = {b: [[] for _ in COCO.names] for b in BINS}
    shards = read_shards(args.images, body, args.count)
    visible = np.concatenate([arrays["visible"] for _, arrays in shards])
    for item in tqdm(items(shards, body, args.count), total=args.count):
        for shot, seen in versions(item, visible[item.number], regressor):
            for j, value in enumerate(ratios(recoverer, shot)):
                where = "outside" if not shot.inside[j] else "seen" if seen[j] else "hidden"
                found[where][j].append(value)
    print(f"| joint | {' | '.join(BINS)} |\n|---{'|---' * len(BINS)}|")
    everything = {b: [v for joint in found[b] for v in joint] for b in BINS}
    rows = [(name, [found[b][j] for b in BINS]) for j, name in enumerate(COCO.names) if name != "Pelvis"]
    for name, bins in [*rows, ("all", list(everything.values()))]:
        print(f"| {name} | {' | '.join(_text(values) for values in bins)} |")


def _text(values: list[float]) -> str:
    return f"{np.sqrt(np.mean(values)):.2f} ({len(values)})" if len(values) >= FEWEST else ""


if __name__ == "__main__":
    main()
