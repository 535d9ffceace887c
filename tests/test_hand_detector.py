"""The detector of hands that ships: equal to MediaPipe's networks, and what it makes of pictures.

``data/hand.npz`` holds a rendered picture (224 x 224, PNG, a right hand) with the true joints, and what
TensorFlow Lite's own interpreter returned of MediaPipe's two networks: the palm detector for the middle 192 x
192 pixels of the picture (all logits, and the boxes of ``rows``), the landmark network for the whole."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import openhmr
from openhmr.errors import InputError
from openhmr.joints import COCO, MANO
from openhmr.keypoints import Keypoints
from openhmr.predict.detect import palms
from openhmr.predict.detect.hand_frames import HAND_PATCH, frames_of_hands, to_picture, turns
from openhmr.predict.detect.hands import HAND_OUTPUTS, HandDetector, hand_windows
from openhmr.predict.person_crop import cut

Recorded = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def detector() -> HandDetector:
    return openhmr.load("hand_detector")


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    with np.load(Path(__file__).parent / "data" / "hand.npz") as saved:
        found = dict(saved)
    decoded = cv2.imdecode(found["picture"], cv2.IMREAD_COLOR)
    assert decoded is not None
    return found | {"picture": np.ascontiguousarray(decoded[..., ::-1])}


def network_input(picture: np.ndarray) -> np.ndarray:
    return (picture.astype(np.float32) / np.float32(255)).transpose(2, 0, 1)[None]


def error(found: Keypoints, true: np.ndarray) -> float:
    """Mean distance of the best hand's points over the longer side of the true box."""
    apart = np.linalg.norm(found.points[0, :, :2] - true, axis=1).mean()
    return float(apart / np.ptp(true, 0).max())


def test_palms_are_those_of_the_original_network(detector: HandDetector, recorded: Recorded) -> None:
    """Half precision weights in both, float32 arithmetic in another order: 1e-3 of values up to 100."""
    middle = network_input(recorded["picture"][16:208, 16:208])
    out = detector._run("palm_image", middle, palms.PALM_OUTPUTS)
    assert_allclose(out["palms"][0, recorded["rows"]], recorded["palms"], atol=2e-3)
    assert_allclose(out["logits"][0], recorded["logits"], atol=1e-3)


def test_landmarks_are_those_of_the_original_network(detector: HandDetector, recorded: Recorded) -> None:
    out = detector._run("hand_image", network_input(recorded["picture"]), HAND_OUTPUTS)
    assert_allclose(out["points"][0], recorded["points"], atol=2e-3)
    assert_allclose(out["world"][0], recorded["world"], atol=1e-5)
    assert_allclose(out["presence"][0], recorded["presence"], atol=1e-5)
    assert_allclose(out["mirrored_left"][0], recorded["right"], atol=1e-4)


def slow_palms(raw: np.ndarray, logits: np.ndarray, least: float) -> list[tuple[np.ndarray, float]]:
    """The original's anchors and weighted suppression, one by one."""
    boxes = []
    for i in range(2016):
        if i < 1152:
            cell, side = i // 2, 8
        else:
            cell, side = (i - 1152) // 6, 16
        per_row = 192 // side
        anchor = (cell % per_row + 0.5) * side, (cell // per_row + 0.5) * side
        score = 1 / (1 + np.exp(-float(logits[i, 0])))
        if score > least:
            box = raw[i].astype(np.float64)
            box[0::2] += [anchor[0], 0, *[anchor[0]] * 7]
            box[1::2] += [anchor[1], 0, *[anchor[1]] * 7]
            boxes.append((score, box))
    boxes.sort(key=lambda pair: -pair[0])
    out = []
    while boxes:
        best = boxes[0][1]
        same, rest = [], []
        for score, box in boxes:
            w = min(best[0] + best[2] / 2, box[0] + box[2] / 2) - max(
                best[0] - best[2] / 2, box[0] - box[2] / 2
            )
            h = min(best[1] + best[3] / 2, box[1] + box[3] / 2) - max(
                best[1] - best[3] / 2, box[1] - box[3] / 2
            )
            shared = max(w, 0) * max(h, 0)
            union = best[2] * best[3] + box[2] * box[3] - shared
            (same if shared / union > 0.3 or box is best else rest).append((score, box))
        total = sum(score for score, _ in same)
        out.append((np.sum([score * box for score, box in same], 0) / total, boxes[0][0]))
        boxes = rest
    return out


def test_palms_equal_their_slow_twin() -> None:
    rng = np.random.default_rng(0)
    raw = rng.normal(0, 6, (2016, 18)).astype(np.float32)
    raw[:, 2:4] = rng.uniform(20, 60, (2016, 2))
    logits = rng.normal(-4, 2.5, (2016, 1)).astype(np.float32)
    found, scores = palms.decode(raw, logits, 0.5)
    wanted = slow_palms(raw, logits, 0.5)
    assert len(found) == len(wanted) > 10
    assert_allclose(found, [box for box, _ in wanted], rtol=1e-9)
    assert_allclose(scores, [score for _, score in wanted], rtol=1e-6)


def test_a_hand_is_found_where_it_is(detector: HandDetector, recorded: Recorded) -> None:
    """The points of MediaPipe are its own, not those of our body: 6 % of the box is far less than a finger's
    length. In the mirror it is a left hand."""
    found = detector(recorded["picture"])
    assert len(found) == 1 and found.joint_set is MANO and found.scores is not None
    assert error(found, recorded["joints_px"]) < 0.06
    assert found.scores[0] > 0.9 and found.right_hand is not None and found.right_hand[0] > 0.9
    low, high = found.points[0, :, :2].min(0), found.points[0, :, :2].max(0)
    assert_allclose(found.boxes, np.concatenate([low, high - low])[None], rtol=1e-5)
    mirrored = detector(recorded["picture"][:, ::-1])
    assert mirrored.right_hand is not None and mirrored.right_hand[0] < 0.1
    back = recorded["joints_px"] * [-1, 1] + [223, 0]
    assert error(mirrored, back) < 0.06


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_hands_may_be_turned(detector: HandDetector, recorded: Recorded, quarters: int) -> None:
    true = recorded["joints_px"].astype(np.float64)
    for _ in range(quarters):
        true = np.stack([true[:, 1], 223 - true[:, 0]], 1)
    assert error(detector(np.rot90(recorded["picture"], quarters)), true) < 0.07


def test_small_hands_are_found_in_parts_and_in_windows(detector: HandDetector, recorded: Recorded) -> None:
    canvas = np.full((960, 1280, 3), 120, np.uint8)
    canvas[600:730, 900:1030] = cv2.resize(recorded["picture"], (130, 130), interpolation=cv2.INTER_AREA)
    true = (recorded["joints_px"] + 0.5) * 130 / 224 - 0.5 + [900, 600]
    for windows in (None, np.array([[965.0, 665.0, 250.0]])):
        found = detector(canvas, windows=windows)
        assert len(found) == 1 and error(found, true) < 0.1


def test_nothing_is_nobody(detector: HandDetector) -> None:
    found = detector(np.full((120, 90, 3), 90, np.uint8))
    assert len(found) == 0 and found.points.shape == (0, 21, 3) and found.image_size == (120, 90)
    with pytest.raises(InputError):
        detector(np.zeros((4, 4)))  # type: ignore[arg-type]


def test_rows_keep_their_side(detector: HandDetector, recorded: Recorded) -> None:
    pair = np.concatenate([recorded["picture"], recorded["picture"][:, ::-1]], 1)
    found = detector(pair)
    assert len(found) == 2 and found.right_hand is not None
    for row in range(2):
        one = found[row]
        assert one.right_hand is not None and one.right_hand[0] == found.right_hand[row]
        assert (found.points[row, 0, 0] < 224) == (found.right_hand[row] > 0.5)


def test_frames_move_with_the_hand(recorded: Recorded) -> None:
    """Turning, scaling and shifting the points does the same to the frame."""
    points = recorded["joints_px"].astype(np.float64)
    frame, angle = frames_of_hands(points[None])[0], 0.7
    turn = turns(-angle)
    moved = frames_of_hands((points @ turn.T * 1.7 + [30, -40])[None])[0]
    assert_allclose(moved[:2], turn @ frame[:2] * 1.7 + [30, -40], atol=1e-9)
    assert_allclose(moved[2:], [frame[2] * 1.7, frame[3] + angle], atol=1e-9)


def test_points_lead_back_through_the_crop() -> None:
    """A dot in the picture is seen by the crop where ``to_picture`` comes from, which counts from the corner
    of the first pixel."""
    image = np.zeros((200, 300, 3), np.uint8)
    cv2.circle(image, (170, 80), 4, (255, 255, 255), -1)
    frame = np.array([[150.0, 90.0, 120.0, 0.5]])
    patch = cut(image, frame[:, :3], HAND_PATCH, -frame[:, 3])[0, 0]
    y, x = (np.indices(patch.shape) * patch).sum((1, 2)) / patch.sum()
    assert_allclose(to_picture(np.array([[[x + 0.5, y + 0.5]]]), frame)[0, 0], [170, 80], atol=0.05)


def test_windows_lie_about_the_hands() -> None:
    points = np.zeros((1, COCO.size, 3), np.float32)
    for name, xy in {"L_Elbow": (100, 100), "L_Wrist": (150, 100), "R_Elbow": (50, 50)}.items():
        points[0, COCO.names.index(name)] = (*xy, 1)
    assert_allclose(hand_windows(Keypoints(COCO, points)), [[167.5, 100, 100]])
    assert_array_equal(hand_windows(Keypoints.nobody(COCO, (9, 9))).shape, (0, 3))
    with pytest.raises(InputError, match="have no L_Wrist"):
        hand_windows(Keypoints(MANO, np.ones((1, 21, 3), np.float32)))
