"""``openhmr video`` as a user meets it: pictures and videos in, tables and an overlay out."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from openhmr.cli import main
from openhmr.io.video import Video
from tests.cli_models import Models, one_sentence

COUNT = 6


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody who moves to the right by 3 pixels a frame."""
    folder = tmp_path_factory.mktemp("clip") / "pictures"
    folder.mkdir()
    with np.load(Path(__file__).parent / "data" / "movenet.npz") as saved:
        picture = saved["picture"]
    for i in range(COUNT):
        Image.fromarray(np.roll(picture, 3 * i, axis=1)).save(folder / f"{i}.png")
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_video_writes_everything_and_resumes(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny: Models
) -> None:
    out = tmp_path / "out"
    arguments = ["video", str(pictures), "--fps", "10", "--out", str(out), "--json", *tiny.recover()]
    assert main(arguments) == 0
    numbers = json.loads(capsys.readouterr().out)
    assert numbers["frames"] == COUNT and numbers["people"] == len(numbers["tracks"]) == 1
    assert numbers["tracks"] == [{"id": 0, "frames": COUNT}]
    first = files(out)
    assert set(first) == {
        "overlay.mp4",
        "person_0.npz",
        "mesh.glb",
        "frames/clip.json",
        "frames/frames_000000.npz",
    }
    with np.load(out / "person_0.npz") as person:
        assert person["pose"].shape == (COUNT, 24, 3) and person["frames"].tolist() == list(range(COUNT))
        np.testing.assert_allclose(person["times_s"], np.arange(COUNT) / 10)
        assert np.isfinite(person["joints_coco"]).all() and person["image_size"].shape == (2,)
    overlay = Video(out / "overlay.mp4")
    assert overlay.fps == 10 and len(list(overlay)) == COUNT
    for name in ("overlay.mp4", "person_0.npz"):
        (out / name).unlink()
    assert main([*arguments, "--resume"]) == 0
    assert json.loads(capsys.readouterr().out)["resumed_at"] == COUNT
    assert files(out) == first
    assert main(arguments) == 2
    assert "holds the frames of an earlier run" in one_sentence(capsys)
    assert main([*arguments, "--resume", "--every", "2"]) == 2
    assert "was begun with every = 1, now it is 2" in one_sentence(capsys)
    assert main([*arguments, "--overwrite", "--every", "2", "--formats", "npz"]) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == COUNT // 2


def test_poses_over_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files of OpenPose, of whom the second has nobody, through the lifter that ships."""
    folder = tmp_path / "json"
    folder.mkdir()
    example = json.loads((Path(__file__).parents[1] / "examples" / "coco_skier.json").read_text())
    points = np.array(example["annotations"][0]["keypoints"], float).reshape(17, 3)
    for i in range(4):
        moved = points + np.array([4.0 * i, 0, 0]) * (points[:, 2:] > 0)
        people = [] if i == 1 else [{"keypoints": moved.ravel().tolist(), "category_id": 1, "image_id": i}]
        (folder / f"frame_{i}.json").write_text(json.dumps(people or {"version": 1.3, "people": []}))
    out = tmp_path / "out"
    assert main(["video", str(folder), "--formats", "npz", "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tracks"] == [{"id": 0, "frames": 3}]
    with np.load(out / "person_0.npz") as person:
        assert person["frames"].tolist() == [0, 2, 3] and np.isfinite(person["translation"]).all()
    assert main(["video", str(folder), "--formats", "bvh,trc,angles", "--out", str(out), "--resume"]) == 0
    assert "angles.csv, person_0.bvh, person_0.trc" in capsys.readouterr().out
    assert len((out / "angles.csv").read_text().splitlines()) == 1 + 3
    assert "Frames: 4\n" in (out / "person_0.bvh").read_text()  # one of them interpolated


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (["--start", "9"], "start earlier"),
        (["--start", "2", "--end", "1"], "the end after the start"),
        (["--start", "soon"], "give seconds"),
        (["--every", "0"], "whole number above 0"),
        (["--formats", "npz,avi"], "'avi' is no format"),
        (["--fps", "0"], "frames a second"),
        (["--joints", "robot"], "robot"),
        (["--lift-model", "absent.onnx"], "there is no model"),
    ],
)
def test_wrong_options(
    more: list[str],
    reason: str,
    pictures: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    tiny: Models,
) -> None:
    assert main(["video", str(pictures), "--out", str(tmp_path / "out"), *more, *tiny.recover()]) == 2
    assert reason in one_sentence(capsys)
    assert not (tmp_path / "out").exists()


def test_nobody_in_a_clip(tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny: Models) -> None:
    clip = Path(__file__).parent / "data" / "clips" / "h264.mp4"
    assert main(["video", str(clip), "--out", str(tmp_path / "out"), *tiny.recover()]) == 2
    assert "nobody was found" in one_sentence(capsys)
    assert not (tmp_path / "out").exists()


def test_webcams_cannot_be_resumed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["video", "63", "--resume", "--out", str(tmp_path)]) == 2
    assert "what it saw is gone" in one_sentence(capsys)
