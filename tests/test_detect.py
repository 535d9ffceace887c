"""MediaPipe's people as COCO keypoints and boxes, with MediaPipe itself where it is installed."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.testing import assert_allclose

from openhmr.joints.coco import COCO17
from openhmr.predict.detect.mediapipe import COCO_OF_POSE33, detect_people, distinct, person_box


def test_points_keep_their_side() -> None:
    # BlazePose lists left before right from the ears on, and the left eye (1 to 3) before the right (4 to 6).
    assert len(COCO_OF_POSE33) == len(set(COCO_OF_POSE33)) == len(COCO17)
    for name, point in zip(COCO17, COCO_OF_POSE33, strict=True):
        if point > 6:
            assert (point % 2 == 1) == name.startswith("L_")


def test_box_holds_all_points_and_the_crown() -> None:
    points = np.zeros((33, 3))
    points[:, :2] = np.random.default_rng(0).uniform((100, 150), (200, 500), (33, 2))
    points[0, :2], points[11, :2], points[12, :2] = (150, 140), (130, 180), (170, 180)
    x, y, w, h = person_box(points)
    assert (
        y < 140 - 0.75 * 40 < y + 30
        and x < points[:, 0].min()
        and x + w > points[:, 0].max()
        and y + h > points[:, 1].max()
    )
    moved = points * [2, 2, 1] + [10, 20, 0]
    assert_allclose(person_box(moved), [2 * x + 10, 2 * y + 20, 2 * w, 2 * h])


def test_the_same_person_is_read_once() -> None:
    rng = np.random.default_rng(0)
    person = np.concatenate([rng.uniform((100, 100), (200, 500), (33, 2)), np.full((33, 1), 0.9)], 1)
    person[:11, :2] = (150, 110)
    shifted, beside = person + np.array([5, -8, -0.1]), person + np.array([90, 0, -0.2])
    upper_half = person.copy()
    upper_half[11:, 1] = 110 + (person[11:, 1] - 110) * 0.3
    upper_half[:, 2] = 0.5
    # A bent back read as somebody half as large, who shares neither hips nor head.
    on_the_back = person * [0.5, 0.3, 0.8] + [70, 110, 0]
    found = distinct([upper_half, shifted, on_the_back, beside, person])
    assert [f is p for f, p in zip(found, (person, beside), strict=True)] == [True, True]


def test_nobody_and_silence(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("mediapipe")
    assert len(detect_people(np.full((90, 120, 3), 128, np.uint8))) == 0
    out, err = capfd.readouterr()
    assert out == "" and err == ""


def test_both_people_of_a_pair_are_found() -> None:
    """A frame of the pose2sim videos beside its mirror image, if they are there: two people, mirrored."""
    pytest.importorskip("mediapipe")
    video = Path(__file__).parents[1] / ".packs" / "videos" / "cam01.mp4"
    if not video.is_file():
        pytest.skip("the pose2sim video is not here")
    capture = cv2.VideoCapture(str(video))
    frame = np.ascontiguousarray(capture.read()[1][..., ::-1])
    capture.release()
    found = detect_people(np.concatenate([frame, frame[:, ::-1]], 1))
    assert found.boxes is not None and found.points.shape == (2, 19, 3)
    left, right = found.boxes[np.argsort(found.boxes[:, 0])]
    assert_allclose(right[2:], left[2:], rtol=0.1)
    assert_allclose(right[0] + right[2], 2 * frame.shape[1] - left[0], atol=0.05 * left[3])
