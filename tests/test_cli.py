"""The command line as a user meets it: what it writes, and one sentence for every mistake."""

import io
import json
import os
import signal
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from openhmr.bodies.body import Body
from openhmr.bodies.shipped import open_body
from openhmr.camera import Camera
from openhmr.cli import main
from openhmr.export.folder import DATA
from openhmr.people import People
from tests.cli_models import FILES, Models, one_sentence
from tests.synthetic_models import model

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize(
    ("pose", "joints", "size"),
    [
        ("coco_skier.json", "coco", [425, 640]),
        ("balancing_detection.json", "coco", [1920, 1080]),
        ("human36_pose.npy", "human36", None),
    ],
)
def test_lift_writes_all_files(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    tiny: Models,
    pose: str,
    joints: str,
    size: list[int] | None,
) -> None:
    out = tmp_path / "a" / "b"
    assert main(["lift", str(EXAMPLES / pose), *tiny.lift(joints), "--out", str(out), "--json"]) == 0
    assert {p.name for p in out.iterdir()} == FILES
    summary = json.loads(capsys.readouterr().out)
    assert summary["people"] == 1 and {Path(f).name for f in summary["files"]} == FILES
    assert size is None or summary["image_size"] == size
    assert summary["focal_from"] == "assumed"
    people = People.load(out / "result.npz", tiny.body)
    assert len(people) == 1 and (people.vertices[..., 2] > 0).all()
    for name in ("pose2d.png", "overlay.png"):
        with Image.open(out / name) as picture:
            assert picture.mode == "RGB"


def test_shipped_models_are_chosen_by_joints(tmp_path: Path) -> None:
    arguments = ["lift", str(EXAMPLES / "human36_pose.npy"), "--joints", "human36", "--no-pictures"]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    assert {p.name for p in tmp_path.iterdir()} == {"mesh.obj", "mesh.glb", "result.npz"}
    assert People.load(tmp_path / "result.npz").vertices.shape == (1, 6999, 3)


def test_lift_of_a_detectors_skeleton(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """26 joints as Halpe's detectors write them, here those of a mesh."""
    body = open_body()
    camera = Camera.assumed((480, 640))
    standing = body.v_template * (1, -1, -1) + (0, 0, 4)
    pixels = camera.project(body.joint_regressor("halpe26") @ standing)
    np.save(tmp_path / "halpe.npy", pixels)
    arguments = ["lift", str(tmp_path / "halpe.npy"), "--joints", "halpe26", "--no-pictures", "--out"]
    assert main([*arguments, str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out != ""
    people = People.load(tmp_path / "out" / "result.npz")
    assert people.keypoints.joint_set.name == "halpe26" and people.reprojection_px()[0] < 10
    with np.load(tmp_path / "out" / "result.npz") as saved:
        assert saved["joints_halpe26"].shape == saved["joints_sigma"].shape == (1, 26, 3)


def skier_photo(folder: Path, focal_35mm: int | None = None, orientation: int = 1) -> str:
    exif = Image.Exif()
    exif[0x0112] = orientation
    if focal_35mm:
        exif.get_ifd(0x8769)[0xA405] = focal_35mm
    Image.new("RGB", (640, 425), "navy").save(folder / "000000000785.jpg", exif=exif)
    return str(folder / "000000000785.jpg")


def test_lift_over_a_photograph(tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny: Models) -> None:
    photo = skier_photo(tmp_path, focal_35mm=27)
    arguments = ["lift", str(EXAMPLES / "coco_skier.json"), *tiny.lift("coco"), "--image", photo]
    assert main([*arguments, "--focal", "900", "--out", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    assert "focal length 900.0 px, as given" in text and "overlay.png" in text
    with Image.open(tmp_path / "out" / "pose2d.png") as picture:
        assert picture.size == (640, 425)
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    expected = 27 / np.hypot(36, 24) * np.hypot(640, 425)
    assert f"{expected:.2f} px, from the photo's EXIF data" in capsys.readouterr().out


def test_turned_photographs_have_a_way_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny: Models
) -> None:
    photo = skier_photo(tmp_path, orientation=6)
    arguments = ["lift", str(EXAMPLES / "coco_skier.json"), *tiny.lift("coco"), "--image", photo]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 2
    error = one_sentence(capsys)
    assert "rotation of its EXIF data" in error and "--as-stored" in error
    assert main([*arguments, "--as-stored", "--out", str(tmp_path / "out")]) == 0


def test_people_on_their_heads_in_a_turned_photograph(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, tiny: Models
) -> None:
    """Poses of the stored pixels, over a picture that its EXIF data turn by half a turn."""
    photo = skier_photo(tmp_path, orientation=3)
    arguments = ["lift", str(EXAMPLES / "coco_skier.json"), *tiny.lift("coco"), "--image", photo]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    assert "EXIF" not in caplog.text
    skier = json.loads(SKIER)
    points = np.reshape(skier["annotations"][0]["keypoints"], (17, 3))
    turned = np.where(points[:, 2:] > 0, [639, 424, 0] + points * [-1, -1, 1], 0)
    skier["annotations"][0]["keypoints"] = turned.ravel().tolist()
    (tmp_path / "stored.json").write_text(json.dumps(skier))
    arguments[1] = str(tmp_path / "stored.json")
    assert main([*arguments, "--as-stored", "--out", str(tmp_path / "out")]) == 0
    assert "EXIF" not in caplog.text
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    assert "EXIF data" in caplog.text and "--as-stored" in caplog.text


def test_cameras_from_files(tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny: Models) -> None:
    K = [[700, 0, 330], [0, 700, 200], [0, 0, 1]]
    cameras = {"left": {"K": K, "image_size": [425, 640]}, "right": {"K": K, "image_size": [400, 600]}}
    (tmp_path / "camera.json").write_text(json.dumps(cameras["left"]))
    (tmp_path / "cameras.json").write_text(json.dumps(cameras))
    arguments = [
        "lift",
        str(EXAMPLES / "coco_skier.json"),
        *tiny.lift("coco"),
        "--out",
        str(tmp_path / "out"),
    ]
    for more in (["--camera", "camera.json"], ["--camera", "cameras.json", "--camera-name", "left"]):
        assert main([*arguments, more[0], str(tmp_path / more[1]), *more[2:]]) == 0
        people = People.load(tmp_path / "out" / "result.npz", tiny.body)
        assert people.camera.K.tolist() == K and people.camera.source == "given"
    capsys.readouterr()
    for more, cause in (
        (["--camera", str(tmp_path / "cameras.json"), "--camera-name", "right"], "(400, 600)"),
        (["--camera", str(tmp_path / "cameras.json")], "left"),
        (["--camera", str(tmp_path / "camera.json"), "--focal", "700"], "not allowed with"),
        (["--camera-name", "left"], "--camera FILE"),
    ):
        assert main([*arguments, *more]) == 2
        assert cause in one_sentence(capsys)


def huge_header() -> bytes:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (268435456,), }".ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


def array(values: object) -> bytes:
    out = io.BytesIO()
    np.save(out, np.asarray(values))
    return out.getvalue()


SKIER = (EXAMPLES / "coco_skier.json").read_bytes()


@pytest.mark.parametrize(
    ("name", "content", "more", "cause"),
    [
        ("missing.npy", None, [], "missing.npy"),
        ("shape.npy", array(np.ones((5, 2))), [], "(5, 2)"),
        ("columns.npy", array(np.ones((17, 4))), [], "(17, 4)"),
        ("nan.npy", array(np.full((17, 2), np.nan)), [], "present joints"),
        ("equal.npy", array(np.ones((17, 2))), [], "within 0 px"),
        ("text.npy", b"415,415 382,415", [], "text.npy"),
        ("text.json", b"415,415 382,415", [], "text.json"),
        ("huge.npy", huge_header(), [], "268,435,456"),
        ("pose.xml", b"<pose/>", [], "pose.xml"),
        ("skier.json", SKIER, ["--image", "nowhere.jpg"], "nowhere.jpg does not exist"),
        ("skier.json", SKIER, ["--image", __file__], "not a readable picture"),
        ("skier.json", SKIER, ["--focal", "-3"], "focal length is -3"),
        ("skier.json", SKIER, ["--focal", "nan"], "focal length is nan"),
        ("skier.json", SKIER, ["--focal", "wide"], "invalid float value: 'wide'"),
        ("skier.json", SKIER, ["--joints", "human36"], "lifts coco joints, not human36"),
        ("skier.json", SKIER, ["--joints", "openpose"], "did you mean 'openpose18'"),
        ("skier.json", SKIER, ["--min-score", "0.5"], "leave --min-score out"),
        ("skier.json", SKIER, ["--as-stored"], "add --image IMG"),
        ("skier.json", SKIER, ["--colour"], "--colour"),
        ("skier.json", SKIER, ["--out", __file__], "is a file"),
        ("skier.json", SKIER, ["--out", __file__ + "/below"], "is a file"),
        ("skier.json", SKIER, ["--out", ""], "it is empty"),
        ("skier.json", SKIER, ["--out", "a" * 300], "too long"),
        ("skier.json", SKIER, ["--out", "a\0b"], "NUL"),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    tiny: Models,
    name: str,
    content: bytes | None,
    more: list[str],
    cause: str,
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    before = sorted(tmp_path.rglob("*"))
    out = ["--out", str(tmp_path / "out")]
    assert main(["lift", str(tmp_path / name), *tiny.lift("coco"), *out, *more]) == 2
    assert cause in one_sentence(capsys)
    assert sorted(tmp_path.rglob("*")) == before


def test_joint_sets_and_models_must_be_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny: Models
) -> None:
    np.save(tmp_path / "pose.npy", np.random.default_rng(0).uniform(0, 99, (17, 2)))
    arguments = ["lift", str(tmp_path / "pose.npy"), "--out", str(tmp_path / "out")]
    for more, cause in (
        ([], "has 17 joints, as several joint sets have; name the right one of coco, human36"),
        (["--joints", "mano"], "the mano joints need (21, 2|3)"),
        (["--joints", "human37"], "did you mean 'human36'"),
        (tiny.recover(), "takes photos, not 2D poses"),
        (["--model", str(tmp_path / "no.onnx")], "there is no model"),
    ):
        assert main([*arguments, *more]) == 2
        assert cause in one_sentence(capsys)


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        ([], "required: COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["lift"], "required: POSE, --out"),
        (["bodies"], "required: COMMAND"),
        (["bodies", "convert", "a"], "required: OUT"),
        (["bodies", "convert", "a", "b.npz"], "a cannot be read (No such file"),
    ],
)
def test_wrong_commands(arguments: list[str], cause: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert cause in one_sentence(capsys)


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["lift", "--help"], ["skeletons", "--help"], ["bodies", "convert", "--help"], ["--version"]],
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


def test_lab_without_torch_says_what_to_install() -> None:
    """With torch hidden from the import system of a process of its own."""
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from openhmr.cli import main; sys.exit(main(['lab', 'train', 'compact_pose2mesh', '--out', 'x']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2 and "pip install 'openhmr[train]'" in done.stderr


def test_names_that_a_terminal_cannot_show(tmp_path: Path, tiny: Models) -> None:
    """Escape codes are shown as text, and letters beyond the terminal's alphabet end in no traceback."""
    out = tmp_path / "caf\u00e9\x1b[31mred"
    command = [sys.executable, "-m", "openhmr", "lift", str(EXAMPLES / "coco_skier.json"), *tiny.lift("coco")]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*command, "--out", str(out)], capture_output=True, env=environment)
    assert done.returncode == 0 and b"\x1b" not in done.stdout and b"caf\\xe9\\x1b[31mred" in done.stdout
    command[4] = str(tmp_path / "\x1b[31m.npy")
    np.save(command[4], np.r_[np.zeros((1, 2)), np.random.default_rng(0).uniform(300, 400, (16, 2))])
    done = subprocess.run([*command, "--out", str(out)], capture_output=True, env=environment)
    assert done.returncode == 0 and b"warning: " in done.stderr and b"\x1b" not in done.stderr
    missing = str(tmp_path / "\x1b[2J.npy")
    command[4] = missing
    done = subprocess.run([*command, "--out", str(out)], capture_output=True, env=environment)
    assert done.returncode == 2 and b"\x1b" not in done.stderr and b"is not an existing file" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped_commands_leave_nothing_half_done(tmp_path: Path, tiny: Models, number: int) -> None:
    """In the middle of a folder of photos: what was written is whole, and nothing else is there."""
    (tmp_path / "photos").mkdir()
    with np.load(Path(__file__).parent / "data" / "movenet.npz") as recorded:
        person = Image.fromarray(recorded["picture"])
    for i in range(300):
        person.save(tmp_path / "photos" / f"{i:03d}.png", compress_level=0)
    out = tmp_path / "out"
    command = [sys.executable, "-u", "-m", "openhmr", "recover", str(tmp_path / "photos"), *tiny.recover()]
    process = subprocess.Popen(
        [*command, "--no-pictures", "--force", "--json", "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that starts the tests in the background has them ignore interrupts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["name"] == "000.png"
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130 and "interrupted" in error and "Traceback" not in error
    assert 1 <= len(list(out.iterdir())) < 300
    assert all({p.name for p in folder.iterdir()} == set(DATA) for folder in out.iterdir())


def test_a_users_own_files_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny: Models) -> None:
    (tmp_path / "mesh.obj").write_text("o mine\n")
    arguments = ["lift", str(EXAMPLES / "coco_skier.json"), *tiny.lift("coco"), "--out", str(tmp_path)]
    assert main(arguments) == 2
    assert "mesh.obj exists and was not written by openhmr" in one_sentence(capsys)
    assert main([*arguments, "--overwrite"]) == 0 and main(arguments) == 0


def test_few_of_many_people(tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny: Models) -> None:
    rng = np.random.default_rng(0)
    results = [
        {
            "image_id": f"shots/{i // 2:06d}.jpg",
            "category_id": 1,
            "score": 0.3 + 0.1 * i,
            "keypoints": np.c_[rng.uniform(50, 400, (17, 2)), np.ones(17)].ravel().tolist(),
        }
        for i in range(4)
    ]
    (tmp_path / "results.json").write_text(json.dumps(results))
    arguments = [
        "lift",
        str(tmp_path / "results.json"),
        *tiny.lift("coco"),
        "--json",
        "--out",
        str(tmp_path / "o"),
    ]
    for more, people in (
        (["--image-id", "shots/000001.jpg"], 2),
        (["--image-id", "shots/000001.jpg", "--min-score", "0.55"], 1),
    ):
        assert main([*arguments, *more]) == 0
        assert json.loads(capsys.readouterr().out)["people"] == people
    assert main(arguments) == 0
    frames = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(frame["name"], frame["people"]) for frame in frames] == [("000000", 2), ("000001", 2)]
    assert frames[0]["image_size"] == frames[1]["image_size"]
