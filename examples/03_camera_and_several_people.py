"""Several people before a calibrated camera.  python examples/03_camera_and_several_people.py [OUT]"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

import openhmr
from openhmr.io.poses import read_poses
from openhmr.joints import COCO

here, out = Path(__file__).parent, Path(sys.argv[1] if len(sys.argv) > 1 else "out/examples/03")
out.mkdir(parents=True, exist_ok=True)

# COCO keypoint files tell the size of their picture. Joints that are missing there have confidence 0 here.
keypoints = read_poses(here / "three_people.json", COCO)
lifter = openhmr.load("pose2mesh")

# Without a camera, the field of view is taken as 52 degrees. Twice the focal length is twice the distance.
height, width = keypoints.image_size
known = openhmr.Camera.from_focal(1000, (height, width))  # or openhmr.Camera(K, (height, width), dist=...)
for camera in (openhmr.Camera.assumed((height, width)), known):
    people = lifter(keypoints, camera)
    distances = ", ".join(f"{z:.1f}" for z in people.roots[:, 2])
    print(f"focal length {camera.focal_px[0]:.0f} px ({camera.source}): {distances} m away")

# People are indexed like an array; each stands where the camera sees it.
left_to_right = people[np.argsort(people.roots[:, 0])]
apart = np.linalg.norm(np.diff(left_to_right.roots, axis=0), axis=-1)
print("between neighbours: " + ", ".join(f"{d:.2f} m" for d in apart))

# Back to pixels, and into a picture in which who is nearer hides who is behind.
pixels = people.camera.project(people.joints("coco"))
print(f"the first one's nose is at {pixels[0, COCO.names.index('Nose')].round(1)}")
Image.fromarray(people.overlay()).save(out / "overlay.png")
