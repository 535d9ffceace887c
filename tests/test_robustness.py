"""The robustness benchmark: rows of methods that know the truth, of none, and of the tiny models; its
plot."""

import json
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image

from openhmr.bodies.body import Body
from openhmr.camera import Camera
from openhmr.errors import InputError
from openhmr.joints import COCO, MEDIAPIPE33
from openhmr.keypoints import Keypoints
from openhmr.pipeline import Pipeline
from openhmr.predict.recover import Recoverer
from tests.test_degradations import shot
from tests.tiny_recover import write_tiny_recoverer

pytest.importorskip("torch")
from openhmr.cli import main
from openhmr.lab.evaluation import robustness as bench
from openhmr.lab.evaluation.degradations import BASE_PX, SWEEPS, Shot, box_moved
from openhmr.lab.evaluation.robustness_plot import plot

ALL = np.ones(19, bool)
NONE = np.full(19, np.nan)
ELBOW = COCO.names.index("L_Elbow")
BOX = np.array([300.0, 120, 60, 200])


def truth(of: Shot) -> bench.Guess:
    """The joints as they are, somewhere else; sure to 30 mm of those in the picture, to 90 of the others."""
    return bench.Guess(of.joints_m + [1, -2, 0.5], np.where(of.inside, 0.03, 0.09), NONE)


def wrong_when_cut(of: Shot) -> bench.Guess:
    """An elbow is 70 mm further to the right in pictures that are cut."""
    cut = of.camera.image_size[0] < shot().camera.image_size[0]
    moved = of.joints_m + 0.07 * cut * np.outer(np.arange(19) == ELBOW, [1, 0, 0])
    return bench.Guess(moved, NONE, np.full(19, 0.75))


def test_rows_of_methods_that_are_known() -> None:
    sweeps = {name: SWEEPS[name] for name in ("rotation", "cut", "grey")}
    methods = {"truth": truth, "elbow": wrong_when_cut, "blind": lambda of: None}
    rows = bench.measure(iter([shot(), shot()]), methods, ALL, sweeps)
    assert len(rows) == 3 * (6 + 4 + 2)
    by = {(r["degradation"], r["strength"], r["method"]): r for r in rows}
    assert list(by)[:2] == [("rotation", "0", "truth"), ("rotation", "0", "elbow")]
    for row in rows:
        assert row["pictures"] == 2 and row["found %"] == (0 if row["method"] == "blind" else 100)
        if row["method"] == "truth":
            assert row["MPJPE"] == row["PA-MPJPE"] == 0 and row["sigma"] == 30 and row["visibility"] == ""
        if row["method"] == "blind":
            assert all(row[c] == "" for c in bench.COLUMNS)
    # One elbow is off by 70 mm; the ankles are cut off, or what lies below the hips: the wrists, and the
    # pelvis of this stiff person, who leans away.
    knees, hips = by["cut", "knees", "elbow"], by["cut", "hips", "elbow"]
    assert knees["MPJPE"] == round(70 / 17, 1) and hips["MPJPE"] == round(70 / 12, 1)
    assert 0 < knees["PA-MPJPE"] < 70 and knees["visibility"] == 0.75
    for row, joints in ((knees, 7), (hips, 5)):
        assert row["upper body change"] == row["upper body change, neck"] == 70 / joints
    assert by["cut", "knees", "truth"]["upper body change"] == 0
    assert (
        by["cut", "knees", "truth"]["sigma outside"] == 90
        and by["cut", "whole", "truth"]["sigma outside"] == ""
    )
    assert by["grey", "none", "elbow"]["upper body change"] == ""


def test_only_scored_and_valid_joints_count() -> None:
    scored = np.isin(np.arange(19), [5, 6, 7, 8, 9, 10])
    numbers = bench.scores(wrong_when_cut(bench.shrunk(shot(), 100)), bench.shrunk(shot(), 100), scored)
    assert numbers is not None and numbers[0] == pytest.approx(70 / 6)
    few = bench.scores(truth(shot()), shot(), np.arange(19) < 3)
    assert few is not None and np.isnan(few[:2]).all() and few[2] == pytest.approx(30)


def test_the_person_at_the_true_place_is_taken() -> None:
    of = shot()
    here, size = of.camera.project(of.joints_m), of.size_px
    assert bench._the_person(np.stack([here + 40, here + 3, here - 50]), of) == 1
    assert bench._the_person(here[None] + [0.49 * size, 0], of) == 0
    assert bench._the_person(here[None] + [0.51 * size, 0], of) is None


class Stand:
    """In MediaPipe's place: the truth, where the picture has the principal point of the whole one."""

    name = "stand"

    def __init__(self, offset: np.ndarray) -> None:
        self.offset, self.sizes = offset, list[tuple[int, ...]]()

    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.sizes.append(image.shape[:2])
        of = shot()
        joints, points = np.zeros((35, 3)), np.zeros((35, 3))
        rows = [MEDIAPIPE33.names.index(n) for n in COCO.names]
        joints[rows] = of.joints_m
        points[rows, :2], points[rows, 2] = of.camera.project(of.joints_m) - self.offset, 0.9
        return joints, points


def test_a_rival_sees_the_picture_around_a_given_box() -> None:
    of = shot()
    whole = Stand(np.zeros(2))
    guess = bench.by_mediapipe(whole)(of)  # type: ignore[arg-type]
    assert guess is not None and whole.sizes == [of.image.shape[:2]]
    assert_allclose(guess.joints_m, of.joints_m)
    assert (guess.visibility == 0.9).all()
    given = box_moved(of, 0, np.random.default_rng(0))
    corner = np.maximum(np.floor(of.box[:2] - bench.MARGIN * of.size_px), 0)
    part = Stand(corner)
    assert bench.by_mediapipe(part)(given) is not None  # type: ignore[arg-type]
    assert part.sizes[0] != of.image.shape[:2]
    assert bench.by_mediapipe(Stand(np.array([900.0, 0])))(of) is None  # type: ignore[arg-type]


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """Three frames of a white rectangle that stands for a person of 1.8 m, 4.5 m away."""
    writer = cv2.VideoWriter(str(tmp_path / "a.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 30, (640, 480))
    image = np.zeros((480, 640, 3), np.uint8)
    image[120:320, 300:360] = 255
    for _ in range(3):
        writer.write(image)
    writer.release()
    K = np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])
    rng = np.random.default_rng(0)
    xy = BOX[:2] + rng.uniform(0.1, 0.9, (3, 19, 2)) * BOX[2:]
    joints = Camera(K, (480, 640)).rays(xy) * 4500
    np.savez(
        tmp_path / "pack.npz",
        item_ids=["x", "y", "z"],
        joint_names=COCO.names,
        eval_joints=["L_Shoulder", "R_Shoulder", "L_Hip", "R_Hip", "L_Knee", "R_Knee"],
        joints_cam_mm=joints,
        valid=np.ones((3, 19), bool),
        det2d_px=xy,
        det2d_score=np.ones((3, 19)),
        view=[0, 0, 0],
        K=K[None],
        dist=np.zeros((1, 5)),
        image_size_wh=[[640, 480]],
        frame=[0, 1, 2],
        video=["a.mp4"] * 3,
        box_xyxy=np.tile(np.concatenate([BOX[:2], BOX[:2] + BOX[2:]]), (3, 1)),
    )
    return tmp_path / "pack.npz"


def test_shots_are_of_one_size_with_the_packs_truth(pack: Path) -> None:
    found = list(bench.shots(pack, pack.parent, 2))
    assert len(found) == 2
    for of in found:
        assert of.size_px == pytest.approx(BASE_PX, rel=0.01) and of.inside.all() and not of.box_given
        low = of.image[..., 0] > 128
        y, x = np.nonzero(low)
        assert_allclose([x.min() - 0.5, y.min() - 0.5], of.box[:2], atol=2)
        assert_allclose([x.max() + 0.5, y.max() + 0.5], of.box[:2] + of.box[2:], atol=2)
    with np.load(pack) as data:
        assert_allclose(found[1].joints_m * 1000, data["joints_cam_mm"][2])
        bare = {k: v for k, v in data.items() if k != "valid"}
    np.savez(pack.parent / "bare.npz", **bare)
    with pytest.raises(InputError, match="has no valid; robustness is measured"):
        next(bench.shots(pack.parent / "bare.npz", pack.parent, None))


def test_a_tiny_network_in_the_benchmark(pack: Path, tmp_path: Path, tiny_body: Body) -> None:
    """It stands a T-pose where the rectangle is; a detector finds the rectangle, or nobody in the dark."""
    recoverer = Recoverer(write_tiny_recoverer(tmp_path / "r.onnx", tiny_body), tiny_body)

    def detector(image: np.ndarray, time_s: float | None = None) -> Keypoints:
        y, x = np.nonzero(image[..., 0] > 128)
        if not len(x):
            return Keypoints.nobody(COCO, image.shape[:2])  # type: ignore[arg-type]
        box = np.array([[x.min(), y.min(), np.ptp(x), np.ptp(y)]], float)
        points = np.tile([*(box[0, :2] + box[0, 2:] / 2), 1], (1, 19, 1)).astype(np.float32)
        return Keypoints(COCO, points, image.shape[:2], box, np.ones(1))  # type: ignore[arg-type]

    see = bench.by_pipeline(Pipeline(recoverer, detector=detector, keep_all=True))
    sweeps = {name: SWEEPS[name] for name in ("box", "scale", "grey")}
    rows = bench.measure(bench.shots(pack, tmp_path, 2), {"tiny": see}, ALL, sweeps)
    assert all(r["found %"] == 100 and r["sigma"] > 0 for r in rows)
    boxes = [r["MPJPE"] for r in rows if r["degradation"] == "box"]
    assert_allclose(boxes[1:], boxes[0], rtol=0.1)
    dark = next(bench.shots(pack, tmp_path, 1))
    assert see(Shot(dark.image * 0, dark.camera, dark.joints_m, dark.valid, dark.box)) is None


def test_the_plot_and_the_command(pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    methods = {"truth": truth, "elbow": wrong_when_cut, "blind": lambda of: None}
    plot(bench.measure(iter([shot()]), methods, ALL), tmp_path / "plot.png", "known")
    with Image.open(tmp_path / "plot.png") as picture:
        assert (
            picture.size[0] > 800
            and len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 50
        )
    words = ["lab", "robustness", str(pack), "--videos", str(tmp_path), "--frames", "1", "--only", "grey"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "truth: the pack's own 3D joints" in out and "grey" in out
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        f"robustness.{e}" for e in ("csv", "json", "png")
    }
    rows = json.loads((tmp_path / "out" / "robustness.json").read_text())
    assert [r["method"] for r in rows] == ["recover", "lift, detected"] * 2


@pytest.mark.skipif(find_spec("mediapipe") is not None, reason="MediaPipe is installed")
def test_a_missing_rival_is_named(pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["lab", "robustness", str(pack), "--videos", str(tmp_path), "--mediapipe", "full"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 2
    assert "MediaPipe is not installed" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
