"""The command line as a user meets it: what it writes, and one sentence for every mistake."""

import io
import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import openhmr
from openhmr.bodies.body import Body
from openhmr.cli import main
from openhmr.predict.lift import Lifter
from tests.synthetic_models import model
from tests.tiny_lifter import write_tiny_model

EXAMPLES = Path(__file__).parents[1] / "examples"
FILES = {"mesh.obj", "mesh.glb", "result.npz", "pose2d.png", "overlay.png"}


@pytest.fixture(autouse=True)
def _tiny_models(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, tiny_body: Body
) -> None:
    folder = tmp_path_factory.mktemp("weights")

    def load(name: str) -> Lifter:
        joint_set = name.removeprefix("pose2mesh-")
        path = write_tiny_model(
            folder / f"{name}.onnx", tiny_body, joint_set, {"coco": 19, "human36": 17}[joint_set]
        )
        return Lifter(path, tiny_body)

    monkeypatch.setattr(openhmr, "load", load)


@pytest.mark.parametrize(
    ("pose", "joints", "size"),
    [
        ("coco_skier.json", "coco", [425, 640]),
        ("balancing_detection.json", "coco", [1920, 1080]),
        ("human36_pose.npy", "human36", None),
    ],
)
def test_lift_writes_all_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], pose: str, joints: str, size: list[int] | None
) -> None:
    out = tmp_path / "a" / "b"
    assert main(["lift", str(EXAMPLES / pose), "--joints", joints, "--out", str(out), "--json"]) == 0
    assert {p.name for p in out.iterdir()} == FILES
    summary = json.loads(capsys.readouterr().out)
    assert summary["people"] == 1 and {Path(f).name for f in summary["files"]} == FILES
    assert size is None or summary["image_size"] == size
    with np.load(out / "result.npz") as saved:
        assert saved["joints_smpl"].shape == (1, 24, 3) and saved["joints_coco"].shape == (1, 19, 3)
        assert saved["joints_human36"].shape == (1, 17, 3)
        # The camera of the file puts the vertices where the picture shows them.
        assert (saved["vertices"][..., 2] > 0).all() and saved["camera_K"].shape == (3, 3)
    for name in ("pose2d.png", "overlay.png"):
        with Image.open(out / name) as picture:
            assert picture.mode == "RGB"


def test_lift_over_a_photograph_with_focal_length(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (640, 425), "navy").save(tmp_path / "000000000785.jpg")
    arguments = [
        "lift",
        str(EXAMPLES / "coco_skier.json"),
        "--joints",
        "coco",
        "--image",
        str(tmp_path / "000000000785.jpg"),
    ]
    assert main([*arguments, "--focal", "900", "--out", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    assert "focal 900.0 px" in text and "overlay.png" in text
    with Image.open(tmp_path / "out" / "pose2d.png") as picture:
        assert picture.size == (640, 425)


def huge_header() -> bytes:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (268435456,), }".ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


def array(values: object) -> bytes:
    out = io.BytesIO()
    np.save(out, np.asarray(values))
    return out.getvalue()


SKIER = (EXAMPLES / "coco_skier.json").read_bytes()


@pytest.mark.parametrize(
    ("name", "content", "more"),
    [
        ("missing.npy", None, []),
        ("shape.npy", array(np.ones((5, 2))), []),
        ("columns.npy", array(np.ones((17, 4))), []),
        ("count.npy", array(np.random.default_rng(0).uniform(0, 99, (18, 2))), []),
        ("nan.npy", array(np.full((17, 2), np.nan)), []),
        ("equal.npy", array(np.ones((17, 2))), []),
        ("text.npy", b"415,415 382,415", []),
        ("text.json", b"415,415 382,415", []),
        ("huge.npy", huge_header(), []),
        ("pose.xml", b"<pose/>", []),
        ("skier.json", SKIER, ["--image", "nowhere.jpg"]),
        ("skier.json", SKIER, ["--image", __file__]),
        ("skier.json", SKIER, ["--focal", "-3"]),
        ("skier.json", SKIER, ["--focal", "nan"]),
        ("skier.json", SKIER, ["--focal", "wide"]),
        ("skier.json", SKIER, ["--joints", "human36"]),
        ("skier.json", SKIER, ["--joints", "openpose"]),
        ("skier.json", SKIER, ["--colour"]),
        ("skier.json", SKIER, ["--out", __file__]),
        ("skier.json", SKIER, ["--out", __file__ + "/below"]),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes | None, more: list[str]
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    before = sorted(tmp_path.rglob("*"))
    assert (
        main(["lift", str(tmp_path / name), "--joints", "coco", "--out", str(tmp_path / "out"), *more]) == 2
    )
    _is_one_sentence(capsys)
    assert sorted(tmp_path.rglob("*")) == before


def _is_one_sentence(capsys: pytest.CaptureFixture[str]) -> str:
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1 and "Traceback" not in err
    return err


def test_a_picture_of_another_size_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (30, 20)).save(tmp_path / "p.png")
    arguments = [
        "lift",
        str(EXAMPLES / "coco_skier.json"),
        "--joints",
        "coco",
        "--image",
        str(tmp_path / "p.png"),
    ]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 2
    assert "(20, 30)" in _is_one_sentence(capsys)


@pytest.mark.parametrize(
    "arguments",
    [[], ["fly"], ["lift"], ["bodies"], ["bodies", "convert", "a"], ["bodies", "convert", "a", "b.npz"]],
)
def test_wrong_commands(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    _is_one_sentence(capsys)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["lift", "--help"], ["bodies", "convert", "--help"], ["--version"]]
)
def test_help_and_version(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 0 and "openhmr" in capsys.readouterr().out


def test_bodies_convert(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "smpl.npz", **model(0, hand=False))  # type: ignore[arg-type]
    assert main(["bodies", "convert", str(tmp_path / "smpl.npz"), str(tmp_path / "body.npz")]) == 0
    assert "6890 vertices, 24 joints" in capsys.readouterr().out
    assert Body.load(tmp_path / "body.npz").num_vertices == 6890


def test_lab_without_torch_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr("openhmr.cli.importlib.import_module", absent)
    assert main(["lab", "train"]) == 2
    assert "pip install 'openhmr[train]'" in _is_one_sentence(capsys)


def test_awkward_paths_write_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An over-long path, an empty --out, a folder where a file would go, a pipe as picture: one sentence,
    exit code 2."""
    pose = str(Path(__file__).parents[1] / "examples" / "coco_skier.json")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "taken" / "mesh.glb").mkdir(parents=True)
    for tail in (
        ["--out", str(tmp_path / ("a" * 300))],
        ["--out", ""],
        ["--out", str(tmp_path / "taken")],
        ["--out", str(tmp_path / "out"), "--image", str(tmp_path / "pipe.png")],
    ):
        assert main(["lift", pose, "--joints", "coco", *tail]) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ") and error.count("\n") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["pipe.png", "taken"]
    assert [p.name for p in (tmp_path / "taken").iterdir()] == ["mesh.glb"]
