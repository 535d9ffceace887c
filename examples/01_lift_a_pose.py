"""A 2D pose becomes a mesh.  python examples/01_lift_a_pose.py [OUT]"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

import openhmr
from openhmr.joints import BODY25

here, out = Path(__file__).parent, Path(sys.argv[1] if len(sys.argv) > 1 else "out/examples/01")
out.mkdir(parents=True, exist_ok=True)

# One model lifts poses of every skeleton. Plain arrays are in the order that its name ends in.
lifter = openhmr.load("pose2mesh-human36")

# (joints, 2) or (people, joints, 2): pixels. A third column is a confidence; 0 says that a joint is missing.
pose2d = np.load(here / "human36_pose.npy")
people = lifter(pose2d)

print(f"{len(people)} person, {people.vertices.shape[1]} vertices, {len(people.faces)} triangles")
print(f"{people.roots[0][2]:.2f} m away, if the focal length is {people.camera.focal_px[0]:.0f} px")
print(f"the mesh's joints lie {people.reprojection_px()[0]:.1f} px from the given ones (median)")

# Vertices are in metres, in the camera's axes: x right, y down, z forward. Any joint set can be asked for.
hip, ankle = people.joints("smpl")[0, [1, 7]]
print(f"left leg: {np.linalg.norm(hip - ankle):.2f} m from hip to ankle")
sigma_mm = 1000 * people.sigma.joints[0].mean()
print(f"joints are sure to {sigma_mm:.0f} mm a direction (standard deviation)")

# Keypoints carry the names of their joints, so that any detector's are lifted: here the mesh's own, as if
# OpenPose had seen them.
seen = np.concatenate([people.camera.project(people.joints(BODY25)), np.ones((1, 25, 1))], -1)
again = lifter(openhmr.Keypoints(BODY25, seen.astype(np.float32)), people.camera)
apart_mm = 1000 * np.linalg.norm(again.vertices - people.vertices, axis=-1).mean()
print(f"as OpenPose's BODY_25: {apart_mm:.0f} mm from the first mesh (mean)")

Image.fromarray(people.overlay()).save(out / "overlay.png")
people.save(out / "result.npz")  # openhmr.People.load reads it
