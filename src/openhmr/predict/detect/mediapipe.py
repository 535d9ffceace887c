"""People in a photo through MediaPipe Pose (extra ``detect``; its weights lie inside its wheel): boxes and
COCO keypoints."""

import importlib
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openhmr.errors import MissingExtra
from openhmr.io.poses import check_pose2d
from openhmr.joints import COCO
from openhmr.joints.coco import COCO17
from openhmr.keypoints import Keypoints
from openhmr.predict.person_crop import squares
from openhmr.predict.search import windows

_POINTS = {
    "Nose": 0,
    "L_Eye": 2,
    "R_Eye": 5,
    "L_Ear": 7,
    "R_Ear": 8,
    "L_Shoulder": 11,
    "R_Shoulder": 12,
    "L_Elbow": 13,
    "R_Elbow": 14,
    "L_Wrist": 15,
    "R_Wrist": 16,
    "L_Hip": 23,
    "R_Hip": 24,
    "L_Knee": 25,
    "R_Knee": 26,
    "L_Ankle": 27,
    "R_Ankle": 28,
}
COCO_OF_POSE33 = [_POINTS[name] for name in COCO17]
"""Which of BlazePose's 33 points is each COCO keypoint."""

# The packaged pose graph keeps only the first person; its two halves by themselves find and read several.
_FIND = """input_stream: "image"
output_stream: "found"
node { calculator: "PoseDetectionCpu" input_stream: "IMAGE:image" output_stream: "DETECTIONS:found" }"""
_READ = """input_stream: "image"
input_stream: "region"
output_stream: "marks"
node { calculator: "ConstantSidePacketCalculator" output_side_packet: "PACKET:complexity" node_options {
  [type.googleapis.com/mediapipe.ConstantSidePacketCalculatorOptions] { packet { int_value: 1 } } } }
node { calculator: "PoseLandmarkByRoiCpu" input_side_packet: "MODEL_COMPLEXITY:complexity"
  input_stream: "IMAGE:image" input_stream: "ROI:region" output_stream: "LANDMARKS:marks" }"""
_HIP, _REACH = 0, 1
"""Key points of a find: the middle of the hips, and the top of the circle about it that holds the whole
person."""
_ROOM = 1.25
"""Half side of the region that is read, over that circle's radius (what BlazePose was trained with)."""
_HIPS, _HEAD = slice(23, 25), slice(0, 11)
_SAME = 0.12
"""Two readings are one person if their hips lie nearer than this share of the larger one's extent, or their
heads than this share of the smaller one's."""
_INSIDE = 0.8
"""They are one person, too, if this share of a reading's landmarks lies in the box of a better reading: a
bent back is easily mistaken for somebody smaller."""
_HEAD_TOP, _MARGIN = 0.75, 0.04
"""The crown lies beyond the nose by this share of neck to nose; the box's margin as a share of its longer
side."""


def detect_people(image: NDArray[np.uint8], time_s: float | None = None) -> Keypoints:
    """Everybody whom MediaPipe finds in RGB ``image (height, width, 3)``, the best seen and largest first.

    COCO keypoints with their visibility as confidence, and boxes; nobody is an empty result. ``time_s`` is
    not used: every picture is searched by itself. Raises :class:`InputError` if the extra is not installed.
    """
    with _silence():
        people = _read_people(image)
    size = (image.shape[0], image.shape[1])
    if not people:
        return Keypoints.nobody(COCO, size)
    landmarks = np.stack(people)
    points = check_pose2d(landmarks[:, COCO_OF_POSE33], COCO)
    boxes = np.stack([person_box(p) for p in landmarks])
    return Keypoints(COCO, points, size, boxes, landmarks[..., 2].mean(1))


def person_box(points: NDArray) -> NDArray[np.float64]:
    """Box ``(4,)`` around BlazePose's 33 ``points (33,2+)`` and the crown of the head, which is not among
    them."""
    nose, neck = points[0, :2], points[11:13, :2].mean(0)
    outline = np.concatenate([points[:, :2], [nose + _HEAD_TOP * (nose - neck)]])
    low, high = outline.min(0), outline.max(0)
    margin = _MARGIN * (high - low).max()
    return np.concatenate([low - margin, high - low + 2 * margin])


def _read_people(image: NDArray[np.uint8]) -> list[NDArray[np.float64]]:
    """Landmarks ``(33,3)`` (pixels, visibility) of each person."""
    width, height = image.shape[1], image.shape[0]
    region_type = _module("mediapipe.framework.formats.rect_pb2").NormalizedRect
    read = []
    with _graph(_READ, "marks") as reader:
        for hip, reach in _find_people(image):
            up, half = reach - hip, _ROOM * float(np.linalg.norm(reach - hip))
            region = region_type(
                x_center=hip[0] / width,
                y_center=hip[1] / height,
                width=2 * half / width,
                height=2 * half / height,
            )
            region.rotation = float(np.arctan2(up[0], -up[1]))
            marks = reader.process({"image": image, "region": region}).marks
            if marks is not None:
                read.append(np.array([(p.x * width, p.y * height, p.visibility) for p in marks.landmark]))
    return distinct(read)


def distinct(people: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Landmarks ``(33,3)`` of different people: who shares hips, head or place with another is the same, and
    the one is kept that is well seen and large, because a part of a person is also read as a whole small
    one."""
    out: list[NDArray[np.float64]] = []
    for points in sorted(people, key=lambda p: -p[:, 2].mean() * np.sqrt(np.ptp(p[:, :2], axis=0).max())):
        for other in out:
            sizes = [np.ptp(p[:, :2], axis=0).max() for p in (points, other)]
            apart = [
                np.linalg.norm(points[part, :2].mean(0) - other[part, :2].mean(0)) for part in (_HIPS, _HEAD)
            ]
            x, y, w, h = person_box(other)
            inside = ((points[:, :2] >= (x, y)) & (points[:, :2] <= (x + w, y + h))).all(1).mean()
            if apart[0] < _SAME * max(sizes) or apart[1] < _SAME * min(sizes) or inside > _INSIDE:
                break
        else:
            out.append(points)
    return out


def _find_people(image: NDArray[np.uint8]) -> list[NDArray[np.float64]]:
    """Key points hip and reach ``(2,2)`` in pixels, the surest first; the same person may come more than
    once.

    The detector sees 224 pixels and rather one person than two, so that it looks at parts of the picture too.
    """
    found = []
    with _graph(_FIND, "found") as finder:
        for x, y, side in squares(windows(image.shape[1], image.shape[0])):
            low = np.maximum(np.floor([x - side / 2, y - side / 2]), 0).astype(int)
            high = np.minimum(np.ceil([x + side / 2, y + side / 2]), image.shape[1::-1]).astype(int)
            part = np.ascontiguousarray(image[low[1] : high[1], low[0] : high[0]])
            for one in finder.process({"image": part}).found or []:
                keys = np.array([(p.x, p.y) for p in one.location_data.relative_keypoints])
                found.append((one.score[0], keys[[_HIP, _REACH]] * (high - low) + low))
    return [keys for _, keys in sorted(found, key=lambda f: -f[0]) if np.linalg.norm(keys[1] - keys[0]) >= 1]


def _graph(text: str, output: str) -> Any:
    config = _module("mediapipe.framework.calculator_pb2").CalculatorGraphConfig()
    base = _module("mediapipe.python.solution_base").SolutionBase
    return base(graph_config=_module("google.protobuf.text_format").Parse(text, config), outputs=[output])


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise MissingExtra(
            "finding people needs mediapipe, which is not installed; run: pip install 'openhmr[detect]', or "
            "give their boxes"
        ) from None


@contextmanager
def _silence() -> Iterator[None]:
    """MediaPipe's C++ writes its log straight to the process's standard error; an error of ours must be one
    sentence."""
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
