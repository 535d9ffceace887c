"""A generator of poses becomes a stream of frames, smoothed and written as files.

python examples/05_a_stream_of_poses.py [OUT]"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import openhmr
from openhmr.export.folder import DATA, Folder
from openhmr.joints import HUMAN36
from openhmr.sequence.one_euro import smooth_one_euro

here, out = Path(__file__).parent, Path(sys.argv[1] if len(sys.argv) > 1 else "out/examples/05")


def poses(count: int) -> Iterator[openhmr.Picture]:
    """What a detector might say of a person who drifts to the right: two pixels of noise in each joint."""
    rng, pose = np.random.default_rng(0), np.load(here / "human36_pose.npy").astype(np.float32)
    for i in range(count):
        seen = pose + rng.normal(0, 2, pose.shape) + (4 * i, 0)
        points = np.concatenate([seen, np.ones((17, 1))], axis=1, dtype=np.float32)[None]
        yield openhmr.Picture(
            keypoints=openhmr.Keypoints(HUMAN36, points), camera=camera, name=f"frame_{i:02d}"
        )


# One camera for all frames: without it, each frame would assume its own.
camera = openhmr.Camera.assumed((1000, 1000))
pipeline = openhmr.Pipeline(lifter=openhmr.load("pose2mesh"))

# Frames come one by one, as they are asked for: a stream of any length needs the memory of one frame. Each
# goes into a folder of its own, whole or not at all.
roots = []
with Folder(out, DATA, several=True) as folder:
    for frame in pipeline(poses(10)):
        folder.append(frame)
        roots.append(frame.people.roots[0])

# Depth is the least certain of all; a filter takes the trembling out of it.
raw, smooth = np.array(roots), smooth_one_euro(np.array(roots))
raw_mm, smooth_mm = (1000 * np.abs(np.diff(path[:, 2])).mean() for path in (raw, smooth))
print(f"{len(folder.files)} files; depth changes by {raw_mm:.0f} mm a frame, smoothed by {smooth_mm:.0f} mm")
