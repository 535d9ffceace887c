"""Predictions on packs of real frames with a 3D reference, for the pack's scorer, and contact sheets to look
at."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

import openhmr
from openhmr.camera import Camera
from openhmr.errors import InputError
from openhmr.geometry.mesh import edges
from openhmr.io.arrays import read_npz
from openhmr.io.atomic import atomic_path
from openhmr.io.poses import check_pose2d
from openhmr.joints import COCO
from openhmr.keypoints import Keypoints
from openhmr.lab.evaluation.mediapipe_pose import MediaPipePose
from openhmr.lab.evaluation.sheets import TILES, tile, write_sheet
from openhmr.lab.metrics.errors import broken_edges, kept_errors
from openhmr.pipeline import Combine, Picture, Pipeline, best_overlaps

SYSTEMS = ("lift", "detected", "param", "lixel", "recover-lift", "average", "found")
"""Pose2Mesh on the pack's detections; from the pictures: Pose2Mesh on what the detector that ships sees; the
parametric mesh; the lixel mesh that it was fitted to; Pose2Mesh on the 2D joints of the image network and of
the detector; that averaged with the parametric mesh; and what the default makes of people who are found, not
given in boxes."""

COMBINED: Mapping[str, Combine] = {"lixel": "lixel", "recover-lift": "lift", "average": "average"}

REQUIRED = ("item_ids", "joint_names", "det2d_px", "det2d_score", "view", "K", "image_size_wh")
FOR_PICTURES = ("video", "frame", "box_xyxy", "dist")
EXTRA_FRAMES = 8


def read_pack(path: Path, pictures: bool) -> dict[str, NDArray]:
    """``item_ids (n,)``, ``det2d_px (n,19,2)`` and ``det2d_score (n,19)`` in COCO order with Pelvis and Neck,
    ``view (n,)``, and ``K (v,3,3)``, ``image_size_wh (v,2)`` a view; for ``pictures`` also ``video``,
    ``frame``, ``box_xyxy (n,4)``, ``dist (v,5)``."""
    data = read_npz(path, 50_000_000)
    required = REQUIRED + (FOR_PICTURES if pictures else ())
    missing = [k for k in required if k not in data]
    if missing:
        raise InputError(
            f"{path} lacks {', '.join(missing)}; a pack of real frames has {', '.join(required)}"
        )
    return data


def predict_pack(
    pack: Path,
    out: Path,
    pipeline: Pipeline,
    videos: Path | None = None,
    sheet: Path | None = None,
    cameras: Mapping[str, Camera] | None = None,
    find: bool = False,
) -> NDArray[np.float64]:
    """Write ``out`` (.npz): what ``pipeline`` (see :func:`pipeline_of`) predicts, one (19,3) array of
    millimetres in camera axes an item, and ``names``; returns the share of broken edges an item.

    A pipeline that looks at pictures needs the folder of ``videos``; one without a recoverer then lifts what
    its detector sees, and items in which it sees nobody are left out. ``sheet`` (.jpg or .png) receives
    overlays on frames of the pack and of every other video in that folder. ``cameras`` by name take the place
    of the pack's own, whose names are its ``groups``.
    """
    pictures = videos is not None
    if sheet is not None and not pictures:
        raise InputError(
            "a sheet shows pictures, and the system lift sees only 2D detections; choose another system"
        )
    if not pictures and pipeline.recoverer is not None:
        raise InputError("this system looks at pictures; give the folder of the pack's videos, too")
    data = read_pack(pack, pictures)
    source = pictures_of(data, videos if pictures else None, cameras_of(data, cameras))
    predictions, shown, broken = {"names": np.array(COCO.names)}, [], list[float]()
    total, pairs = len(data["item_ids"]), edges((pipeline.recoverer or pipeline.lifter).body.faces)  # type: ignore[union-attr]
    boxes: dict[str, NDArray] = {}
    if find:
        source = _unboxed(source, boxes)
    for frame in tqdm(pipeline(source), total=total, desc=pack.stem, delay=1):
        people = frame.people
        if find:
            there = best_overlaps(boxes.pop(str(frame.name)), people.keypoints)[0]
            people = people[[] if there is None else [there]]
        if not len(people):
            continue
        predictions[str(frame.name)] = people.joints(COCO)[0] * 1000
        whole = people.parametric().vertices[0]
        broken.append(float(broken_edges(people.vertices[0], whole, pairs)))
        if frame.image is not None and len(predictions) % max(1, round(total / (TILES - EXTRA_FRAMES))) == 0:
            shown.append(tile(frame.image, frame.people))
    if sheet is not None and videos is not None:
        used = {Path(str(v)).name for v in data["video"]}
        for path in sorted(p for p in videos.glob("*.mp4") if p.name not in used):
            unlabelled = (Picture(image) for _, image in sorted(read_frames(path).items()))
            shown += [
                tile(frame.image, frame.people)
                for frame in pipeline(unlabelled)
                if frame.image is not None and len(frame.people)
            ]
        write_sheet(shown[:TILES], sheet)
    with atomic_path(out) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **predictions)  # type: ignore[arg-type]
    return np.array(broken)


def _unboxed(source: Iterator[Picture], boxes: dict[str, NDArray]) -> Iterator[Picture]:
    """The pictures without their boxes, which are put into ``boxes`` by name, without lens distortion."""
    for picture in source:
        assert picture.camera is not None and picture.boxes is not None
        boxes[str(picture.name)] = picture.camera.undistort_boxes(picture.boxes)
        yield replace(picture, boxes=None)


def kind_of_truth(data: Mapping[str, NDArray]) -> str | None:
    """What a pack's 3D reference is, in words; None if it has none."""
    if any(k not in data for k in ("joints_cam_mm", "valid", "eval_joints")):
        return None
    if "R" in data and len(data["R"]) > 1:
        return f"3D joints triangulated from {len(data['R'])} calibrated views"
    return "the pack's own 3D joints"


def reference_errors(
    data: Mapping[str, NDArray], predictions: Mapping[str, NDArray], names: Sequence[str]
) -> NDArray[np.float64]:
    """MPJPE and PA-MPJPE ``(n,2)`` of the items of a pack that have ``predictions``, joints ``(J,3)`` in mm
    and camera axes by their ``names``, over its valid scored joints and relative to the middle of the
    hips."""
    known, scored = list(data["joint_names"]), [str(n) for n in data["eval_joints"]]
    rows, ours = ([order.index(n) for n in (*scored, "L_Hip", "R_Hip")] for order in (known, list(names)))
    keep = np.arange(len(rows)) < len(scored)
    errors = [
        kept_errors(
            predictions[item][ours].astype(np.float64),
            data["joints_cam_mm"][i][rows].astype(np.float64),
            keep & data["valid"][i][rows].astype(bool),
            (len(scored), len(scored) + 1),
        )
        for i, item in enumerate(map(str, data["item_ids"]))
        if item in predictions
    ]
    return np.array(errors).reshape(-1, 2)


def rival_predictions(
    data: dict[str, NDArray], videos: Path, pose: MediaPipePose, cameras: Sequence[Camera]
) -> dict[str, NDArray[np.float64]]:
    """What MediaPipe sees in the whole pictures of a pack, joints ``(35,3)`` in mm by item."""
    out = {}
    for picture in tqdm(
        pictures_of(data, videos, cameras), total=len(data["item_ids"]), desc=pose.name, delay=1
    ):
        assert picture.image is not None and picture.camera is not None
        found = pose(picture.camera.undistort_image(picture.image))
        if found is not None:
            out[str(picture.name)] = 1000 * found[0]
    return out


def pipeline_of(system: str) -> Pipeline:
    """The shipped models put together as :data:`SYSTEMS` says; everybody is kept, so that every item has a
    row."""
    recoverer = None if system in ("lift", "detected") else openhmr.load("i2l-body")
    lifter = None if system in ("lixel", "param") else openhmr.load("pose2mesh")
    return Pipeline(recoverer, lifter, combine=COMBINED.get(system, "param"), keep_all=True)


def cameras_of(data: dict[str, NDArray], given: Mapping[str, Camera] | None = None) -> list[Camera]:
    """The camera of every view: the pack's own, or the ``given`` ones by the names of its groups."""
    sizes = [(int(height), int(width)) for width, height in data["image_size_wh"]]
    if given is None:
        dist = data.get("dist", [None] * len(sizes))
        return [Camera(K, size, dist=d) for K, size, d in zip(data["K"], sizes, dist, strict=True)]
    out = []
    for view, size in enumerate(sizes):
        name = str(data["groups"][data["view"] == view][0]) if "groups" in data else str(view)
        if name not in given or given[name].image_size != size:
            raise InputError(
                f"the cameras {', '.join(given)} lack {name!r} for pictures of (height, width) {size}, "
                f"which the "
                "pack has; name the cameras as the pack does"
            )
        out.append(given[name])
    return out


def pictures_of(
    data: dict[str, NDArray], videos: Path | None, cameras: Sequence[Camera]
) -> Iterator[Picture]:
    """Items with their detections, or, with ``videos``, with their pictures and boxes, video by video."""
    if videos is None:
        points = np.concatenate([data["det2d_px"], data["det2d_score"][..., None]], -1)
        for item, person, view in zip(data["item_ids"], points, data["view"], strict=True):
            camera = cameras[view]
            keypoints = Keypoints(COCO, check_pose2d(person, COCO), camera.image_size)
            yield Picture(keypoints=keypoints, camera=camera, name=str(item))
        return
    for name in dict.fromkeys(str(v) for v in data["video"]):
        rows = np.flatnonzero(data["video"] == name)
        frames = read_frames(videos / Path(name).name, {int(f) for f in data["frame"][rows]})
        for i in rows:
            low, high = data["box_xyxy"][i, :2], data["box_xyxy"][i, 2:]
            box = np.concatenate([low, high - low])[None]
            image, camera = frames[int(data["frame"][i])], cameras[data["view"][i]]
            yield Picture(image, boxes=box, camera=camera, name=str(data["item_ids"][i]))


def read_frames(
    video: Path, wanted: set[int] | None = None, count: int = EXTRA_FRAMES
) -> dict[int, NDArray[np.uint8]]:
    """RGB frames by number (0-based, in decoding order): the ``wanted`` ones, or ``count`` spread evenly."""
    capture = cv2.VideoCapture(str(video)) if video.is_file() else None
    if capture is None or not capture.isOpened():
        raise InputError(
            f"{video} is no readable video; give a folder of the pack's videos under their own names"
        )
    try:
        if wanted is None:
            wanted = set(
                np.linspace(0, capture.get(cv2.CAP_PROP_FRAME_COUNT) - 2, count).astype(int).tolist()
            )
        out = {}
        for number in range(max(wanted) + 1):
            if not capture.grab():
                break
            if number in wanted:
                out[number] = np.asarray(cv2.cvtColor(capture.retrieve()[1], cv2.COLOR_BGR2RGB), np.uint8)
    finally:
        capture.release()
    if missing := wanted - set(out):
        raise InputError(f"{video} ends before frame {min(missing)}; give the pack's own videos")
    return out
