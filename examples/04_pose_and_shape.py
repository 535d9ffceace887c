"""The open body: pose it, shape it, measure it.  python examples/04_pose_and_shape.py [OUT]"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

import openhmr
from openhmr.bodies import open_body, skin
from openhmr.export.glb import write_glb
from openhmr.joints import SMPL

out = Path(sys.argv[1] if len(sys.argv) > 1 else "out/examples/04")
out.mkdir(parents=True, exist_ok=True)

# SMPL's 24 joints, tree and parameters, on a mesh that anybody may use. read_body reads SMPL and MANO files.
body = open_body()

# Axis-angle rotations in radians, relative to the parent joint. Body axes: y up, facing +z, left is +x.
pose, betas = np.zeros((3, 24, 3), np.float32), np.zeros((3, 10), np.float32)
pose[:, SMPL.names.index("L_Shoulder")] = 0, 0, -1.1  # arms down
pose[:, SMPL.names.index("R_Shoulder")] = 0, 0, 1.1
pose[:, SMPL.names.index("R_Elbow")] = 0, 1.2, 0

# Ten betas, each about -3 to 3, make the shape; the first is the largest difference between adults.
betas[:, 0] = -2, 0, 2
vertices, joints = skin(body, pose, betas)
for beta, standing in zip(betas[:, 0], vertices, strict=True):
    print(f"first beta {beta:+.0f}: {np.ptp(standing[:, 1]):.2f} m tall")

# Before a camera (x right, y down, z forward) the body is turned about x by half a turn, then moved away.
pose[:, 0] = np.pi, 0, 0
vertices, _ = skin(body, pose, betas)
vertices += np.array([[[x, 0, 4]] for x in (-1, 0, 1)], np.float32)
camera = openhmr.Camera.from_focal(900, (720, 1080))
nothing_seen = openhmr.Keypoints(SMPL, np.zeros((3, 24, 3), np.float32))
people = openhmr.People(body, camera, nothing_seen, vertices)

Image.fromarray(people.overlay()).save(out / "overlay.png")
write_glb(out / "mesh.glb", people)  # opens in any 3D viewer
