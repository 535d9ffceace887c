"""The clips of a pack of real frames, every frame of them: detected, lifted, smoothed, compared with the
pack's 3D reference, in between its frames, too."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

import openhmr
from openhmr.camera import Camera
from openhmr.errors import InputError
from openhmr.joints import COCO
from openhmr.lab.evaluation.motion_errors import FEET, STANDS_M_S, Truth, compare, errors
from openhmr.lab.evaluation.real_frames import cameras_of, read_frames, read_pack
from openhmr.people import Frame
from openhmr.pipeline import Picture, Pipeline

FPS = 60.0
"""Of the videos of pose2sim."""

Array = NDArray[np.float64]
Errors = dict[str, dict[str, Array]]


def real_errors(pack: Path, videos: Path) -> dict[str, list[Errors]]:
    """Errors of every view of a ``pack`` whose ``videos`` show one person, by the pack's name."""
    data = read_pack(pack, pictures=True)
    if "joints_cam_mm" not in data:
        raise InputError(f"{pack} has no 3D reference; give a pack that has joints_cam_mm")
    lifter = openhmr.load("pose2mesh")
    found = []
    for view, camera in enumerate(tqdm(cameras_of(data), desc="views", delay=1)):
        rows = np.flatnonzero(data["view"] == view)
        truth = _truth(data, rows)
        video = videos / Path(str(data["video"][rows[0]])).name
        frames = list(_frames(video, camera, Pipeline(lifter=lifter), truth, data, rows))
        found.append(errors(compare(frames), truth))
    return {pack.stem: found}


def _truth(data: Mapping[str, NDArray], rows: NDArray[np.intp]) -> Truth:
    """A spline through the reference of some frames, which has nothing above 6 Hz, and so no more than the
    frames tell; those frames are compared."""
    from scipy.interpolate import CubicSpline

    frames = data["frame"][rows]
    joints = CubicSpline(frames, data["joints_cam_mm"][rows] / 1000)(np.arange(frames[-1] + 1))
    scored = [COCO.names.index(str(n)) for n in data["eval_joints"]]
    checked = np.zeros(len(joints), bool)
    checked[frames] = data["valid"][rows][:, scored].all(1)
    speed = np.linalg.norm(np.gradient(joints[:, FEET], axis=0), axis=-1) * FPS
    return Truth(joints, checked, speed < STANDS_M_S)


def _frames(
    video: Path,
    camera: Camera,
    pipeline: Pipeline,
    truth: Truth,
    data: Mapping[str, NDArray],
    rows: NDArray[np.intp],
) -> Iterator[Frame]:
    """The person of the pack in every frame: of those whom the detector finds, the one whose box lies
    nearest to the pack's."""
    pictures = read_frames(video, set(range(len(truth.joints))))
    middles = (data["box_xyxy"][rows, :2] + data["box_xyxy"][rows, 2:]) / 2
    for index in range(len(truth.joints)):
        frame = pipeline.frame(Picture(pictures[index], camera=camera, time_s=index / FPS), index)
        people, near = frame.people, int(np.abs(data["frame"][rows] - index).argmin())
        boxes = people.keypoints.boxes
        if not len(people) or boxes is None:
            raise InputError(f"nobody is seen in frame {index} of {video}; give videos of one whole person")
        distance = np.linalg.norm(boxes[:, :2] + boxes[:, 2:] / 2 - middles[near], axis=-1)
        yield Frame(index, {"body": people[int(distance.argmin())]}, index / FPS)
