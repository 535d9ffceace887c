"""The demo: four 2D poses and a photo become meshes, pictures and numbers.  python examples/demo.py [OUT]"""

import sys
import time
from pathlib import Path

import numpy as np
from photo import fetch_photo

import openhmr
from openhmr.cli import main

HERE = Path(__file__).parent
CASES = (
    ("skier", "coco_skier.json", "coco", ["--focal", "800"]),
    ("human36", "human36_pose.npy", "human36", []),
    ("balancing", "balancing_detection.json", "coco", ["--focal", "1681"]),
    ("three_people", "three_people.json", "coco", ["--focal", "1000"]),
)


def photo(out: Path) -> int:
    picture = out / "photo.png"
    print(f"\nphoto: {fetch_photo(picture)}\n  openhmr recover {picture} --out {out / 'photo'}")
    return main(["recover", str(picture), "--out", str(out / "photo")])


def run(out: Path) -> int:
    started = time.perf_counter()
    for name, pose, joints, extra in CASES:
        print(
            f"\n{name}: openhmr lift examples/{pose} --joints {joints} {' '.join(extra)} --out {out / name}"
        )
        if code := main(["lift", str(HERE / pose), "--joints", joints, *extra, "--out", str(out / name)]):
            return code
    if code := photo(out):
        return code

    pose = np.load(HERE / "human36_pose.npy")
    lifter = openhmr.load("pose2mesh-human36")
    lifter(pose)
    times = []
    for _ in range(200):
        begin = time.perf_counter()
        lifter(pose)
        times.append(time.perf_counter() - begin)
    print(f"\npose to mesh with camera: {1 / np.median(times):.0f} a second on this machine")
    print(
        f"look at {out}/*/overlay.png; open {out}/*/mesh.glb in a 3D viewer "
        f"({time.perf_counter() - started:.1f} s in all)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1] if len(sys.argv) > 1 else "out/demo")))
