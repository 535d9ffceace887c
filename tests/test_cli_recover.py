"""``openhmr recover`` as a user meets it: all files, folders of photos, one sentence for every mistake."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from openhmr.cli import main
from openhmr.models import available
from openhmr.people import People
from tests.cli_models import FILES, Models, one_sentence
from tests.test_recover import BOX, photo

BOXES = ["--box", "300,120,60,200"]


@pytest.fixture
def jpeg(tmp_path: Path) -> Path:
    (tmp_path / "photo.jpg").write_bytes(encoded("JPEG", quality=95))
    return tmp_path / "photo.jpg"


def encoded(kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(photo()).save(out, kind, **options)
    return out.getvalue()


def test_recover_writes_all_files(
    jpeg: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny: Models
) -> None:
    out = tmp_path / "a" / "b"
    more = [*BOXES, "--box", "290,100,90,240", *tiny.recover(), "--out", str(out), "--json", "--force"]
    assert main(["recover", str(jpeg), *more]) == 0
    assert {p.name for p in out.iterdir()} == FILES
    summary = json.loads(capsys.readouterr().out)
    assert summary["people"] == 2 and summary["boxes"][0] == list(BOX) and summary["focal_from"] == "assumed"
    assert max(summary["reprojection_px"]) < 0.05 * BOX[3] and min(summary["joints_sigma_mm"]) > 0
    people = People.load(out / "result.npz", tiny.body)
    assert people.rig is not None and people.rig.pose.shape == (2, 24, 3) and people.sigma is not None


def test_each_mesh_by_its_option(
    jpeg: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny: Models
) -> None:
    files, unsure = set(), set()
    model, lift = tiny.recover(), ["--lift", "--lift-model", tiny.lift("coco")[1]]
    for more in ([], ["--lixel"], lift, [*lift, "--param"]):
        arguments = [
            "recover",
            str(jpeg),
            *BOXES,
            "--focal",
            "600",
            "--out",
            str(tmp_path / "out"),
            "--json",
            "--force",
        ]
        assert main([*arguments, *model, *more]) == 0
        summary = json.loads(capsys.readouterr().out)
        assert summary["focal_px"] == 600 and summary["focal_from"] == "given"
        files.add((tmp_path / "out" / "mesh.obj").read_text())
        unsure.add(summary["joints_sigma_mm"][0] if "--lift" not in more else None)
    assert len(files) == 3 and len(unsure) == 2


def test_a_folder_of_photos(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, tiny: Models
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    with np.load(Path(__file__).parent / "data" / "movenet.npz") as saved:
        somebody = Image.fromarray(saved["picture"])
    for name in ("2.png", "10.png"):
        somebody.save(photos / name)
    (photos / "nobody.png").write_bytes(encoded("PNG"))
    (photos / "broken.jpg").write_bytes(b"no picture")
    (photos / "notes.txt").write_text("not a picture")
    out = tmp_path / "out"
    arguments = [
        "recover",
        str(photos),
        *tiny.recover(),
        "--out",
        str(out),
        "--json",
        "--no-pictures",
        "--force",
    ]
    assert main(arguments) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["name"] for line in lines] == ["2.png", "10.png"]
    assert {p.name for p in out.iterdir()} == {"2.png", "10.png"}
    assert "broken.jpg is skipped" in caplog.text and "nobody.png: nobody was found" in caplog.text
    assert main([a for a in arguments if a != "--json"]) == 0
    words = capsys.readouterr().out
    assert "2.png:\nperson 0" in words and f"wrote to {out / '10.png'}: mesh." in words
    assert main([*arguments, *BOXES]) == 2
    assert "belongs to one photo" in one_sentence(capsys)
    (tmp_path / "empty").mkdir()
    assert main(["recover", str(tmp_path / "empty"), "--out", str(out)]) == 2
    assert "holds no pictures" in one_sentence(capsys)


def test_nobody_is_an_error_unless_forced(
    jpeg: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The shipped network sees no person in a white rectangle."""
    arguments = ["recover", str(jpeg), *BOXES, "--no-pictures", "--out", str(tmp_path / "out")]
    assert main(arguments) == 2
    error = one_sentence(capsys)
    assert "nobody was found in the boxes given for" in error and "--force" in error
    assert not (tmp_path / "out").exists()
    assert main([*arguments, "--force"]) == 0


@pytest.mark.parametrize(
    ("more", "cause"),
    [
        (["--box", "700,10,50,50"], "lies outside the picture"),
        (["--box", "10,10,0,0"], "width and height must be"),
        (["--box", "10,10,-5,40"], "width and height must be"),
        (["--box", "0,0,1e5,1e5"], "width and height must be"),
        (["--box", "1,2,3"], "is not x,y,width,height"),
        (["--box", "1,2,3,inf"], "width and height must be"),
        (["--box", "left"], "is not x,y,width,height"),
        (["--focal", "0"], "focal length is 0"),
        (["--lift-model", "x.onnx"], "add --lift"),
        (["--lixel", "--param"], "add --lift"),
        (["--focal", "-inf"], "focal length is -inf"),
        (["--out", __file__], "is a file"),
    ],
)
def test_bad_options_are_one_sentence_and_write_nothing(
    jpeg: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny: Models, more: list[str], cause: str
) -> None:
    before = sorted(tmp_path.rglob("*"))
    arguments = ["recover", str(jpeg), *tiny.recover(), "--out", str(tmp_path / "out")]
    assert main([*arguments, *more]) == 2
    assert cause in one_sentence(capsys)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_model_of_poses_is_refused(
    jpeg: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny: Models
) -> None:
    assert main(["recover", str(jpeg), *tiny.lift("coco"), "--out", str(tmp_path / "out")]) == 2
    assert "takes 2D poses, not photos" in one_sentence(capsys)
    detector = str(available()["detector"])
    for command in (["lift", "--model"], ["recover", "--model"], ["recover", "--lift", "--lift-model"]):
        assert main([*command, detector, str(jpeg), "--out", str(tmp_path / "out")]) == 2
        assert "finds people, but makes no meshes" in one_sentence(capsys)


def test_lifting_a_photo_of_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    black = tmp_path / "black.png"
    Image.new("RGB", (320, 240)).save(black)
    assert main(["lift", str(black), "--out", str(tmp_path / "out")]) == 2
    assert f"nobody was found in {black}; give another photo" in one_sentence(capsys)


def test_boxes_may_begin_with_a_minus(
    jpeg: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny: Models
) -> None:
    arguments = ["recover", str(jpeg), *tiny.recover(), "--json", "--force", "--out", str(tmp_path / "out")]
    assert main([*arguments, "--box", "-10,60,400,300"]) == 0
    assert json.loads(capsys.readouterr().out)["boxes"][0] == [-10, 60, 400, 300]


@pytest.mark.parametrize("size", [(4000, 2), (31, 31), (2000, 100)])
def test_strips_are_no_photos(
    jpeg: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], size: tuple[int, int]
) -> None:
    Image.new("RGB", size).save(tmp_path / "strip.png")
    assert main(["recover", str(tmp_path / "strip.png"), "--out", str(tmp_path / "out")]) == 2
    assert f"{size[0]} x {size[1]} pixels" in one_sentence(capsys)


def test_a_lens_file_is_used(jpeg: Path, tmp_path: Path, tiny: Models) -> None:
    camera = {
        "K": [[650, 0, 300], [0, 650, 260], [0, 0, 1]],
        "image_size": [480, 640],
        "dist": [0.05, 0, 0, 0],
    }
    (tmp_path / "camera.json").write_text(json.dumps(camera))
    arguments = ["recover", str(jpeg), *BOXES, *tiny.recover(), "--force", "--out", str(tmp_path / "out")]
    assert main([*arguments, "--camera", str(tmp_path / "camera.json")]) == 0
    people = People.load(tmp_path / "out" / "result.npz", tiny.body)
    np.testing.assert_array_equal(people.camera.K, camera["K"])
    assert people.keypoints.boxes is not None and not np.allclose(people.keypoints.boxes[0], BOX, atol=0.1)
