"""A photo becomes a mesh that says how sure it is.  python examples/02_recover_a_photo.py [OUT [PHOTO]]"""

import sys
from pathlib import Path

import numpy as np
from photo import rendered_photo
from PIL import Image

import openhmr

out = Path(sys.argv[1] if len(sys.argv) > 1 else "out/examples/02")
out.mkdir(parents=True, exist_ok=True)

# A path, a PIL image, or an array (height, width, 3) in RGB order (OpenCV reads BGR: use [..., ::-1]).
photo = openhmr.read_photo(sys.argv[2]).image if len(sys.argv) > 2 else rendered_photo()

recoverer = openhmr.load("i2l-body")
people = recoverer(photo)  # everybody; recoverer(photo, boxes) takes x, y, width, height of each

# The box of the best seen person, as openhmr.load("detector") finds it.
x, y, width, height = people.keypoints.boxes[0]
print(f"somebody at x {x:.0f}, y {y:.0f}, {width:.0f} x {height:.0f} px; {people.roots[0][2]:.1f} m away")

# Every vertex and joint has a standard deviation, in metres across and along the view.
sigma = np.linalg.norm(people.sigma.joints[0], axis=-1)
names = people.keypoints.joint_set.names
print(f"most certain: {names[sigma.argmin()]} ({1000 * sigma.min():.0f} mm)", end=", ")
print(f"least certain: {names[sigma.argmax()]} ({1000 * sigma.max():.0f} mm)")

Image.fromarray(people.overlay(photo)).save(out / "overlay.png")
people.save(out / "result.npz")
