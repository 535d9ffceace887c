"""Packs of real people say what kind of truth they have: errors against 3D references, agreement with other
networks."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from openhmr.bodies.body import Body
from openhmr.cli import main
from openhmr.errors import InputError
from openhmr.joints import COCO, MEDIAPIPE33
from openhmr.pipeline import Pipeline
from openhmr.predict.lift import Lifter
from tests.tiny_lifter import write_tiny_model

pytest.importorskip("torch")
from openhmr.lab.evaluation import clips
from openhmr.lab.evaluation.clips import Clip
from openhmr.lab.evaluation.real_frames import kind_of_truth, reference_errors

NAMES17 = [
    "nose",
    *(f"{side}_{part}" for part in ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
      for side in ("left", "right")),
]  # fmt: skip


def standing(frames: int) -> np.ndarray:
    """COCO points ``(frames,17,2)`` of somebody in a picture of 200 x 150 pixels."""
    rows = {
        "eye": 32,
        "ear": 33,
        "nose": 35,
        "shoulder": 55,
        "elbow": 80,
        "wrist": 102,
        "hip": 100,
        "knee": 140,
    }
    wide = {"eye": 3, "ear": 6, "nose": 0, "shoulder": 15, "elbow": 22, "wrist": 24, "hip": 9, "knee": 9}
    parts = [n.split("_") for n in NAMES17]
    x = [75 + (1 if p[0] == "left" else -1) * wide.get(p[-1], 9) for p in parts]
    y = [rows.get(p[-1], 178) for p in parts]
    return np.stack([np.stack([x, y], -1) + [2 * i, 0] for i in range(frames)]).astype(float)


def write_clip(path: Path, **changes: object) -> Path:
    arrays: dict[str, object] = {
        "frames": np.arange(4),
        "names": NAMES17,
        "joints2d_px": standing(4),
        "truth": "PREDICTION: some network",
        "size_wh": [150, 200],
    }
    np.savez(path, **{k: v for k, v in (arrays | changes).items() if v is not None})  # type: ignore[arg-type]
    return path


@pytest.fixture
def lifter(tmp_path: Path, tiny_body: Body) -> Lifter:
    return Lifter(write_tiny_model(tmp_path / "l.onnx", tiny_body, "coco", 19), tiny_body)


def test_clips_name_their_points(tmp_path: Path) -> None:
    clip = clips.read_clip(write_clip(tmp_path / "c.npz"))
    assert clip.joint_set is COCO and clip.image_size == (200, 150) and clip.item(3) == "c_0003"
    assert clips.is_clip(tmp_path / "c.npz") and clip.joints_m is None
    mediapipe = [
        ("left_" if n[0] == "L" else "right_") + n[2:].lower() if n[1] == "_" else n.lower()
        for n in MEDIAPIPE33.base
    ]
    mediapipe[9:11] = "mouth_left", "mouth_right"
    points, joints = np.zeros((4, 33, 2)), np.zeros((4, 33, 3))
    path = write_clip(tmp_path / "m.npz", names=mediapipe, joints2d_px=points, joints3d_m=joints)
    assert clips.read_clip(path).joint_set is MEDIAPIPE33


@pytest.mark.parametrize(
    "changes, words",
    [
        (
            {"names": ["wrist"] + [f"tip{i}" for i in range(20)]},
            "the 21 points wrist, tip0, tip1, tip2 ...; clips",
        ),
        ({"names": NAMES17[::-1]}, "in their order"),
        ({"truth": None}, "lacks truth; a clip's pack has frames"),
        ({"joints2d_px": standing(3)}, r"shape \(3, 17, 2\); 4 frames of 17 points need \(4, 17, 2\)"),
        ({"joints3d_m": np.zeros((3, 17, 3))}, "and joints3d_m as many"),
    ],
)
def test_what_is_no_clip(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        clips.read_clip(write_clip(tmp_path / "c.npz", **changes))


def test_agreement_with_itself_is_complete_and_moves_count(tmp_path: Path, lifter: Lifter) -> None:
    clip = clips.read_clip(write_clip(tmp_path / "c.npz"))
    frames = list(Pipeline(lifter=lifter)(clips.clip_pictures(clip, None, 3)))
    assert [f.name for f in frames] == ["c_0000", "c_0002", "c_0003"]
    people = [f.people for f in frames]
    mesh = np.stack([p.camera.project(p.joints(COCO).astype(float))[0, :17] for p in people])
    joints = np.stack([p.joints(COCO)[0, :17] for p in people]).astype(float)
    turned = 1.3 * joints @ np.array([[0, 1.0, 0], [0, 0, 1], [1, 0, 0]]) + 5
    same = Clip("c", COCO, np.array([0, 2, 3]), mesh, turned, "itself", (200, 150))
    found = clips.agreements(same, frames)
    assert list(found) == ["c_0000", "c_0002", "c_0003"]
    for seen, drawn, aligned in found.values():
        assert (
            np.isnan(seen) and drawn == pytest.approx(0, abs=1e-4) and aligned == pytest.approx(0, abs=0.01)
        )
    moved = Clip("c", COCO, same.frames, mesh + [0, 5], None, "", (200, 150))
    extent = np.ptp(mesh, axis=1).max(-1)
    numbers = np.array(list(clips.agreements(moved, frames).values()))
    assert_allclose(numbers[:, 1], 500 / extent, rtol=1e-4)
    assert np.isnan(numbers[:, 2]).all()


def test_pictures_of_a_clip(tmp_path: Path) -> None:
    clip = clips.read_clip(write_clip(tmp_path / "c.npz"))
    with pytest.raises(InputError, match="must hold one video or picture named c; found: none"):
        next(clips.clip_pictures(clip, tmp_path))
    writer = cv2.VideoWriter(str(tmp_path / "c.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 30, (150, 200))
    for i in range(5):
        writer.write(np.full((200, 150, 3), 40 * i, np.uint8))
    writer.release()
    shades = [p.image.mean() for p in clips.clip_pictures(clip, tmp_path) if p.image is not None]
    assert_allclose(shades, [0, 40, 80, 120], atol=4)
    one = Clip("p", COCO, np.array([0]), standing(1), None, "", (200, 150))
    Image.fromarray(np.full((200, 150, 3), 9, np.uint8)).save(tmp_path / "p.png")
    picture = next(clips.clip_pictures(one, tmp_path))
    assert picture.image is not None and (picture.image == 9).all()
    Image.fromarray(np.zeros((150, 200, 3), np.uint8)).save(tmp_path / "p.png")
    with pytest.raises(InputError, match="give the clip's own file"):
        next(clips.clip_pictures(one, tmp_path))


class Rival:
    """In MediaPipe's place: points that it is told; nobody in the dark."""

    name = "rival"

    def __init__(self, points: np.ndarray) -> None:
        self.points = np.zeros((35, 3))
        self.points[[MEDIAPIPE33.names.index(n) for n in COCO.base], :2] = points

    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        return (self.points, self.points) if image.any() else None


def test_a_rivals_agreement(tmp_path: Path) -> None:
    Image.fromarray(np.full((200, 150, 3), 9, np.uint8)).save(tmp_path / "p.png")
    clip = Clip("p", COCO, np.array([0]), standing(1), None, "", (200, 150))
    rival = Rival(standing(1)[0] + [3, 4])
    found = clips.rival_agreements(clip, rival, clips.clip_pictures(clip, tmp_path))  # type: ignore[arg-type]
    assert found["p_0000"][0] == pytest.approx(500 / (178 - 32)) and np.isnan(found["p_0000"][1:]).all()
    Image.fromarray(np.zeros((200, 150, 3), np.uint8)).save(tmp_path / "p.png")
    assert not clips.rival_agreements(clip, rival, clips.clip_pictures(clip, tmp_path))  # type: ignore[arg-type]


def test_errors_against_a_packs_reference() -> None:
    """By hand: two of four scored joints are off by 30 mm, one of them not valid."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(2, 19, 3)) * 300
    scored = ["L_Shoulder", "R_Elbow", "L_Wrist", "R_Knee", "L_Ankle"]
    valid = np.ones((2, 19), bool)
    valid[0, COCO.names.index("L_Wrist")] = False
    data = {
        "item_ids": np.array(["a", "b"]),
        "joint_names": np.array(COCO.names),
        "eval_joints": np.array(scored),
        "joints_cam_mm": truth,
        "valid": valid,
    }
    guess = truth[0] + [100, 0, 0]
    guess[[COCO.names.index(n) for n in ("L_Wrist", "R_Knee")]] += [0, 30, 0]
    assert_allclose(reference_errors(data, {"a": guess}, COCO.names)[0, 0], 30 / 4)
    # Other orders of joints, other scales and turns.
    order = rng.permutation(19)
    turned = (0.7 * truth[1] @ np.array([[0, 1.0, 0], [-1, 0, 0], [0, 0, 1]]) + 9)[order]
    numbers = reference_errors(data, {"b": turned}, [COCO.names[i] for i in order])
    assert numbers.shape == (1, 2) and numbers[0, 0] > 10 and numbers[0, 1] == pytest.approx(0, abs=1e-6)
    assert reference_errors(data, {}, COCO.names).shape == (0, 2)
    assert kind_of_truth(data) == "the pack's own 3D joints"
    assert (
        kind_of_truth(data | {"R": np.zeros((4, 3, 3))}) == "3D joints triangulated from 4 calibrated views"
    )
    assert kind_of_truth({}) is None


def test_the_command_says_whose_points_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = write_clip(tmp_path / "c.npz"), tmp_path / "pred.npz"
    assert main(["lab", "real", str(path), "--frames", "2", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "no truth: PREDICTION: some network" in said and "found in 2 of 2" in said and "mesh" in said
    with np.load(out) as saved:
        assert_array_equal(saved["names"], COCO.names)
        assert saved["c_0000"].shape == (1, 19, 3) and set(saved) == {"names", "c_0000", "c_0003"}
    for more, words in (
        (["--system", "param"], "give the folder of the clip"),
        (["--mediapipe", "full"], "MediaPipe looks at pictures"),
        (["--sheet", "s.jpg"], "has no cameras and no sheet"),
    ):
        assert main(["lab", "real", str(path), "--out", str(tmp_path / "x.npz"), *more]) == 2
        assert words in capsys.readouterr().err
    assert not (tmp_path / "x.npz").exists()
