"""Predictions on packs of real frames with a 3D reference, for the pack's scorer, and contact sheets to look
at."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

import openhmr
from openhmr.errors import InputError
from openhmr.io.arrays import read_npz
from openhmr.io.atomic import atomic_path
from openhmr.joints import COCO
from openhmr.predict.average import average
from openhmr.predict.person_crop import cut
from openhmr.predict.result import Result
from openhmr.render.compose import over
from openhmr.render.scene import render

SYSTEMS = ("lift", "lixel", "param", "recover-lift", "average")
"""Pose2Mesh on the pack's detections; from the pictures: the lixel mesh, the parametric one, Pose2Mesh on the
network's own 2D joints, and that averaged with the lixel mesh."""

REQUIRED = ("item_ids", "joint_names", "det2d_px", "det2d_score", "view", "K", "image_size_wh")
FOR_PICTURES = ("video", "frame", "box_xyxy", "dist")
TILE, COLUMNS, TILES = 240, 4, 48
EXTRA_FRAMES = 8


@dataclass(frozen=True)
class Shown:
    """A picture ``image (H,W,3)`` and what was predicted in it."""

    image: NDArray[np.uint8]
    result: Result


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


def predict_pack(pack: Path, out: Path, system: str, videos: Path | None, sheet: Path | None = None) -> int:
    """Write ``out`` (.npz): one (19,3) array of millimetres in camera axes an item, and ``names``; returns
    the item count.

    Systems that look at pictures need the folder of ``videos``. ``sheet`` (.jpg or .png) receives overlays on
    frames of the pack and of every other video in that folder.
    """
    data = read_pack(pack, system != "lift")
    if system == "lift":
        if sheet is not None:
            raise InputError(
                "--sheet shows pictures, and --system lift sees only 2D detections; choose another system"
            )
        results: Iterator[tuple[str, NDArray[np.uint8] | None, Result]] = _lifted(data)
    elif videos is None:
        raise InputError(
            f"--system {system} looks at pictures; add --videos with the folder of the pack's videos"
        )
    else:
        results = _recovered(data, system, videos)
    predictions, shown = {"names": np.array(COCO.names)}, []
    total = len(data["item_ids"])
    for item, image, result in tqdm(results, total=total, desc=system, delay=1):
        predictions[item] = result.joints["coco"][0] * 1000
        if image is not None and len(predictions) % max(1, round(total / (TILES - EXTRA_FRAMES))) == 0:
            shown.append(tile(Shown(image, result)))
    if sheet is not None:
        assert videos is not None
        used = {Path(str(v)).name for v in data["video"]}
        for path in sorted(p for p in videos.glob("*.mp4") if p.name not in used):
            shown += [tile(s) for s in _unlabelled(path, system)]
        write_sheet(shown[:TILES], sheet)
    with atomic_path(out) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **predictions)  # type: ignore[arg-type]
    return len(predictions) - 1


def _lifted(data: dict[str, NDArray]) -> Iterator[tuple[str, None, Result]]:
    lifter = openhmr.load("pose2mesh-coco")
    pose = np.concatenate([data["det2d_px"], data["det2d_score"][..., None]], -1)
    for item, person, view in zip(data["item_ids"], pose, data["view"], strict=True):
        width, height = data["image_size_wh"][view]
        yield (
            str(item),
            None,
            lifter(person, focal=float(data["K"][view, 0, 0]), image_size=(int(height), int(width))),
        )


def _recovered(
    data: dict[str, NDArray], system: str, videos: Path
) -> Iterator[tuple[str, NDArray[np.uint8], Result]]:
    """Items video by video. Frames and boxes are freed of lens distortion first, so that the pinhole camera
    holds."""
    predict = Predict(system)
    for name in dict.fromkeys(str(v) for v in data["video"]):
        rows = np.flatnonzero(data["video"] == name)
        frames = read_frames(videos / Path(name).name, {int(f) for f in data["frame"][rows]})
        for i in rows:
            K, dist = data["K"][data["view"][i]], data["dist"][data["view"][i]]
            image = np.asarray(cv2.undistort(frames[int(data["frame"][i])], K, dist), np.uint8)
            yield (
                str(data["item_ids"][i]),
                image,
                predict(image, straight_box(data["box_xyxy"][i], K, dist), K),
            )


class Predict:
    """One of the picture systems by name: ``predict(image, box, K) -> Result``."""

    def __init__(self, system: str) -> None:
        self.system, self.recoverer = system, openhmr.load("i2l-body")
        self.lifter = openhmr.load("pose2mesh-coco") if system in ("recover-lift", "average") else None

    def __call__(self, image: NDArray[np.uint8], box: NDArray | None, K: NDArray | None) -> Result:
        recovered = self.recoverer(image, box, K=K)
        if self.lifter is None:
            return recovered.parametric() if self.system == "param" else recovered
        lifted = self.lifter(recovered.pose2d, float(recovered.K[0, 0]), recovered.image_size)
        return lifted if self.system == "recover-lift" else average(recovered, lifted, self.recoverer.body)


def straight_box(box_xyxy: NDArray, K: NDArray, dist: NDArray) -> NDArray[np.float64]:
    """The box x, y, width, height ``(4,)`` around a box of the distorted picture once that is undistorted
    (same ``K``)."""
    x = np.linspace(box_xyxy[0], box_xyxy[2], 9)
    y = np.linspace(box_xyxy[1], box_xyxy[3], 9)
    edge = np.concatenate(
        [np.stack([x, np.full(9, v)], 1) for v in y[[0, -1]]]
        + [np.stack([np.full(9, u), y], 1) for u in x[[0, -1]]]
    )
    straight = cv2.undistortPoints(edge[:, None].astype(np.float64), K, dist, P=K)[:, 0]
    return np.concatenate([straight.min(0), np.ptp(straight, axis=0)])


def read_frames(
    video: Path, wanted: set[int] | None = None, count: int = EXTRA_FRAMES
) -> dict[int, NDArray[np.uint8]]:
    """RGB frames by number (0-based, in decoding order): the ``wanted`` ones, or ``count`` spread evenly."""
    capture = cv2.VideoCapture(str(video)) if video.is_file() else None
    if capture is None or not capture.isOpened():
        raise InputError(
            f"{video} is no readable video; --videos must hold the pack's videos under their own names"
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


def _unlabelled(video: Path, system: str) -> Iterator[Shown]:
    """Frames of a video without boxes or camera: people through MediaPipe."""
    from openhmr.predict.detect import detect_people

    predict = Predict(system)
    for _, image in sorted(read_frames(video).items()):
        try:
            boxes = detect_people(image).boxes
        except InputError:  # nobody there, or MediaPipe is not installed: the network's own search
            boxes = None
        yield Shown(image, predict(image, boxes, None))


def tile(shown: Shown) -> NDArray[np.uint8]:
    """``(TILE, 2 TILE, 3)``: the picture around the meshes, and the same with the meshes over it."""
    image, result = shown.image, shown.result
    xy = result.camera.project(result.vertices.reshape(-1, 3))
    middle, side = (xy.min(0) + xy.max(0)) / 2, 1.2 * float(np.ptp(xy, axis=0).max())
    zoom = TILE / side
    affine = np.array([[zoom, 0, TILE / 2 - zoom * middle[0]], [0, zoom, TILE / 2 - zoom * middle[1]]])
    part = np.rint(cut(image, np.array([[*middle, side]]), TILE)[0].transpose(1, 2, 0) * 255)
    to_tile = np.concatenate([affine, [[0, 0, 1]]])
    layer = render(result.vertices, result.body, to_tile @ result.camera.K, (TILE, TILE))
    return np.concatenate([part.astype(np.uint8), over(part, layer)], 1)


def write_sheet(tiles: list[NDArray[np.uint8]], path: Path) -> None:
    """Tiles in rows, as JPEG or PNG by the ending of ``path``."""
    blank = np.full_like(tiles[0], 255)
    tiles = tiles + [blank] * (-len(tiles) % COLUMNS)
    sheet = np.concatenate([np.concatenate(tiles[i : i + COLUMNS], 1) for i in range(0, len(tiles), COLUMNS)])
    with atomic_path(path) as temporary:
        Image.fromarray(sheet).save(temporary, quality=85)
