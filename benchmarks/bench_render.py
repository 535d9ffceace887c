"""Time and memory of the overlay picture (meshes over a photograph and everybody from the side): one person
at a time into one z-buffer, as shipped, beside a plain twin that draws all people as one mesh.

    python benchmarks/bench_render.py [--people 1 3 100]

Each is timed in a process of its own, whose peak memory is printed, too. The people are the open body in
random poses before a camera of 1280 x 960 pixels: ``spread`` over a street, or in a ``crowd`` of large ones
that hide each other.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np

from openhmr.bodies.shipped import open_body
from openhmr.bodies.skinning import skin
from openhmr.camera import Camera
from openhmr.joints import COCO
from openhmr.keypoints import Keypoints
from openhmr.people import People
from openhmr.render.compose import over
from openhmr.render.figure import Figure, dress
from openhmr.render.overlay import canvas_for, overlay_picture
from openhmr.render.scene import draw
from openhmr.render.side import side_view
from openhmr.render.suit import Suit

SIZE = (960, 1280)
PLACES = {"spread": ((-5, 6), (5, 20)), "crowd": ((-1, 3), (1, 4))}
"""Lowest and highest x and z in metres."""


def scene(place: str, count: int) -> People:
    rng, body = np.random.default_rng(0), open_body()
    pose = 0.25 * rng.normal(size=(count, 24, 3))
    pose[:, 0] = np.pi, 0, 0
    vertices, _ = skin(body, pose, np.zeros((count, body.num_betas)))
    low, high = PLACES[place]
    at = rng.uniform((low[0], -0.1, low[1]), (high[0], 0.1, high[1]), (count, 3))
    keypoints = Keypoints(COCO, np.zeros((count, COCO.size, 3), np.float32), SIZE)
    placed = (vertices + at[:, None]).astype(np.float32)
    return People(body, Camera.from_focal(1000.0, SIZE), keypoints, placed)


def one_mesh(people: People, image: np.ndarray) -> np.ndarray:
    """The plain twin: everybody in one mesh (and in one colour), from the front and from the side."""
    figures, count = dress(people.vertices, people.body), people.body.num_vertices
    suit = figures[0].suit
    faces = np.concatenate([suit.faces + i * count for i in range(len(figures))])
    assert suit.edges is not None
    joined = Suit(faces, np.tile(suit.edges, len(figures)))
    vertices = np.concatenate([f.vertices for f in figures])
    everybody = Figure(vertices, np.concatenate([f.normals for f in figures]), joined, 0)
    front = over(image, draw([everybody], people.camera.K, SIZE))
    return np.concatenate([front, side_view([everybody], SIZE[0])], 1)


def measured(way: str, place: str, count: int) -> tuple[float, float]:
    """Seconds and peak MB of drawing one picture, in this process."""
    people, image = scene(place, count), np.full((*SIZE, 3), 128, np.uint8)
    warm = people[:1]
    overlay_picture(warm, canvas_for(warm, image))
    before = time.perf_counter()
    overlay_picture(people, canvas_for(people, image)) if way == "ours" else one_mesh(people, image)
    seconds = time.perf_counter() - before
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--people", type=int, nargs="+", default=[1, 3, 100])
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measured(options.one[0], options.one[1], int(options.one[2]))))
        return
    for place in PLACES:
        for count in options.people:
            row = {}
            for way in ("ours", "plain"):
                command = [sys.executable, __file__, "--one", way, place, str(count)]
                said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                row[way] = json.loads(said)
            (ours, mine), (plain, its) = row["ours"], row["plain"]
            print(
                f"{place:6} {count:4} people: {ours:5.2f} s and {mine:5.0f} MB, as one mesh {plain:5.2f} s "
                f"and {its:5.0f} MB: {plain / ours:.2f} times as quick, {its / mine:.1f} times less memory"
            )


if __name__ == "__main__":
    main()
