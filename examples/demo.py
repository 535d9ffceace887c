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


def command(title: str, *words: str) -> None:
    """Print an openhmr command under a title, and run it; the demo ends where it fails."""
    print(f"\n{title}: openhmr {' '.join(words)}")
    if code := main(list(words)):
        sys.exit(code)


def lifts_a_second(rounds: int = 200) -> float:
    pose, lifter = np.load(HERE / "human36_pose.npy"), openhmr.load("pose2mesh-human36")
    times = []
    for _ in range(rounds + 1):
        begin = time.perf_counter()
        lifter(pose)
        times.append(time.perf_counter() - begin)
    return float(1 / np.median(times[1:]))


def run(out: Path) -> None:
    started = time.perf_counter()
    for name, pose, joints, extra in CASES:
        command(name, "lift", str(HERE / pose), "--joints", joints, *extra, "--out", str(out / name))
    said = fetch_photo(out / "photo.png")
    command(f"photo ({said})", "recover", str(out / "photo.png"), "--out", str(out / "photo"))
    print(f"\npose to mesh with camera: {lifts_a_second():.0f} a second on this machine")
    print(
        f"look at {out}/*/overlay.png; open {out}/*/mesh.glb in a 3D viewer "
        f"({time.perf_counter() - started:.1f} s in all)"
    )


if __name__ == "__main__":
    run(Path(sys.argv[1] if len(sys.argv) > 1 else "out/demo"))
