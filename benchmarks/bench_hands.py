"""The detector of hands: agreement with another system's points on a clip, hands found in rendered pictures.

    python benchmarks/bench_hands.py [--model FILE.onnx] [--clip VIDEO --points POINTS.npz]
        [--pictures FOLDER] [--places FOLDER]

--clip is a video of one hand and --points what another system saw in it (`joints2d_px (T,21,2)`, `joints3d_m
(T,21,3)` in the order of the set `mano`): no truth. --pictures holds shards of `openhmr lab synth hand-images
--split test`, which are exact. --places holds panoramas without hands. Times are of the process, one thread
(OMP_NUM_THREADS=1)."""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import openhmr
from openhmr.geometry.alignment import align_similarity
from openhmr.io.images import read_image
from openhmr.joints import MANO
from openhmr.keypoints import Keypoints
from openhmr.lab.synth.shards import read_pictures
from openhmr.predict.detect.hand_frames import frames_of_hands
from openhmr.predict.detect.hands import HandDetector

EVERY = 3
"""Of a clip's frames."""


def on_clip(detector: HandDetector, video: Path, points: Path) -> None:
    """Distances from the other system's points in every third frame."""
    other, capture = dict(np.load(points)), cv2.VideoCapture(str(video))
    pixels, metres, sides, missed, size = [], [], [], 0, []
    for number, true in enumerate(other["joints2d_px"]):
        found, frame = capture.read()
        if not found or number % EVERY:
            continue
        seen = detector.find(np.ascontiguousarray(frame[..., ::-1]))
        if not len(seen.presence):
            missed += 1
            continue
        pixels.append(np.linalg.norm(seen.points[0] - true, axis=1).mean())
        size.append(np.ptp(true, 0).max())
        mesh = other["joints3d_m"][number].astype(np.float64)
        metres.append(np.linalg.norm(align_similarity(seen.world_m[0], mesh) - mesh, axis=1).mean())
        sides.append(seen.right[0])
    print(
        f"clip: {missed} of {missed + len(pixels)} frames without a hand; {np.mean(pixels):.2f} px from the "
        f"other's points (a hand is {np.mean(size):.0f} px), PA {1000 * np.mean(metres):.2f} mm; "
        f"probability of a right hand {np.min(sides):.2f} to {np.max(sides):.2f}"
    )


def lifted_on_clip(video: Path, points: Path) -> None:
    """The other system's 2D points lifted, against its 3D points; and what a lift costs."""
    other, capture = dict(np.load(points)), cv2.VideoCapture(str(video))
    size = (int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)), int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)))
    lifter, apart, step = openhmr.load("pose2mesh-mano"), [], []
    joints = np.zeros((0, 21, 3))
    for pixels, metres in zip(other["joints2d_px"], other["joints3d_m"].astype(np.float64), strict=True):
        seen = np.concatenate([pixels, np.ones((21, 1))], 1).astype(np.float32)
        now = lifter(Keypoints(MANO, seen[None], size)).joints(MANO).astype(np.float64)
        apart.append(np.linalg.norm(align_similarity(now[0], metres) - metres, axis=1).mean())
        if len(joints):
            step.append(np.linalg.norm(align_similarity(now[0], joints[0]) - joints[0], axis=1).mean())
        joints = now
    inputs = {"pose2d": np.zeros((1, 21, 3), np.float32)}
    costs = [
        _seconds(call)
        for call in (
            lambda: lifter(Keypoints(MANO, seen[None], size)),
            lambda: lifter.session.run(None, inputs),
        )
    ]
    print(
        f"lifted clip: PA {1000 * np.mean(apart):.1f} mm from the other's 3D points, "
        f"{1000 * np.mean(step):.1f} mm from frame to frame; a lift takes {costs[0] / costs[1]:.1f} times "
        f"its network's {1000 * costs[1]:.2f} ms"
    )


def _seconds(call: Callable[[], object], times: int = 100) -> float:
    call()
    start = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - start) / times


def on_pictures(detector: HandDetector, folder: Path) -> None:
    """Points in true squares, and hands found in whole pictures."""
    error, side, clear, found, present, seconds = [], [], [], [], [], 0.0
    for tar in sorted(folder.glob("images-*.tar")):
        arrays = dict(np.load(tar.with_suffix(".npz")))
        for i, picture in enumerate(read_pictures(tar, len(arrays["right"]))):
            image, true = np.ascontiguousarray(picture), arrays["joints_px"][i]
            size = np.ptp(true, 0).max()
            one = detector.landmarks(image, frames_of_hands(true[None]))
            error.append(np.linalg.norm(one.points[0] - true, axis=1).mean() / size)
            present.append(one.presence[0])
            side.append((one.right[0] > 0.5) == arrays["right"][i])
            clear.append(arrays["visible"][i].mean() > 0.9)
            start = time.process_time()
            hands = detector(image)
            seconds += time.process_time() - start
            apart = np.linalg.norm(hands.points[..., :2] - true, axis=-1).mean(-1)
            found.append(bool((apart < 0.25 * size).any()))
    rows = np.array(clear)
    for name, chosen in (("all", np.full(len(rows), True)), ("nine joints of ten in sight", rows)):
        e, s, f, p = (np.array(a)[chosen] for a in (error, side, found, present))
        print(
            f"{chosen.sum()} pictures ({name}): points in true squares off by {100 * np.median(e):.1f} / "
            f"{100 * e.mean():.1f} % of the hand's size (median, mean), a hand for certain in "
            f"{100 * (p > 0.5).mean():.0f} %, side right in {100 * s.mean():.0f} %; found in the whole "
            f"picture {100 * f.mean():.0f} %"
        )
    print(f"{1000 * seconds / len(rows):.0f} ms of one core a picture")


def on_places(detector: HandDetector, folder: Path) -> None:
    """Hands found where there are none: the two halves of every panorama."""
    halves: list[NDArray[np.uint8]] = []
    for path in sorted(folder.glob("*.jpg")):
        image = read_image(path)
        side = image.shape[0]
        halves += [np.ascontiguousarray(image[:, x : x + side]) for x in (0, side)]
    wrong = sum(len(detector(image)) for image in halves)
    print(f"{len(halves)} pictures of places: {wrong} hands")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("--clip", "--points", "--pictures", "--places"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--model", default="hand_detector")
    args = parser.parse_args()
    detector = openhmr.load(args.model)
    if args.clip:
        on_clip(detector, args.clip, args.points)
        lifted_on_clip(args.clip, args.points)
    if args.pictures:
        on_pictures(detector, args.pictures)
    if args.places:
        on_places(detector, args.places)


if __name__ == "__main__":
    main()
