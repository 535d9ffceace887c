"""Hands from the files of detectors: the same 21 points, however they are written."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from openhmr.errors import InputError
from openhmr.io.poses import read_poses
from openhmr.joints import MANO

HANDS = {
    side: np.concatenate([rng.uniform(40, 400, (21, 2)), rng.uniform(0.5, 0.95, (21, 1))], 1).round(2)
    for side, rng in (("left", np.random.default_rng(1)), ("right", np.random.default_rng(2)))
}
BODY = np.concatenate([np.random.default_rng(3).uniform(40, 400, (25, 2)), np.full((25, 1), 0.9)], 1)


def flat(points: np.ndarray) -> list[float]:
    return points.ravel().tolist()


def whole() -> np.ndarray:
    points = np.concatenate([BODY[:23], np.full((68, 3), 0.5), HANDS["left"], HANDS["right"]])
    assert len(points) == 133
    return points


def openpose() -> Any:
    hands = {f"hand_{side}_keypoints_2d": flat(points) for side, points in HANDS.items()}
    unseen = {"pose_keypoints_2d": flat(BODY), "hand_left_keypoints_2d": [], "hand_right_keypoints_2d": []}
    return {"version": 1.3, "people": [{"pose_keypoints_2d": flat(BODY), **hands}, unseen]}


def annotation() -> Any:
    hands = {f"{side}hand_kpts": flat(points) for side, points in HANDS.items()}
    return {"images": [{"id": 3}], "annotations": [{"image_id": 3, "keypoints": flat(BODY[:17]), **hands}]}


def results() -> Any:
    return [{"image_id": 3, "keypoints": flat(whole()), "score": 0.9}]


def mmpose() -> Any:
    one = {"keypoints": whole()[:, :2].tolist(), "keypoint_scores": whole()[:, 2].tolist()}
    return {"meta_info": {"dataset_name": "coco_wholebody"}, "instance_info": [{"instances": [one]}]}


def landmarks(points: np.ndarray, size: tuple[int, int] = (480, 640)) -> list[dict[str, float]]:
    shares = (points[:, :2] + 0.5) / size[::-1]
    return [
        {"x": x, "y": y, "z": 0.0, "visibility": c} for (x, y), c in zip(shares, points[:, 2], strict=True)
    ]


def holistic() -> Any:
    hands = {f"{side}_hand_landmarks": landmarks(points) for side, points in HANDS.items()}
    return {"image_size": [480, 640], "pose_landmarks": landmarks(BODY), **hands}


@pytest.mark.parametrize("write", [openpose, annotation, results, mmpose, holistic], ids=lambda f: f.__name__)
@pytest.mark.parametrize("side", ["left", "right"])
def test_hands_of_whole_bodies(tmp_path: Path, write: Any, side: str) -> None:
    file = tmp_path / "pose.json"
    file.write_text(json.dumps(write()))
    found = read_poses(file, part=f"{side}_hand")  # type: ignore[arg-type]
    assert found.joint_set == MANO and len(found) == 1
    assert_allclose(found.points[0], HANDS[side], atol=0.01)


@pytest.mark.parametrize("suffix", ["npy", "json"])
def test_hands_alone(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"hand.{suffix}"
    if suffix == "npy":
        np.save(file, HANDS["right"])
    else:
        content = {"landmarks": landmarks(HANDS["right"]), "width": 640, "height": 480}
        file.write_text(json.dumps(content))
    part = "body" if suffix == "npy" else "right_hand"
    assert_allclose(read_poses(file, MANO, part=part).points[0], HANDS["right"], atol=0.01)


def test_bodies_without_hands_are_named(tmp_path: Path) -> None:
    file = tmp_path / "pose.json"
    file.write_text(json.dumps({"people": [{"pose_keypoints_2d": flat(BODY)}]}))
    with pytest.raises(InputError, match="body25 joints, not mano"):
        read_poses(file, MANO)
    file.write_text(json.dumps({"people": [{"pose_keypoints_2d": flat(BODY), "hand_left_keypoints_2d": []}]}))
    with pytest.raises(InputError, match="has no left hand"):
        read_poses(file, part="left_hand")
