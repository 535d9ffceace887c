"""The page's numbers (onnxruntime-web under node, one thread) against Python's, in turns: median wall and
CPU time of a lift, of a person in a photo with and without the mirrored pass, and of the detector.
python benchmarks/bench_page.py [--turns N]   needs node and `make web`"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from openhmr import load
from openhmr.bodies.shipped import open_body
from openhmr.camera import Camera
from openhmr.joints import COCO
from openhmr.models import available
from openhmr.predict.detect.movenet import detect_people
from openhmr.serve.body_file import body_file
from openhmr.serve.site import cuts_file

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "examples"))

from photo import rendered_photo  # noqa: E402

SCRIPT = ROOT / "web" / "test" / "parity.mjs"
ROUNDS = {"lift": 60, "photo": 7, "photo, fast": 7, "detector": 3}


def median_ms(run: Callable[[], object], rounds: int) -> dict[str, float]:
    run()
    times = []
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        run()
        times.append((time.perf_counter() - wall, time.process_time() - cpu))
    wall_s, cpu_s = np.median(times, axis=0)
    return {"wall_ms": 1e3 * float(wall_s), "cpu_ms": 1e3 * float(cpu_s)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=3)
    turns = parser.parse_args().turns
    if shutil.which("node") is None or not (ROOT / "web" / "node_modules").is_dir():
        print("node or web/node_modules is missing; nothing to measure")
        return
    image = rendered_photo()
    recoverer, fast, lifter = load("i2l-body"), load("i2l-body", mirrored=False), load("pose2mesh")
    people = recoverer(image)
    assert people.keypoints.boxes is not None
    pose, box, camera = people.keypoints.points[:1], people.keypoints.boxes[0], people.camera
    assert isinstance(camera, Camera) and people.keypoints.joint_set == COCO
    jobs: dict[str, Callable[[], object]] = {
        "lift": lambda: lifter(people.keypoints, camera, order_known=True),
        "photo": lambda: recoverer(image, box, camera),
        "photo, fast": lambda: fast(image, box, camera),
        "detector": lambda: detect_people(image),
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        opaque = np.full((*image.shape[:2], 1), 255, np.uint8)
        (folder / "photo.rgba").write_bytes(np.concatenate([image, opaque], 2).tobytes())
        (folder / "body.bin").write_bytes(body_file(open_body()))
        (folder / "plain.json").write_bytes(cuts_file(available()["i2l-body"]))
        what = {"set": "coco", "pose": pose[0].ravel().tolist(), "box": box.tolist(), "rounds": ROUNDS}
        size = {"width": image.shape[1], "height": image.shape[0], "picture": "photo.rgba"}
        weights = str(available()["pose2mesh"].parent)
        cases = {"weights": weights, "lift": [], "pictures": [], "time": {**what, **size}}
        (folder / "cases.json").write_text(json.dumps(cases))
        for turn in range(turns):
            python = {job: median_ms(run, ROUNDS[job]) for job, run in jobs.items()}
            done = subprocess.run(
                ["node", str(SCRIPT), name], check=True, capture_output=True, text=True, cwd=SCRIPT.parent
            )
            page = json.loads(done.stdout)
            for job in jobs:
                print(
                    f"turn {turn + 1}, {job:11}: "
                    + ", ".join(
                        f"{kind} {page[job][key]:.1f} ms against {python[job][key]:.1f}, "
                        f"{page[job][key] / python[job][key]:.2f} times"
                        for kind, key in (("wall", "wall_ms"), ("CPU", "cpu_ms"))
                    )
                )


if __name__ == "__main__":
    main()
