"""Smoothing a person of a long clip: seconds, and the ratio to skinning the clip's meshes in the same run.

    python benchmarks/bench_smooth.py [--minutes 10]   (taskset -c 0 limits it to one core)

The clip has 30 frames a second, noise in every frame, and 2D joints to place the person by."""

import argparse
import time

import numpy as np

from openhmr.bodies.posed_points import PosedPoints
from openhmr.bodies.shipped import open_body
from openhmr.bodies.skinning import skin
from openhmr.camera import Camera
from openhmr.geometry.rotations import axis_angle_to_matrix
from openhmr.joints import COCO
from openhmr.sequence.rig_path import RigPath
from openhmr.sequence.smooth import Sight, find_grounds, plant, smooth_path

SKINNED = 300
"""Frames whose meshes are skinned, one by one as a stream does; the rest is taken to last as long."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    frames = round(parser.parse_args().minutes * 60 * 30)
    rng, body, camera = np.random.default_rng(0), open_body(), Camera.from_focal(1400, (1080, 1920))
    t = np.arange(frames) / 30
    pose = 0.4 * np.sin(t[:, None, None] * rng.uniform(1, 4, (24, 3))) + rng.normal(0, 0.03, (frames, 24, 3))
    pose[:, 0] = [0.2, 2.6, 0.1]
    betas, place = (
        rng.normal(0, 0.1, (frames, body.num_betas)),
        np.array([0, 0, 5]) + rng.normal(0, 0.02, (frames, 3)),
    )
    _, _, points = PosedPoints(body, np.zeros(body.num_betas), body.joint_regressor(COCO))(
        axis_angle_to_matrix(pose)
    )
    seen = np.concatenate([camera.project(points + place[:, None]), np.ones((*points.shape[:2], 1))], -1)
    path = RigPath(t, pose, betas, place, np.ones(frames, bool))
    start, cpu = time.perf_counter(), time.process_time()
    smooth = smooth_path(path, body, Sight(camera, COCO, seen.astype(np.float32)))
    _, (ground,) = find_grounds([smooth])
    plant(smooth, ground)
    took, cpu = time.perf_counter() - start, time.process_time() - cpu
    start = time.perf_counter()
    for one, shape in zip(pose[:SKINNED].astype(np.float32), betas[:SKINNED].astype(np.float32), strict=True):
        skin(body, one, shape)
    skinning = (time.perf_counter() - start) / SKINNED * frames
    print(f"{frames} frames: {took:.1f} s to smooth one person ({cpu:.1f} s of one core), ", end="")
    print(f"{took / skinning:.2f} of what skinning the meshes takes ({skinning:.1f} s)")


if __name__ == "__main__":
    main()
