"""The detector that ships: equal to the original graph, and what its looks make of pictures.

``data/movenet.npz`` holds a rendered picture (256 x 192, the person of ``examples/photo.py``) with the true
joints, and what the original graph returned in TensorFlow.js 4 for it (``one``) and for it beside its mirror
image (``two``): six rows of 17 times y, x, score, then box (y, x, y, x) and score, all in shares of the
sides."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

import openhmr
from openhmr.cli import main
from openhmr.errors import InputError
from openhmr.joints import COCO
from openhmr.predict.detect.heads import HEADS, PEOPLE, decode
from openhmr.predict.detect.movenet import MoveNet, alike, detect_people, distinct
from tests.cli_models import FILES, Models
from tests.tiny_lifter import write_tiny_model


@pytest.fixture(scope="module")
def detector() -> MoveNet:
    return openhmr.load("detector")


@pytest.fixture(scope="module")
def recorded() -> dict[str, np.ndarray]:
    with np.load(Path(__file__).parent / "data" / "movenet.npz") as saved:
        return dict(saved)


@pytest.fixture(scope="module")
def pair(recorded: dict[str, np.ndarray]) -> np.ndarray:
    picture = recorded["picture"]
    return np.concatenate([picture, picture[:, ::-1]], 1)


def people_in(canvas: tuple[int, int], picture: np.ndarray, *places: tuple[int, int]) -> np.ndarray:
    """A grey picture of size ``canvas`` with ``picture`` at ``places`` (x, y)."""
    out = np.full((*canvas, 3), 150, np.uint8)
    for x, y in places:
        out[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
    return out


@pytest.mark.parametrize("which", ["one", "two"])
def test_equal_to_the_original_graph(
    detector: MoveNet, recorded: dict[str, np.ndarray], pair: np.ndarray, which: str
) -> None:
    image = recorded["picture"] if which == "one" else pair
    height, width = image.shape[:2]
    network_input = (image.astype(np.float32) / 255).transpose(2, 0, 1)[None]
    maps = detector.session.run(list(HEADS), {"image": network_input})
    points, boxes, scores = decode(dict(zip(HEADS, (m[0] for m in maps), strict=True)))
    wanted = recorded[which].astype(np.float64)
    keypoints, corners = wanted[:, :51].reshape(PEOPLE, 17, 3), wanted[:, 51:55].reshape(PEOPLE, 2, 2)
    size = np.array([width, height])
    # The original's halves are kept as they are: what differs is the order of float32 sums.
    assert_allclose(points[..., :2] + 0.5, keypoints[..., 1::-1] * size, atol=1e-3)
    assert_allclose(points[..., 2], keypoints[..., 2], atol=1e-5)
    assert_allclose(boxes[:, :2], corners[:, 0, ::-1] * size, atol=1e-3)
    assert_allclose(boxes[:, 2:], (corners[:, 1] - corners[:, 0])[:, ::-1] * size, atol=1e-3)
    assert_allclose(scores, wanted[:, 55], atol=1e-5)


@pytest.mark.parametrize("scale", [0.75, 2.0, 5.0])
def test_keypoints_and_box_at_every_size(
    detector: MoveNet, recorded: dict[str, np.ndarray], scale: float
) -> None:
    image = cv2.resize(recorded["picture"], None, fx=scale, fy=scale)
    truth = (recorded["joints_px"] + 0.5) * scale - 0.5
    found = detector(image)
    assert len(found) == 1 and found.joint_set is COCO and found.image_size == image.shape[:2]
    height = np.ptp(truth[:, 1])
    error = np.linalg.norm(found.points[0, :, :2] - truth, axis=1)
    assert np.median(error) < 0.025 * height and error.max() < 0.08 * height
    x, y, w, h = found.boxes[0]  # type: ignore[index]
    outside = np.maximum([[x, y]] - truth, truth - [[x + w, y + h]]).max()
    assert outside < 0.03 * height and h < 1.3 * height
    assert_allclose(found.points[0, 17, :2], found.points[0, [11, 12], :2].mean(0), atol=1e-3)


def test_left_and_right_change_sides_in_the_mirror(detector: MoveNet, pair: np.ndarray) -> None:
    found = detector(pair)
    left, right = found.points[np.argsort(found.points[:, 0, 0])]
    mirrored = right[COCO.flip_permutation, :2] * [-1, 1] + [pair.shape[1] - 1, 0]
    assert_allclose(left[:, :2], mirrored, atol=0.03 * np.ptp(left[:, 1]))


def test_small_people_of_a_large_picture(detector: MoveNet, recorded: dict[str, np.ndarray]) -> None:
    """People of 8 % of the picture's width, whom the first look does not see; each is found once, though
    parts overlap."""
    image = people_in((900, 1600), recorded["picture"], (60, 80), (700, 400), (1320, 600))
    found = detector(image)
    assert len(found) == 3
    for (x, y), person in zip(
        ((60, 80), (700, 400), (1320, 600)), sorted(found.points, key=lambda p: p[0, 0]), strict=True
    ):
        error = np.linalg.norm(person[:, :2] - recorded["joints_px"] - [x, y], axis=1)
        assert np.median(error) < 0.03 * np.ptp(recorded["joints_px"][:, 1])


def test_more_than_six_people(detector: MoveNet, recorded: dict[str, np.ndarray]) -> None:
    image = people_in(
        (540, 800), recorded["picture"], *((200 * i, 270 * j) for i in range(4) for j in range(2))
    )
    assert len(detector(image)) == 8


@pytest.mark.parametrize("size", [(480, 640), (40, 40), (3, 2), (1, 1), (5, 2000), (1200, 1600)])
def test_nobody_is_an_empty_result(detector: MoveNet, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (*size, 3), np.uint8)
    for image in (noise, np.zeros_like(noise), np.full_like(noise, 255), cv2.GaussianBlur(noise, (0, 0), 9)):
        found = detector(image)
        assert len(found) == 0 and found.image_size == size
        assert found.boxes is not None and found.boxes.shape == (0, 4) and found.points.shape == (0, 19, 3)


def test_the_same_person_is_counted_once() -> None:
    rng = np.random.default_rng(0)
    person = np.concatenate([rng.uniform((100, 100), (200, 400), (17, 2)), np.full((17, 1), 0.9)], 1)
    box = np.array([100.0, 100, 100, 300])
    shifted, beside, hidden = person + [6, -9, 0], person + [90, 0, 0], person * [1, 1, 0]
    upper = person.copy()
    upper[11:] = 0
    points = np.stack([upper, person, beside, shifted])
    assert distinct(points, np.stack([box] * 4), np.array([0.5, 0.8, 0.4, 0.7])) == [1, 2]
    assert distinct(points, np.stack([box] * 4), np.zeros(4)) == []
    assert alike(person, box, hidden) == 0


def test_files_pil_images_and_arrays(detector: MoveNet, pair: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(pair).save(tmp_path / "pair.png")
    wanted = detector(pair)
    for image in (tmp_path / "pair.png", str(tmp_path / "pair.png"), Image.fromarray(pair)):
        assert_array_equal(detector(image).points, wanted.points)
    assert_array_equal(detect_people(pair).points, wanted.points)


@pytest.mark.parametrize(
    "image", [np.zeros((9, 9)), np.zeros((9, 9, 4), np.uint8), np.zeros((0, 9, 3), np.uint8), None]
)
def test_bad_pictures(detector: MoveNet, image: object) -> None:
    with pytest.raises(InputError, match="RGB uint8"):
        detector(image)  # type: ignore[arg-type]


def test_other_models_are_no_detectors(tmp_path: Path, tiny: Models) -> None:
    path = write_tiny_model(tmp_path / "m.onnx", tiny.body, "coco", 19)
    with pytest.raises(InputError, match="is no detector of people"):
        MoveNet(path)
    with pytest.raises(InputError, match="does not exist"):
        MoveNet(tmp_path / "none.onnx")
    with pytest.raises(InputError, match="belongs to no body"):
        openhmr.load("detector", tiny.body)  # type: ignore[call-overload]


@pytest.mark.parametrize("command", ["lift", "recover"])
def test_everybody_in_a_photo(
    command: str, pair: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, out = tmp_path / "pair.png", tmp_path / "out"
    Image.fromarray(cv2.resize(pair, None, fx=2, fy=2)).save(photo)
    assert main([command, str(photo), "--out", str(out)]) == 0
    assert {p.name for p in out.iterdir()} == FILES
    people = openhmr.People.load(out / "result.npz")
    assert len(people) == 2
    seen = people.camera.project(people.joints("coco"))
    error = np.linalg.norm(seen - people.keypoints.points[..., :2], axis=-1)
    assert np.median(error) < 0.05 * 2 * 180
