"""People in a photo through MediaPipe Pose (extra ``detect``; its weights lie inside its wheel): boxes and COCO keypoints."""

import importlib
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from openhmr.errors import InputError
from openhmr.joints.coco import COCO17

_POINTS = {
    "Nose": 0, "L_Eye": 2, "R_Eye": 5, "L_Ear": 7, "R_Ear": 8, "L_Shoulder": 11, "R_Shoulder": 12, "L_Elbow": 13, "R_Elbow": 14,
    "L_Wrist": 15, "R_Wrist": 16, "L_Hip": 23, "R_Hip": 24, "L_Knee": 25, "R_Knee": 26, "L_Ankle": 27, "R_Ankle": 28,
}  # fmt: skip
COCO_OF_POSE33 = [_POINTS[name] for name in COCO17]
"""Which of BlazePose's 33 points is each COCO keypoint."""

# The detector alone, which finds several people; the packaged pose graph keeps only the first.
_DETECTOR = """input_stream: "image"
output_stream: "found"
node { calculator: "PoseDetectionCpu" input_stream: "IMAGE:image" output_stream: "DETECTIONS:found" }"""
_HIP, _REACH = 0, 1
"""Key points of a detection: the middle of the hips, and a point of the circle about it that holds the whole person."""
_ROOM = 1.4
"""Half side of the part a person is read from, over that circle's radius."""
_SAME = 0.35
"""Two finds whose hips lie nearer than this share of the smaller circle's radius are one person."""
_HEAD_TOP, _MARGIN = 0.75, 0.04
"""The crown lies beyond the nose by this share of neck to nose; the box's margin as a share of its longer side."""


class Detection(NamedTuple):
    """``pose2d (N,17,3)``: COCO keypoints as x, y in pixels and visibility in [0, 1]; ``boxes (N,4)`` x, y, width, height."""

    pose2d: NDArray[np.float64]
    boxes: NDArray[np.float64]


def detect_people(image: NDArray[np.uint8]) -> Detection:
    """Everybody whom MediaPipe finds in RGB ``image (height, width, 3)``, the surest first.

    Raises :class:`InputError` if the extra is not installed, or nobody is found.
    """
    with _silence():
        mediapipe = _mediapipe()
        points = _read_people(mediapipe, image)
    if not points:
        raise InputError("no person was found in the picture; give a box with --box x,y,width,height, or leave --detect out")
    landmarks = np.stack(points)
    return Detection(landmarks[:, COCO_OF_POSE33], np.stack([person_box(p) for p in landmarks]))


def person_box(points: NDArray) -> NDArray[np.float64]:
    """Box ``(4,)`` around BlazePose's 33 ``points (33,2+)`` and the crown of the head, which is not among them."""
    nose, neck = points[0, :2], points[11:13, :2].mean(0)
    outline = np.concatenate([points[:, :2], [nose + _HEAD_TOP * (nose - neck)]])
    low, high = outline.min(0), outline.max(0)
    margin = _MARGIN * (high - low).max()
    return np.concatenate([low - margin, high - low + 2 * margin])


def _read_people(mediapipe: Any, image: NDArray[np.uint8]) -> list[NDArray[np.float64]]:
    """Landmarks ``(33,3)`` (pixels, visibility) of each person: found over the whole picture, then read from a square each."""
    size = np.array(image.shape[1::-1], float)
    out: list[NDArray[np.float64]] = []
    with mediapipe.solutions.pose.Pose(static_image_mode=True, model_complexity=1) as pose:
        for hip, radius in _circles(mediapipe, image, size):
            low = np.clip(np.floor(hip - _ROOM * radius), 0, size - 1).astype(int)
            high = np.clip(np.ceil(hip + _ROOM * radius), low + 1, size).astype(int)
            marks = pose.process(np.ascontiguousarray(image[low[1] : high[1], low[0] : high[0]])).pose_landmarks
            if marks is None:
                continue
            points = np.array([(p.x, p.y, p.visibility) for p in marks.landmark])
            points[:, :2] = points[:, :2] * (high - low) + low
            middle, reach = points[23:25, :2].mean(0), 0.5 * np.ptp(points[:, :2], axis=0).max()
            if not any(np.linalg.norm(middle - p[23:25, :2].mean(0)) < _SAME * reach for p in out):
                out.append(points)
    return out


def _circles(mediapipe: Any, image: NDArray[np.uint8], size: NDArray) -> list[tuple[NDArray, float]]:
    """Middle of the hips and radius around the whole person in pixels, the surest first."""
    text_format = importlib.import_module("google.protobuf.text_format")
    config = importlib.import_module("mediapipe.framework.calculator_pb2").CalculatorGraphConfig()
    base = importlib.import_module("mediapipe.python.solution_base").SolutionBase
    with base(graph_config=text_format.Parse(_DETECTOR, config), outputs=["found"]) as detector:
        found = detector.process({"image": image}).found or []
    out = []
    for one in sorted(found, key=lambda d: -d.score[0]):
        keys = np.array([(p.x, p.y) for p in one.location_data.relative_keypoints]) * size
        out.append((keys[_HIP], max(float(np.linalg.norm(keys[_REACH] - keys[_HIP])), 1.0)))
    return out


def _mediapipe() -> ModuleType:
    try:
        return importlib.import_module("mediapipe")
    except ImportError:
        raise InputError("--detect needs mediapipe, which is not installed; run: pip install 'openhmr[detect]', or give --box") from None


@contextmanager
def _silence() -> Iterator[None]:
    """MediaPipe's C++ writes its log straight to the process's standard error; an error of ours must be one sentence."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
