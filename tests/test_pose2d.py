"""Readers of poses and pictures: exact values, and one sentence for everything else."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from openhmr.errors import InputError
from openhmr.io.images import read_image, write_png
from openhmr.io.pose2d import check_pose2d, read_pose2d
from openhmr.joints import COCO, HUMAN36

EXAMPLES = Path(__file__).parents[1] / "examples"
FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def keypoints(seed: int = 0) -> np.ndarray:
    return np.concatenate(
        [np.random.default_rng(seed).uniform(10, 400, (17, 2)).round(), np.full((17, 1), 2.0)], 1
    )


def annotation(seed: int = 0, **more: object) -> dict:
    return {"image_id": 1, "keypoints": keypoints(seed).ravel().tolist()} | more


def write(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_coco17_gains_midpoints_only_where_both_parents_are_present() -> None:
    points = keypoints()
    out = check_pose2d(points, COCO)[0]
    assert out.shape == (19, 3) and out.dtype == np.float32
    assert_allclose(out[17], [*(points[11, :2] + points[12, :2]) / 2, 1])
    assert_allclose(out[18], [*(points[5, :2] + points[6, :2]) / 2, 1])
    points[11, 2] = 0
    out = check_pose2d(points, COCO)[0]
    assert_array_equal(out[[11, 17]], 0)
    assert out[18, 2] == 1


def test_soft_confidences_are_kept_and_averaged() -> None:
    points = keypoints()
    points[:, 2] = np.linspace(0.1, 0.9, 17)
    out = check_pose2d(points, COCO)[0]
    assert_allclose(out[:17, 2], points[:, 2], rtol=1e-6)
    assert_allclose(out[17, 2], points[[11, 12], 2].mean(), rtol=1e-6)


def test_nineteen_joints_are_taken_as_they_are() -> None:
    points = np.random.default_rng(1).uniform(10, 400, (2, 19, 2))
    assert_allclose(check_pose2d(points, COCO)[..., :2], points, rtol=1e-6)


@pytest.mark.parametrize("shape", [(17, 2), (3, 17, 2)])
def test_npy(tmp_path: Path, shape: tuple[int, ...]) -> None:
    points = np.random.default_rng(0).integers(0, 500, shape)
    np.save(tmp_path / "p.npy", points)
    joints, size = read_pose2d(tmp_path / "p.npy", HUMAN36)
    assert size is None
    assert_array_equal(joints[..., :2], points.reshape(-1, 17, 2))
    assert_array_equal(joints[..., 2], 1)


def test_all_forms_of_coco_json_agree(tmp_path: Path) -> None:
    single, expected = annotation(), check_pose2d(keypoints(), COCO)
    data_set = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 30, "width": 40}],
        "annotations": [single, {"image_id": 1}],
    }
    for content, size in ((single, None), ([single | {"score": 0.9}], None), (data_set, (30, 40))):
        out = read_pose2d(write(tmp_path / "p.json", content), COCO)
        assert_array_equal(out.joints, expected)
        assert out.image_size == size


def test_people_of_one_image_are_selected(tmp_path: Path) -> None:
    people = [annotation(s, image_id=i) for s, i in enumerate((7, 8, 8))]
    images = [{"id": 7, "file_name": "x.jpg"}, {"id": 8, "file_name": "y.jpg", "height": 5, "width": 6}]
    path = write(tmp_path / "p.json", {"images": images, "annotations": people})
    out = read_pose2d(path, COCO, "y.jpg")
    assert_array_equal(out.joints, check_pose2d(np.stack([keypoints(1), keypoints(2)]), COCO))
    assert out.image_size == (5, 6)
    results = write(tmp_path / "r.json", people)
    assert len(read_pose2d(results, COCO, "000000000008.jpg").joints) == 2
    for image in (None, "z.jpg"):
        with pytest.raises(InputError, match="several images"):
            read_pose2d(path, COCO, image)


def test_hardly_labelled_people_are_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sparse = keypoints(3)
    sparse[3:] = 0
    path = write(tmp_path / "p.json", [annotation(), {"image_id": 1, "keypoints": sparse.ravel().tolist()}])
    assert len(read_pose2d(path, COCO).joints) == 1
    assert "1 of 2 people" in caplog.text


def test_examples_are_readable() -> None:
    assert read_pose2d(EXAMPLES / "coco_skier.json", COCO).image_size == (425, 640)
    assert read_pose2d(EXAMPLES / "balancing_detection.json", COCO).image_size == (1920, 1080)
    assert read_pose2d(EXAMPLES / "human36_pose.npy", HUMAN36).joints.shape == (1, 17, 3)


def missing(n: int) -> np.ndarray:
    points = keypoints()
    points[n:, 2] = 0
    return points


@pytest.mark.parametrize(
    ("pose", "says"),
    [
        (np.full((17, 2), np.nan), "NaN"),
        (np.full((17, 2), np.inf), "NaN or infinite"),
        (np.ones((17, 2)), "within 0 px"),
        (np.random.default_rng(0).random((17, 2)), "normalised"),
        (np.ones((17, 4)), r"\(17, 4\)"),
        (np.ones((16, 2)), r"\(16, 2\)"),
        (np.ones(34), r"\(34,\)"),
        (np.ones((0, 17, 2)), r"\(0, 17, 2\)"),
        (np.ones((1, 1, 17, 2)), r"\(1, 1, 17, 2\)"),
        (np.array([["a"] * 2] * 17), "numbers"),
        (np.ones((17, 2), complex), "complex"),
        (missing(3), "3 present joints"),
        (keypoints() * [1, 1, 50], "confidence of 100"),
        (keypoints() * [1, 1, -1], "confidence of -2"),
        (keypoints() * [1e5, 1, 1], "coordinate of"),
    ],
)
def test_bad_values(pose: np.ndarray, says: str) -> None:
    with pytest.raises(InputError, match=says):
        check_pose2d(pose, COCO)


def claiming(shape: tuple[int, ...]) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return out.getvalue()


def pickled() -> bytes:
    out = io.BytesIO()
    np.save(out, np.array([{}] * 17), allow_pickle=True)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("p.npy", b"hello, world", "not a readable .npy"),
        ("p.npy", b"", "not a readable .npy"),
        ("p.npy", claiming((1 << 28,)), "at most"),
        ("p.npy", claiming((17, 2)), "not a readable .npy"),
        ("p.npy", pickled(), "Python objects"),
        ("p.txt", b"1 2 3", "neither .npy nor .json"),
        ("p.json", b"{", "not readable JSON"),
        ("p.json", b"\xff\xfe\x00", "not readable JSON"),
        ("p.json", b"[" * 100_000, "not readable JSON"),
        ("p.json", b"3", "not COCO"),
        ("p.json", b"[]", "no person"),
        ("p.json", b'{"annotations": 3}', "not COCO"),
        ("p.json", b'[{"keypoints": "abc"}]', "no list of numbers"),
        ("p.json", b'[{"keypoints": [1, 2, 3]}]', "3 numbers"),
        ("p.json", b'[{"keypoints": [NaN' + b", 1" * 50 + b"]}]", "NaN"),
        ("p.json", b'[{"keypoints": [1' + b"0" * 400 + b", 1" * 50 + b"]}]", "no list of numbers"),
    ],
)
def test_bad_files(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=says):
        read_pose2d(tmp_path / name, COCO)


def test_crowded_files(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.tile(keypoints(), (101, 1, 1)))
    with pytest.raises(InputError, match="101 people"):
        read_pose2d(tmp_path / "p.npy", COCO)


def test_missing_file_and_wrong_joint_set(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not an existing file"):
        read_pose2d(tmp_path, COCO)
    with pytest.raises(InputError, match="holds COCO keypoints"):
        read_pose2d(EXAMPLES / "coco_skier.json", HUMAN36)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda c: (
        st.lists(c, max_size=4)
        | st.dictionaries(st.sampled_from(["annotations", "images", "keypoints", "image_id", "id"]), c)
    ),
    max_leaves=12,
)


@FUZZ
@given(JSON)
def test_any_json_is_read_or_refused(tmp_path: Path, content: object) -> None:
    try:
        out = read_pose2d(write(tmp_path / "p.json", content), COCO).joints
    except InputError:
        return
    assert np.isfinite(out).all() and out.shape[1:] == (19, 3)


@FUZZ
@given(st.integers(0, 500), st.binary(min_size=1, max_size=8))
def test_any_damaged_npy_is_read_or_refused(tmp_path: Path, offset: int, patch: bytes) -> None:
    buffer = io.BytesIO()
    np.save(buffer, keypoints())
    data = bytearray(buffer.getvalue())
    data[offset : offset + len(patch)] = patch
    (tmp_path / "p.npy").write_bytes(bytes(data))
    try:
        out = read_pose2d(tmp_path / "p.npy", COCO).joints
    except InputError:
        return
    assert np.isfinite(out).all() and out.shape[1:] == (19, 3)


def test_pictures_become_upright_rgb(tmp_path: Path) -> None:
    red = np.zeros((4, 6, 3), np.uint8)
    red[:, :3] = 255, 0, 0
    write_png(tmp_path / "rgb.png", red)
    assert_array_equal(read_image(tmp_path / "rgb.png"), red)
    exif = Image.Exif()
    exif[0x0112] = 6  # stored turned: show it rotated by 90 degrees clockwise
    Image.fromarray(red).save(tmp_path / "turned.png", exif=exif)
    assert_array_equal(read_image(tmp_path / "turned.png"), np.rot90(red, -1))
    half = np.dstack([red, np.full((4, 6), 0, np.uint8)])
    Image.fromarray(half).save(tmp_path / "clear.png")
    assert_array_equal(read_image(tmp_path / "clear.png"), 255)
    deep = np.array([[0, 0x8000, 0xFFFF]], np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    assert_array_equal(read_image(tmp_path / "deep.png")[0, :, 0], [0, 128, 255])
    Image.fromarray(red).convert("CMYK").save(tmp_path / "print.jpg", quality=100)
    assert read_image(tmp_path / "print.jpg").shape == (4, 6, 3)
    Image.fromarray(red[..., 0]).save(tmp_path / "grey.png")
    assert_array_equal(read_image(tmp_path / "grey.png")[0, 0], 255)


def truncated_jpeg() -> bytes:
    out = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(out, "JPEG")
    return out.getvalue()[:600]


@pytest.mark.parametrize(
    "content", [b"no picture", b"", truncated_jpeg(), b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"]
)
def test_bad_pictures(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p.png").write_bytes(content)
    with pytest.raises(InputError, match="not a readable picture"):
        read_image(tmp_path / "p.png")


def test_huge_and_missing_pictures(tmp_path: Path) -> None:
    Image.new("1", (12_000, 12_000)).save(tmp_path / "p.png")
    with pytest.raises(InputError, match="12000 x 12000"):
        read_image(tmp_path / "p.png")
    with pytest.raises(InputError, match="does not exist"):
        read_image(tmp_path / "q.png")


BAD_SIZES = [
    {"height": "tall", "width": 640},
    {"height": 480},
    {"height": -1, "width": 640},
    {"height": True, "width": 5},
]


@pytest.mark.parametrize("size", BAD_SIZES)
def test_a_picture_size_that_is_none_is_named(tmp_path: Path, size: dict[str, object]) -> None:
    people = [{"image_id": 1, "keypoints": [float(i) for i in range(51)]}]
    path = tmp_path / "poses.json"
    path.write_text(json.dumps({"images": [{"id": 1, "file_name": "a.jpg", **size}], "annotations": people}))
    with pytest.raises(InputError, match="says its picture is"):
        read_pose2d(path, COCO)
