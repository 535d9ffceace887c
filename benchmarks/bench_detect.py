"""The detector: people found (F1), 2D error, and its cost as a ratio to the photo network in the same run.

    python benchmarks/bench_detect.py [--pictures FOLDER] [--clip FOLDER [--people N]]
        [--pack PACK.npz --videos FOLDER]

--pictures holds pictures and `people.json`, which says how many people each shows: {"group.jpg": 5}. --clip
holds videos with N people in every frame (every 5th is looked at). The truth is a count: of c people found
where there are n, min(c, n) are right. --pack is `pose2sim_single.npz` (see `openhmr lab real`), whose people
are detected, and lifted with the pack's cameras.   (taskset -c 0,1 limits it to two cores)"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import openhmr
from openhmr.camera import Camera
from openhmr.geometry.alignment import align_similarity
from openhmr.io.images import read_image
from openhmr.joints import COCO
from openhmr.predict.person_crop import cut, squares


def f1(pairs: list[tuple[int, int]]) -> str:
    """Of people found and true, picture by picture."""
    right = sum(min(pair) for pair in pairs)
    found, true = (sum(column) for column in zip(*pairs, strict=True))
    return f"F1 {2 * right / max(found + true, 1):.3f} ({right} of {true} people, {found - right} more)"


def frames(video: Path, every: int) -> Iterator[NDArray[np.uint8]]:
    capture, number = cv2.VideoCapture(str(video)), 0
    while capture.grab():
        if number % every == 0:
            yield np.asarray(cv2.cvtColor(capture.retrieve()[1], cv2.COLOR_BGR2RGB), np.uint8)
        number += 1
    capture.release()


def median_ms(run: Callable[[], object], rounds: int = 15) -> float:
    run()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1e3


def lifted_from_the_pack(pack: Path, videos: Path) -> None:
    """2D error of the 12 limb joints in per cent of the box height, and errors of the lift in millimetres."""
    data, detector = dict(np.load(pack)), openhmr.load("detector")
    lifter = openhmr.load("pose2mesh-coco")
    limbs = [COCO.names.index(str(name)) for name in data["eval_joints"]]
    off, errors = [], []
    for name in dict.fromkeys(data["video"].tolist()):
        film = list(frames(videos / Path(name).name, 1))
        for i in np.flatnonzero(data["video"] == name):
            v, box, reference = data["view"][i], data["box_xyxy"][i], data["joints_cam_mm"][i].astype(float)
            size = film[0].shape[:2]
            camera = Camera(data["K"][v], (size[0], size[1]), dist=data["dist"][v])
            people = detector(film[data["frame"][i]])
            assert people.boxes is not None
            middles = people.boxes[:, :2] + people.boxes[:, 2:] / 2
            person = people[int(np.linalg.norm(middles - (box[:2] + box[2:]) / 2, axis=1).argmin())]
            seen = cv2.projectPoints(reference, np.zeros(3), np.zeros(3), camera.K, data["dist"][v])[0][:, 0]
            good = [j for j in limbs if data["valid"][i, j]]
            off += list(np.linalg.norm(person.points[0, good, :2] - seen[good], axis=1) / (box[3] - box[1]))
            joints = 1000 * lifter(person.undistorted(camera), camera.straight()).joints(COCO)[0]
            pelvis = COCO.root
            moved = joints - joints[pelvis] + reference[pelvis]
            aligned = align_similarity(joints[good], reference[good])
            errors.append(
                [np.linalg.norm(p - reference[good], axis=1).mean() for p in (moved[good], aligned)]
            )
    print(
        f"2D error: {100 * np.median(off):.2f} / {100 * np.mean(off):.2f} % of the box height (median, mean)"
    )
    print("lifted: MPJPE {:.1f}, PA-MPJPE {:.1f} mm".format(*np.mean(errors, axis=0)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("pictures", "clip", "pack", "videos"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--people", type=int, default=2)
    args = parser.parse_args()
    detector, recoverer = openhmr.load("detector"), openhmr.load("i2l-body")
    shown = np.full((720, 1280, 3), 127, np.uint8)
    if args.pictures:
        counts = json.loads((args.pictures / "people.json").read_text())
        images = {name: read_image(args.pictures / name) for name in counts}
        print("pictures:", f1([(len(detector(images[n])), counts[n]) for n in counts]))
        shown = next(iter(images.values()))
    if args.clip:
        found = [len(detector(f)) for video in sorted(args.clip.glob("*.mp4")) for f in frames(video, 5)]
        print("clip:", f1([(n, args.people) for n in found]))
    if args.pack:
        lifted_from_the_pack(args.pack, args.videos)
    window = np.array([[shown.shape[1] / 2, shown.shape[0] / 2, float(max(shown.shape[:2]))]])
    patch = cut(shown, squares(np.array([[0.0, 0.0, 200.0, 300.0]])))
    looks, whole, network = (
        median_ms(run)
        for run in (
            lambda: next(detector.look(shown, window)),
            lambda: detector(shown),
            lambda: recoverer.run(patch),
        )
    )
    print(f"a look {looks:.1f} ms, {looks / network:.2f} times the photo network ({network:.1f} ms)")
    print(f"a picture with {len(detector(shown))} people {whole:.1f} ms, {whole / network:.2f} times")


if __name__ == "__main__":
    main()
