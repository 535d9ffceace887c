"""Readers of poses and pictures: exact values, and one sentence for everything else."""

import io
import json
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from openhmr.errors import InputError
from openhmr.io.poses import check_pose2d, read_poses
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
    points[:, 2] = np.linspace(0.2, 0.95, 17)
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
    np.savez(tmp_path / "one.npz", points)
    np.savez(tmp_path / "named.npz", pose2d=points, other=points, image_size=[480, 640])
    for name, size in (("p.npy", None), ("one.npz", None), ("named.npz", (480, 640))):
        found = read_poses(tmp_path / name, HUMAN36)
        assert found.image_size == size and found.joint_set == HUMAN36
        assert_array_equal(found.points[..., :2], points.reshape(-1, 17, 2))
        assert_array_equal(found.points[..., 2], 1)
    np.savez(tmp_path / "many.npz", a=points, b=points)
    with pytest.raises(InputError, match="holds the arrays a, b"):
        read_poses(tmp_path / "many.npz", HUMAN36)


def test_all_forms_of_coco_json_agree(tmp_path: Path) -> None:
    single, expected = annotation(), check_pose2d(keypoints(), COCO)
    data_set = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 30, "width": 40}],
        "annotations": [single, {"image_id": 1}],
    }
    for content, size in ((single, None), ([single | {"score": 0.9}], None), (data_set, (30, 40))):
        out = read_poses(write(tmp_path / "p.json", content), COCO)
        assert_array_equal(out.points, expected)
        assert out.image_size == size


def test_people_of_one_image_are_selected(tmp_path: Path) -> None:
    people = [annotation(s, image_id=i) for s, i in enumerate((7, 8, 8))]
    images = [{"id": 7, "file_name": "x.jpg"}, {"id": 8, "file_name": "y.jpg", "height": 5, "width": 6}]
    path = write(tmp_path / "p.json", {"images": images, "annotations": people})
    out = read_poses(path, COCO, image="y.jpg")
    assert_array_equal(out.points, check_pose2d(np.stack([keypoints(1), keypoints(2)]), COCO))
    assert out.image_size == (5, 6)
    results = write(tmp_path / "r.json", people)
    assert len(read_poses(results, COCO, image="000000000008.jpg").points) == 2
    for image in (None, "z.jpg"):
        with pytest.raises(InputError, match="several images"):
            read_poses(path, COCO, image=image)


def test_hardly_labelled_people_are_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sparse = keypoints(3)
    sparse[3:] = 0
    path = write(tmp_path / "p.json", [annotation(), {"image_id": 1, "keypoints": sparse.ravel().tolist()}])
    assert len(read_poses(path, COCO).points) == 1
    assert "1 of 2 people" in caplog.text


def test_examples_are_readable() -> None:
    assert read_poses(EXAMPLES / "coco_skier.json", COCO).image_size == (425, 640)
    assert read_poses(EXAMPLES / "balancing_detection.json", COCO).image_size == (1920, 1080)
    assert read_poses(EXAMPLES / "human36_pose.npy", HUMAN36).points.shape == (1, 17, 3)


def missing(n: int) -> np.ndarray:
    points = keypoints()
    points[n:, 2] = 0
    return points


@pytest.mark.parametrize(
    ("pose", "says"),
    [
        (np.full((17, 2), np.nan), "0 present joints"),
        (np.full((17, 2), np.inf), "0 present joints"),
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
        (keypoints() * [1, 1, 50] + [0, 0, 1], "third column with 101"),
        (np.ones((26, 3)), "Halpe-26"),
        (np.ones((133, 3)), "COCO-WholeBody"),
        ([[1, 2], [3]], "rows of different lengths"),
        (keypoints() * [1, 1, -1], "third column with -2"),
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
        ("p.npy", b"hello, world", "holds no 2D poses; known are"),
        ("p.npy", b"", "holds no 2D poses; known are"),
        ("p.npy", claiming((1 << 28,)), "at most"),
        ("p.npy", claiming((17, 2)), "not a readable .npy"),
        ("p.npy", pickled(), "Python objects"),
        ("p.txt", b"1 2 3", "holds no 2D poses; known are"),
        ("p.json", b"{", "not readable JSON"),
        ("p.json", b"{\xff\xfe\x00", "not readable JSON"),
        ("p.json", b"[" * 100_000, "not readable JSON"),
        ("p.json", b"3", "holds no 2D poses; known are"),
        ("p.json", b"[3]", "no known format.*OpenPose"),
        ("p.json", b"[]", "empty JSON.*no person.*OpenPose"),
        ("p.json", b"{}", "empty JSON"),
        ("p.json", b'{"annotations": 3}', "no list of objects"),
        ("p.json", b'[{"keypoints": "abc"}]', "no list of numbers"),
        ("p.json", b'[{"keypoints": [1, 2, 3]}]', "has 1 joint;"),
        ("p.json", b'[{"keypoints": [1, 2, 3, 4]}]', "4 numbers"),
        ("p.json", b'[{"keypoints": [' + b"1, " * 62 + b"1]}]", "21 joints, which look like a hand"),
        ("p.json", b'[{"keypoints": [1' + b"0" * 400 + b", 1" * 50 + b"]}]", "no list of numbers"),
    ],
)
def test_bad_files(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=says):
        read_poses(tmp_path / name, COCO)


def marked(convention: str) -> np.ndarray:
    """One pose in which the first five joints were not seen, as detectors write that."""
    points = keypoints()
    points[:, 2] = 0.95
    if convention == "nan":
        points[:5] = np.nan
    elif convention == "minus one":
        points[:5] = -1, -1, 0
    elif convention == "zeros with confidence":
        points[:5] = 0, 0, 0.3
    elif convention == "faint":
        points[:5, 2] = 1e-16
    else:
        points[:5] = 0
    return points


@pytest.mark.parametrize("convention", ["nan", "minus one", "zeros with confidence", "faint", "zero"])
def test_every_way_to_write_a_missing_joint(tmp_path: Path, convention: str) -> None:
    expected = keypoints()
    expected[:5] = 0
    expected[5:, 2] = 0.95
    found = check_pose2d(marked(convention), COCO)
    assert_allclose(found, check_pose2d(expected, COCO), atol=1e-6)
    assert (found[0, :5] == 0).all() and found[0, 5:17].all()
    if convention in ("zeros with confidence", "zero"):
        assert_allclose(check_pose2d(marked(convention)[:, :2], COCO)[0, :5], 0)
    # JSON writes null, and 51 numbers in a row.
    flat = [None if np.isnan(v) else v for v in marked(convention).ravel().tolist()]
    path = write(tmp_path / "p.json", [{"image_id": 1, "keypoints": flat}])
    assert_allclose(read_poses(path, COCO).points, found, atol=1e-6)


def test_a_joint_at_the_corner_may_be_there() -> None:
    """One joint at 0, 0 is missing where the person is elsewhere, and there where they stand in the
    corner."""
    for offset, there in ((0, True), (1000, False)):
        points = keypoints()[:, :2] + offset
        points[3] = 0
        assert (check_pose2d(points, COCO)[0, 3, 2] > 0) == there


@pytest.mark.parametrize(
    ("column", "expected", "says"),
    [
        (np.linspace(0.2, 1.0005, 17), np.clip(np.linspace(0.2, 1.0005, 17), 0, 1), "above 1 are taken as 1"),
        (np.linspace(5, 50, 17), np.linspace(0.1, 1, 17), "scores up to 50"),
        (np.full(17, 0.3), np.full(17, 0.9), ""),
        (np.full(17, 1e-30), np.full(17, 0.9), ""),
        (np.linspace(0.1, 0.6, 17), 1.5 * np.linspace(0.1, 0.6, 17), ""),
    ],
)
def test_scales_of_confidence(
    column: np.ndarray, expected: np.ndarray, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    points = keypoints()
    points[:, 2] = column
    assert_allclose(check_pose2d(points, COCO)[0, :17, 2], expected, rtol=1e-5)
    assert says in caplog.text


def picked(tmp_path: Path, image: str, ids: list, names: list | None = None, **by: str) -> list[int]:  # type: ignore[type-arg]
    """Which of the people, one a picture, are chosen."""
    people = [annotation(s, image_id=i) for s, i in enumerate(ids)]
    images = [{"id": i, "file_name": n} for i, n in zip(ids, names or [], strict=False)]
    content = {"images": images, "annotations": people} if names else people
    found = read_poses(write(tmp_path / "p.json", content), COCO, image=image or None, **by).points  # type: ignore[arg-type]
    every = [check_pose2d(keypoints(s), COCO)[0] for s in range(len(ids))]
    return [s for s in range(len(ids)) if any(np.array_equal(every[s], person) for person in found)]


def test_pictures_are_chosen_by_the_tails_of_their_paths(tmp_path: Path) -> None:
    names = ["seq/000002.jpg", "seq/000001.jpg"]
    assert picked(tmp_path, "seq/000001.jpg", [1, 2], names) == [1]
    assert picked(tmp_path, "/data/seq/000002.jpg", [1, 2], names) == [0]
    assert picked(tmp_path, "000001.jpg", [1, 2], names) == [1]
    assert picked(tmp_path, "C:\\data\\seq\\000001.jpg", [1, 2], names) == [1]
    assert picked(tmp_path, "data/b/1.jpg", [1, 2], ["a/1.jpg", "b/1.jpg"]) == [1]
    assert picked(tmp_path, "29.jpg", ["29.jpg", "30.jpg"]) == [0]
    assert picked(tmp_path, "0.jpg", [0, 7]) == [0]
    assert picked(tmp_path, "COCO_train2014_000000522418.jpg", [522418, 7]) == [0]
    assert picked(tmp_path, "", [5, 7], image_id="7") == [1]
    # Where pictures have names, numbers are no names.
    with pytest.raises(InputError, match="none of them is 000001.jpg"):
        picked(tmp_path, "000001.jpg", [1, 2], ["a.jpg", "b.jpg"])
    with pytest.raises(InputError, match="2 of them are called 1.jpg"):
        picked(tmp_path, "1.jpg", [1, 2], ["a/1.jpg", "b/1.jpg"])
    with pytest.raises(InputError, match="no pictures of the id '9'"):
        picked(tmp_path, "", [5, 7], image_id="9")


def test_unsure_people_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "p.json", [annotation(s, score=0.2 + 0.5 * s) for s in range(2)])
    found = read_poses(path, COCO, min_score=0.5)
    assert_allclose(found.scores, [0.7])  # type: ignore[arg-type]
    assert "1 of 2 people are left out" in caplog.text
    with pytest.raises(InputError, match=r"a score of 0\.9"):
        read_poses(path, COCO, min_score=0.9)
    with pytest.raises(InputError, match="min_score is nan"):
        read_poses(path, COCO, min_score=np.nan)


def test_crowded_files(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.tile(keypoints(), (101, 1, 1)))
    with pytest.raises(InputError, match="101 people"):
        read_poses(tmp_path / "p.npy", COCO)


def test_missing_file_and_wrong_joint_set(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not an existing file"):
        read_poses(tmp_path / "none.json", COCO)
    with pytest.raises(InputError, match="holds coco joints, not human36"):
        read_poses(EXAMPLES / "coco_skier.json", HUMAN36)


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
        out = read_poses(write(tmp_path / "p.json", content), COCO).points
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
        out = read_poses(tmp_path / "p.npy", COCO).points
    except InputError:
        return
    assert np.isfinite(out).all() and out.shape[1:] == (19, 3)


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
        read_poses(path, COCO)


def test_claims_of_headers_are_not_believed(tmp_path: Path) -> None:
    """A few kilobytes that claim a header of 400 MB, numbers of 1 GB each, or many arrays."""
    long = b"\x93NUMPY\x02\x00" + (400 << 20).to_bytes(4, "little") + b" " * (1 << 20)
    wide = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        wide, {"descr": "|V1000000000", "fortran_order": False, "shape": (1,)}
    )
    many = {f"a{i}.npy": claiming((900_000,)) for i in range(3)}
    for members, cause in (
        ({"a.npy": long}, "claims a header of 419,430,400 bytes"),
        ({"a.npy": wide.getvalue()}, "1000000000 bytes each"),
        (many, "numbers in all|not a readable"),
    ):
        with zipfile.ZipFile(tmp_path / "p.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        tracemalloc.start()
        with pytest.raises(InputError, match=cause):
            read_poses(tmp_path / "p.npz", COCO)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 50e6
