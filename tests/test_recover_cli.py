"""``openhmr recover`` as a user meets it: all files, every kind of picture, one sentence for every
mistake."""

import dataclasses
import io
import json
import struct
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image

import openhmr
from openhmr.bodies.body import Body
from openhmr.cli import main
from openhmr.geometry.camera_fit import intrinsics
from openhmr.io.images import read_photo
from openhmr.predict import detect
from openhmr.predict.average import average, lift_sigma
from openhmr.predict.lift import Lifter
from openhmr.predict.person_crop import squares, virtual_cameras
from openhmr.predict.recover import Recoverer
from tests.test_recover import BOX, photo
from tests.tiny_lifter import write_tiny_model
from tests.tiny_recover import write_tiny_recoverer

FILES = {"mesh.obj", "mesh.glb", "result.npz", "pose2d.png", "overlay.png"}


@pytest.fixture(autouse=True)
def _tiny_models(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, tiny_body: Body
) -> None:
    folder = tmp_path_factory.mktemp("weights")

    def load(name: str) -> Lifter | Recoverer:
        if name == "i2l-body":
            return Recoverer(write_tiny_recoverer(folder / "r.onnx", tiny_body), tiny_body)
        return Lifter(write_tiny_model(folder / "l.onnx", tiny_body, "coco", 19), tiny_body)

    monkeypatch.setattr(openhmr, "load", load)


@pytest.fixture
def jpeg(tmp_path: Path) -> Path:
    Image.fromarray(photo()).save(tmp_path / "photo.jpg", quality=95)
    return tmp_path / "photo.jpg"


def test_recover_writes_all_files(jpeg: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a" / "b"
    assert (
        main(
            [
                "recover",
                str(jpeg),
                "--box",
                "300,120,60,200",
                "--box",
                "290,100,90,240",
                "--out",
                str(out),
                "--json",
            ]
        )
        == 0
    )
    assert {p.name for p in out.iterdir()} == FILES
    summary = json.loads(capsys.readouterr().out)
    assert (
        summary["people"] == 2 and summary["boxes"][0] == list(BOX) and summary["focal_from"] == "52 degrees"
    )
    assert max(summary["reprojection_px"]) < 0.05 * BOX[3] and min(summary["joints_sigma_mm"]) > 0
    with np.load(out / "result.npz") as saved:
        assert saved["vertices"].shape == saved["vertices_sigma"].shape == saved["vertices_param"].shape
        assert saved["joints_sigma"].shape == saved["joints_coco"].shape == (2, 19, 3)
        assert saved["pose"].shape == (2, 24, 3) and saved["betas"].shape == (2, 10)


def test_without_a_box_and_with_the_other_meshes(
    jpeg: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files, unsure = {}, set()
    for more in ([], ["--param"], ["--lift"]):
        assert (
            main(["recover", str(jpeg), "--focal", "600", "--out", str(tmp_path / "out"), "--json", *more])
            == 0
        )
        summary = json.loads(capsys.readouterr().out)
        assert (
            abs(summary["boxes"][0][3] - BOX[3]) < 10
            and summary["focal_px"] == 600
            and summary["focal_from"] == "--focal"
        )
        files[" ".join(more)] = (tmp_path / "out" / "mesh.obj").read_text()
        unsure.add(summary["joints_sigma_mm"][0])
    # How sure the network itself is tells whether somebody is there, and does not hang on what is shown.
    assert len(set(files.values())) == 3 and len(unsure) == 1


def test_average_weighs_by_variance(tiny_body: Body) -> None:
    recovered = openhmr.load("i2l-body")(photo(), np.array([BOX, (280.0, 100, 100, 260)]))
    lifted = openhmr.load("pose2mesh-coco")(recovered.pose2d, None, recovered.image_size)
    both = average(recovered, lifted, tiny_body)
    pelvis = tiny_body.joint_regressors["human36"][0].astype(float)
    for i, turn in enumerate(virtual_cameras(squares(recovered.boxes), recovered.K)[0]):
        a, b = (
            (v - pelvis @ v) @ turn.T
            for v in (recovered.vertices[i].astype(float), lifted.vertices[i].astype(float))
        )
        w, u = 1 / recovered.vertices_sigma[i].astype(float) ** 2, 1 / lift_sigma(recovered)[i] ** 2
        expected = (w * a + u * b) / (w + u)
        expected = (expected - pelvis @ expected) @ turn + recovered.translation[i]
        assert_allclose(both.vertices[i], expected, atol=1e-4)
        assert_allclose(both.vertices_sigma[i], (w + u) ** -0.5, rtol=1e-4)
    blurred = dataclasses.replace(recovered, joints_sigma=recovered.joints_sigma * 10)
    assert (lift_sigma(blurred) > lift_sigma(recovered)).all()
    assert_allclose(both.joints["human36"][:, 0], recovered.translation, atol=1e-5)
    assert_allclose(both.joints["smpl"], tiny_body.J_regressor @ both.vertices, atol=1e-5)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def rgb() -> Image.Image:
    return Image.fromarray(photo())


def sixteen_bit() -> bytes:
    return encoded(Image.fromarray(photo()[..., 0].astype(np.uint16) * 257), "PNG")


def with_alpha() -> bytes:
    """What is transparent lies over white: the person is a hole in a dark picture."""
    alpha = 255 - photo()[..., 0]
    return encoded(Image.fromarray(np.dstack([np.zeros_like(photo()), alpha])), "PNG")


def lying(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(rgb().transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif)


def png_header(width: int, height: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", b"")
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plain.jpg", encoded(rgb(), "JPEG")),
        ("cmyk.jpg", encoded(rgb().convert("CMYK"), "JPEG")),
        ("sixteen.png", sixteen_bit()),
        ("alpha.png", with_alpha()),
        ("rotated.jpg", lying(6)),
        ("grey.jpg", encoded(rgb().convert("L"), "JPEG")),
        ("palette.png", encoded(rgb().convert("P"), "PNG")),
        ("palette.gif", encoded(rgb().convert("P"), "GIF")),
        ("bits.png", encoded(rgb().convert("1"), "PNG")),
        ("grey_alpha.png", encoded(rgb().convert("LA"), "PNG")),
        ("photo.webp", encoded(rgb(), "WEBP")),
        ("photo.tiff", encoded(rgb(), "TIFF")),
        ("photo.bmp", encoded(rgb(), "BMP")),
        ("no_suffix", encoded(rgb(), "JPEG")),
    ],
)
def test_every_kind_of_picture_gives_the_same_person(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    image = read_photo(tmp_path / name).image
    assert image.shape == (480, 640, 3) and image.dtype == np.uint8
    plain, other = (openhmr.load("i2l-body")(i, BOX) for i in (photo(), image))
    assert_allclose(other.pose2d[..., :2], plain.pose2d[..., :2], atol=0.6)


@pytest.mark.parametrize(
    ("name", "content", "more"),
    [
        ("missing.jpg", None, []),
        ("text.jpg", b"this is no picture", []),
        ("empty.jpg", b"", []),
        ("truncated.jpg", encoded(rgb(), "JPEG")[:2000], []),
        ("truncated.png", encoded(rgb(), "PNG")[:600], []),
        ("vast.png", png_header(60_000, 60_000), []),
        (
            "vast.bmp",
            b"BM"
            + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0),
            [],
        ),
        ("float.tiff", encoded(Image.fromarray(np.ones((9, 9), np.float32)), "TIFF"), []),
        ("photo.jpg", encoded(rgb(), "JPEG"), ["--box", "700,10,50,50"]),
        ("photo.jpg", encoded(rgb(), "JPEG"), ["--box", "10,10,0,0"]),
        ("photo.jpg", encoded(rgb(), "JPEG"), ["--box", "10,10,-5,40"]),
        ("photo.jpg", encoded(rgb(), "JPEG"), ["--box", "1,2,3"]),
        ("photo.jpg", encoded(rgb(), "JPEG"), ["--box", "1,2,3,inf"]),
        ("photo.jpg", encoded(rgb(), "JPEG"), ["--box", "left"]),
        ("photo.jpg", encoded(rgb(), "JPEG"), ["--box", "10,10,50,50", "--detect"]),
        ("photo.jpg", encoded(rgb(), "JPEG"), ["--focal", "0"]),
        ("photo.jpg", encoded(rgb(), "JPEG"), ["--focal", "nan"]),
        ("photo.jpg", encoded(rgb(), "JPEG"), ["--out", __file__]),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes | None, more: list[str]
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    before = sorted(tmp_path.rglob("*"))
    assert main(["recover", str(tmp_path / name), "--out", str(tmp_path / "out"), *more]) == 2
    _is_one_sentence(capsys)
    assert sorted(tmp_path.rglob("*")) == before


def _is_one_sentence(capsys: pytest.CaptureFixture[str]) -> str:
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1 and "Traceback" not in err
    return err


def with_focal(value: object) -> bytes:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = value
    return encoded(rgb(), "JPEG", exif=exif)


def test_focal_length_of_exif(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.jpg").write_bytes(with_focal(27))
    assert (
        main(
            [
                "recover",
                str(tmp_path / "p.jpg"),
                "--box",
                "300,120,60,200",
                "--out",
                str(tmp_path / "out"),
                "--json",
            ]
        )
        == 0
    )
    summary = json.loads(capsys.readouterr().out)
    # 27 mm before a film with a diagonal of 43.27 mm; the picture's diagonal has 800 pixels.
    assert (
        summary["focal_px"] == pytest.approx(27 / 43.2666 * 800, abs=0.1) and summary["focal_from"] == "EXIF"
    )
    for absurd in (0, 3, 60000):
        (tmp_path / "p.jpg").write_bytes(with_focal(absurd))
        assert read_photo(tmp_path / "p.jpg").focal_px is None


def test_damaged_exif_is_no_obstacle(tmp_path: Path) -> None:
    whole = with_focal(27)
    marker = whole.index(b"Exif\0\0")
    start, end = marker + 6, marker - 2 + int.from_bytes(whole[marker - 2 : marker], "big")
    for seed in range(40):
        damaged = bytearray(whole)
        rng = np.random.default_rng(seed)
        for at in rng.integers(start, end, 8):
            damaged[at] = rng.integers(256)
        (tmp_path / "p.jpg").write_bytes(damaged)
        assert read_photo(tmp_path / "p.jpg").image.size == 480 * 640 * 3


def person33(image: np.ndarray) -> list[np.ndarray]:
    """BlazePose's points as a stick figure in the bright rectangle."""
    rows, columns = np.nonzero(image[..., 0] > 127)
    rng = np.random.default_rng(0)
    return [
        np.stack(
            [
                rng.uniform(columns.min(), columns.max(), 33),
                rng.uniform(rows.min(), rows.max(), 33),
                np.full(33, 0.9),
            ],
            1,
        )
    ]


def test_detect_serves_recover_and_lift(
    jpeg: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(detect, "_read_people", person33)
    for command in ("recover", "lift"):
        assert main([command, str(jpeg), "--detect", "--out", str(tmp_path / command), "--json"]) == 0
        assert {p.name for p in (tmp_path / command).iterdir()} == FILES
        assert json.loads(capsys.readouterr().out)["focal_px"] == pytest.approx(
            intrinsics((480, 640))[0, 0], abs=0.01
        )
    with np.load(tmp_path / "lift" / "result.npz") as saved:
        assert saved["joint_set"] == "coco" and saved["pose2d"].shape == (1, 19, 3)
    for more in (["--joints", "human36"], ["--image", str(jpeg)]):
        assert main(["lift", str(jpeg), "--detect", "--out", str(tmp_path / "x"), *more]) == 2
        assert "--detect takes a photo" in _is_one_sentence(capsys)


def test_detect_finds_nobody_or_is_not_installed(
    jpeg: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(detect, "_read_people", lambda image: [])
    assert main(["recover", str(jpeg), "--detect", "--out", str(tmp_path / "out")]) == 2
    assert "no person was found" in _is_one_sentence(capsys)
    monkeypatch.undo()

    def absent(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(detect, "importlib", SimpleNamespace(import_module=absent))
    assert main(["lift", str(jpeg), "--detect", "--out", str(tmp_path / "out")]) == 2
    assert "pip install 'openhmr[detect]'" in _is_one_sentence(capsys)
    assert not (tmp_path / "out").exists()


def test_lift_without_joint_set_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "pose.npy", np.random.default_rng(0).uniform(0, 99, (17, 2)))
    assert main(["lift", str(tmp_path / "pose.npy"), "--out", str(tmp_path / "out")]) == 2
    assert "--joints coco" in _is_one_sentence(capsys)


def test_a_failed_write_leaves_what_was_there(
    jpeg: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = tmp_path / "old", tmp_path / "new" / "deeper"
    assert main(["recover", str(jpeg), "--box", "300,120,60,200", "--out", str(old)]) == 0
    before = {p.name: p.read_bytes() for p in old.iterdir()}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("openhmr.io.images.write_png", full)
    capsys.readouterr()
    for out in (old, new):
        assert main(["recover", str(jpeg), "--box", "290,100,90,240", "--out", str(out)]) == 2
        assert "No space left" in _is_one_sentence(capsys)
    assert {p.name: p.read_bytes() for p in old.iterdir()} == before and not new.parent.exists()


def test_interruption_is_no_traceback(
    jpeg: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(openhmr, "load", interrupted)
    assert main(["recover", str(jpeg), "--out", str(tmp_path / "out")]) == 130
    assert capsys.readouterr().err.startswith("interrupted") and not (tmp_path / "out").exists()


def test_boxes_may_begin_with_a_minus(jpeg: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["recover", str(jpeg), "--box", "-10,60,400,300", "--out", str(tmp_path / "out"), "--json"]) == 0
    )
    assert json.loads(capsys.readouterr().out)["boxes"][0] == [-10, 60, 400, 300]
    assert main(["recover", str(jpeg), "--focal", "-inf", "--out", str(tmp_path / "none")]) == 2
    assert "focal" in _is_one_sentence(capsys)


@pytest.mark.parametrize("size", [(4000, 2), (31, 31), (2000, 100)])
def test_strips_are_no_photos(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], size: tuple[int, int]
) -> None:
    Image.new("RGB", size).save(tmp_path / "strip.png")
    assert main(["recover", str(tmp_path / "strip.png"), "--detect", "--out", str(tmp_path / "out")]) == 2
    assert f"{size[0]} x {size[1]} pixels" in _is_one_sentence(capsys)
