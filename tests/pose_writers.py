"""One person, written as each detector writes people: the twin of the readers in ``openhmr.io.poses``."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from openhmr.bodies.shipped import open_body
from openhmr.camera import Camera
from openhmr.joints import POINTS, JointSet, point_indices

SIZE = (480, 640)
CAMERA = Camera.from_focal(700.0, SIZE)


def person(joint_set: JointSet, shift: float = 0.0) -> np.ndarray:
    """The base joints ``(K,3)`` of the open body in its rest pose, 3.5 m in front of the camera, with
    confidences."""
    body = open_body()
    points = body.joint_regressor(POINTS) @ body.v_template * (1, -1, -1) + (shift, 0.9, 3.5)
    xy = CAMERA.project(points)[point_indices(joint_set)][: len(joint_set.base)]
    return np.concatenate([xy, np.linspace(0.6, 0.95, len(xy))[:, None]], 1).round(3)


def flat(points: np.ndarray, joints: int | None = None) -> list[float]:
    """Numbers in a row, of a whole body with so many ``joints`` if given."""
    whole = np.zeros((joints or len(points), 3))
    whole[len(points) :] = 7, 9, 0.5
    whole[: len(points)] = points
    return whole.ravel().tolist()


def dump(content: object) -> str:
    return json.dumps(content)


def openpose(points: np.ndarray, joint_set: JointSet) -> str:
    del joint_set
    hand = {"hand_left_keypoints_2d": [1.0] * 63, "face_keypoints_2d": []}
    return dump({"version": 1.3, "people": [{"person_id": [-1], "pose_keypoints_2d": flat(points), **hand}]})


def alphapose_keyed(points: np.ndarray, joint_set: JointSet) -> str:
    del joint_set
    return dump({"a.jpg": {"version": "AlphaPose", "bodies": [{"joints": flat(points)}]}})


def results(points: np.ndarray, joint_set: JointSet) -> str:
    return dump([{"image_id": "a.jpg", "category_id": 1, "keypoints": flat(points), "score": 2.9}])


def halpe136(points: np.ndarray, joint_set: JointSet) -> str:
    return dump([{"image_id": "a.jpg", "keypoints": flat(points, 136), "score": 2.9, "box": [1, 2, 3, 4]}])


def whole_body133(points: np.ndarray, joint_set: JointSet) -> str:
    return dump([{"image_id": 3, "keypoints": flat(points, 133), "score": 0.9}])


def whole_body_annotation(points: np.ndarray, joint_set: JointSet) -> str:
    """COCO-WholeBody's annotations; its confidences are those of the detector here."""
    one = {"image_id": 3, "keypoints": flat(points[:17]), "foot_kpts": flat(points[17:]), "lefthand_kpts": []}
    return dump({"images": [{"id": 3, "height": SIZE[0], "width": SIZE[1]}], "annotations": [one]})


def data_set(points: np.ndarray, joint_set: JointSet) -> str:
    """A COCO data set in an order of its own, which its category names."""
    order = np.random.default_rng(0).permutation(len(points))
    category = {"id": 1, "name": "person", "keypoints": [joint_set.names[i].lower() for i in order]}
    one = {"image_id": 3, "category_id": 1, "keypoints": flat(points[order])}
    return dump({"images": [], "annotations": [one], "categories": [category]})


def instance(points: np.ndarray) -> dict[str, object]:
    scores = {"keypoint_scores": points[:, 2].tolist(), "bbox": [[1, 2, 3, 4]], "bbox_score": 0.8}
    return {"keypoints": points[:, :2].tolist(), **scores}


def mmpose_list(points: np.ndarray, joint_set: JointSet) -> str:
    return dump([instance(points)])


def mmpose_predictions(points: np.ndarray, joint_set: JointSet) -> str:
    return dump({"visualization": [], "predictions": [[instance(points)]]})


def mmpose_demo(points: np.ndarray, joint_set: JointSet) -> str:
    meta = {
        "dataset_name": {"human36": "h36m", "coco_feet": "coco_wholebody"}.get(joint_set.name, joint_set.name)
    }
    frames = [{"frame_id": 1, "instances": [instance(points)]}]
    return dump({"meta_info": meta, "instance_info": frames})


def landmarks(points: np.ndarray, pixels: bool = False) -> list[dict[str, float]]:
    """Landmarks as shares of the picture, which spans from -0.5."""
    scale = np.ones(2) if pixels else 1 / np.array(SIZE[::-1])
    xy = points[:, :2] if pixels else (points[:, :2] + 0.5) * scale
    return [
        {"x": x, "y": y, "z": -0.1, "visibility": c}
        for (x, y), c in zip(xy.tolist(), points[:, 2].tolist(), strict=True)
    ]


def mediapipe_list(points: np.ndarray, joint_set: JointSet) -> str:
    return dump(landmarks(points))


def mediapipe_pixels(points: np.ndarray, joint_set: JointSet) -> str:
    return dump({"landmark": landmarks(points, pixels=True)})


def mediapipe_tasks(points: np.ndarray, joint_set: JointSet) -> str:
    world = [[{"x": 0.1, "y": 0.2, "z": 0.3}] * 33]
    return dump({"landmarks": [landmarks(points)], "worldLandmarks": world, "image_size": list(SIZE)})


def mediapipe_frames(points: np.ndarray, joint_set: JointSet) -> str:
    return dump([{"frame": 0, "pose_landmarks": landmarks(points), "pose_world_landmarks": []}])


def csv_wide(points: np.ndarray, joint_set: JointSet) -> str:
    names = joint_set.names[: len(points)]
    header = [f"{name.lower()}_{axis}" for name in names for axis in ("x", "y", "score")]
    return ",".join(header) + "\n" + ",".join(map(str, points.ravel())) + "\n"


def csv_long(points: np.ndarray, joint_set: JointSet) -> str:
    """As a spreadsheet of some countries writes it, and with the sides in words."""
    rows = [
        f"0;1;{name.replace('L_', 'Left ').replace('R_', 'right')};{x};{y};{c}"
        for name, (x, y, c) in zip(joint_set.names, points, strict=False)
    ]
    return "\ufeffframe;person;joint;x;y;score\r\n" + "\r\n".join(rows)


def deeplabcut(points: np.ndarray, joint_set: JointSet) -> str:
    names = [name for name in joint_set.names[: len(points)] for _ in range(3)]
    lines = [
        ["scorer", *["resnet"] * len(names)],
        ["bodyparts", *names],
        ["coords", *["x", "y", "likelihood"] * len(points)],
        ["0", *map(str, points.ravel())],
    ]
    return "\n".join(map(",".join, lines))


def deeplabcut_labelled(points: np.ndarray, joint_set: JointSet) -> str:
    """Labels by hand: no likelihoods, and folder, folder and file of each picture in columns of their own."""
    names = [name for name in joint_set.names[: len(points)] for _ in range(2)]
    lines = [
        ["scorer", "", "", *["somebody"] * len(names)],
        ["bodyparts", "", "", *names],
        ["coords", "", "", *["x", "y"] * len(points)],
        ["labeled-data", "clip", "img0007.png", *map(str, points[:, :2].ravel())],
    ]
    return "\n".join(map(",".join, lines))


SPORTS2D = {"Pelvis": "Hip", "Throat": "Neck", "Head_top": "Head"}
"""Its names of Halpe's joints where they are others than ours without the line."""


def trc(frames: np.ndarray, joint_set: JointSet, fps: float = 30.0, unit: str = "m") -> str:
    """One person in ``frames (T,K,2|3)``, as Sports2D writes pixels: under the unit m."""
    names = [SPORTS2D.get(name, name.replace("_", "")) for name in joint_set.names[: frames.shape[1]]]
    count, joints = len(frames), len(names)
    header = [
        "PathFileType\t4\t(X/Y/Z)\tclip_Sports2D_px_person00.trc",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
        "\t".join(map(str, [fps, fps, count, joints, unit, fps, 0, count])),
        "Frame#\tTime\t" + "\t\t\t".join(names) + "\t\t",
        "\t\t" + "\t".join(f"X{i}\tY{i}\tZ{i}" for i in range(1, joints + 1)),
    ]
    rows = [
        "\t".join([str(i), f"{i / fps:.4f}", *(f"{x}\t{y}\t0.0" for x, y in frame[:, :2].tolist())])
        for i, frame in enumerate(frames)
    ]
    return "\n".join([*header, *rows]) + "\n"


def sports2d(points: np.ndarray, joint_set: JointSet) -> str:
    return trc(points[None], joint_set)


def alphapose(points: np.ndarray, joint_set: JointSet) -> str:
    one = {"image_id": "0.jpg", "category_id": 1, "keypoints": flat(points), "score": 2.9}
    return dump([one | {"box": [1.0, 2.0, 3.0, 4.0], "idx": [0.0]}])


def mmpose_video(points: np.ndarray, joint_set: JointSet) -> str:
    """The inferencer's file of a video; its scores of 17 joints."""
    return dump([{"frame_id": 0, "instances": [instance(points)]}])


def mediapipe_results(points: np.ndarray, joint_set: JointSet) -> str:
    """The task API's results of two frames, in the second of which nobody is seen."""
    found = {"pose_landmarks": [landmarks(points)], "pose_world_landmarks": [], "segmentation_masks": None}
    return dump([found, {"pose_landmarks": [], "pose_world_landmarks": []}])


Writer = Callable[[np.ndarray, JointSet], str]

UNSURE: tuple[Writer, ...] = (deeplabcut_labelled, sports2d)
"""Formats without confidences."""

ANY = (results, data_set, mmpose_demo, csv_wide, csv_long, deeplabcut)
"""Formats of several skeletons."""
WRITERS: dict[str, tuple[Writer, ...]] = {
    "coco": (*ANY, *UNSURE, alphapose, mmpose_list, mmpose_predictions, mmpose_video, alphapose_keyed),
    "body25": (openpose, results, sports2d, csv_wide, csv_long),
    "openpose18": (openpose,),
    "halpe26": (*ANY, *UNSURE, alphapose, openpose, halpe136, mmpose_list),
    "coco_feet": (*ANY, whole_body133, whole_body_annotation),
    "mediapipe33": (
        *(mediapipe_list, mediapipe_pixels, mediapipe_tasks, mediapipe_frames, mediapipe_results),
        *(csv_wide, csv_long),
    ),
    "mpii": (*ANY, mmpose_list),
    "aic": (data_set, mmpose_demo),
    "crowdpose": (mmpose_demo,),
    "human36": (mmpose_demo, csv_wide, csv_long, deeplabcut),
    "mpi_inf_3dhp28": (csv_wide, results),
}

CASES = [(name, writer) for name, some in WRITERS.items() for writer in some]


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    return path
