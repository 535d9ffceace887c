"""Pictures of all kinds, their EXIF data, and a sentence for what cannot be read."""

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from openhmr.errors import InputError
from openhmr.io.images import read_photo
from openhmr.io.photos import camera_of, photos_in
from tests.test_recover import photo


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
    # Lossy formats, few colours and dithering leave the bright rectangle where it is.
    assert np.mean(np.abs(image.astype(int) - photo().astype(int)) > 100) < 0.001


@pytest.mark.parametrize(
    ("name", "content", "cause"),
    [
        ("text.jpg", b"this is no picture", "not a readable picture"),
        ("empty.jpg", b"", "not a readable picture"),
        ("truncated.jpg", encoded(rgb(), "JPEG")[:2000], "not a readable picture"),
        ("truncated.png", encoded(rgb(), "PNG")[:600], "not a readable picture"),
        ("vast.png", png_header(60_000, 60_000), "100,000,000 that are read"),
        (
            "float.tiff",
            encoded(Image.fromarray(np.ones((9, 9), np.float32)), "TIFF"),
            "floating-point pixels",
        ),
        ("phone.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "in the format HEIC"),
        ("web.avif", b"\0\0\0\x18ftypavif\0\0\0\0mif1avif", "in the format AVIF"),
        ("scan.jp2", b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 ", "in the format JPEG 2000"),
        ("paper.pdf", b"%PDF-1.7", "in the format PDF"),
    ],
)
def test_bad_pictures(tmp_path: Path, name: str, content: bytes, cause: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=cause):
        read_photo(tmp_path / name)


@pytest.mark.parametrize(
    ("path", "cause"),
    [(None, "given as NoneType"), ("a\0b.jpg", "no plain file"), ("no.jpg", "does not exist")],
)
def test_what_is_no_path(path: object, cause: str) -> None:
    with pytest.raises(InputError, match=cause):
        read_photo(path)  # type: ignore[arg-type]


def exif(**tags: object) -> bytes:
    numbers = {"film": 0xA405, "focal": 0x920A, "plane": 0xA20E, "unit": 0xA210, "width": 0xA002}
    data = Image.Exif()
    for name, value in tags.items():
        data.get_ifd(0x8769)[numbers[name]] = value
    return encoded(rgb(), "JPEG", exif=data)


FILM = 27 / np.hypot(36, 24) * 800
"""The test photo's diagonal has 800 pixels."""


@pytest.mark.parametrize(
    ("tags", "focal"),
    [
        ({"film": 27}, FILM),
        ({"film": 0}, None),
        ({"film": 3}, None),
        ({"film": 60000}, None),
        # A sensor of 6,000 pixels over 24 mm (254 pixels a millimetre, written per centimetre): 50 mm are
        # 12,500 pixels, of which a copy of 640 pixels keeps 640 in 6,000.
        ({"focal": 50.0, "plane": 2500.0, "unit": 3, "width": 6000}, 50 * 250 * 640 / 6000),
        ({"focal": 50.0, "plane": 6350.0, "unit": 2, "width": 6000}, 50 * 250 * 640 / 6000),
        ({"focal": 50.0}, None),
        ({"focal": 50.0, "plane": 0.0, "unit": 3}, None),
        ({"focal": 50.0, "plane": 2500.0, "unit": 9}, None),
    ],
)
def test_focal_length_of_exif(tmp_path: Path, tags: dict[str, object], focal: float | None) -> None:
    (tmp_path / "p.jpg").write_bytes(exif(**tags))
    found = read_photo(tmp_path / "p.jpg")
    assert found.focal_px == (focal if focal is None else pytest.approx(focal, rel=1e-4))
    camera = camera_of(found)
    assert camera.source == ("assumed" if focal is None else "exif")


def test_rotation_of_exif(tmp_path: Path) -> None:
    (tmp_path / "p.jpg").write_bytes(lying(6))
    upright, stored = read_photo(tmp_path / "p.jpg"), read_photo(tmp_path / "p.jpg", upright=False)
    assert upright.turned and stored.turned
    assert upright.image.shape == (480, 640, 3) and stored.image.shape == (640, 480, 3)
    assert not read_photo(Path(__file__).parents[1] / "docs" / "pictures" / "recover.jpg").turned


def test_damaged_exif_is_no_obstacle(tmp_path: Path) -> None:
    whole = exif(film=27)
    marker = whole.index(b"Exif\0\0")
    start, end = marker + 6, marker - 2 + int.from_bytes(whole[marker - 2 : marker], "big")
    for seed in range(40):
        damaged = bytearray(whole)
        rng = np.random.default_rng(seed)
        for at in rng.integers(start, end, 8):
            damaged[at] = rng.integers(256)
        (tmp_path / "p.jpg").write_bytes(damaged)
        assert read_photo(tmp_path / "p.jpg").image.size == 480 * 640 * 3


def test_digits_that_are_no_numbers(tmp_path: Path) -> None:
    for name in ("\u00b2.png", "\u00b21.png", "1.png"):
        (tmp_path / name).touch()
    assert len(photos_in(tmp_path)) == 3


def test_folders_count_the_numbers_in_names(tmp_path: Path) -> None:
    for name in ("b10.png", "b9.PNG", "a.jpg", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [p.name for p in photos_in(tmp_path)] == ["a.jpg", "b9.PNG", "b10.png"]


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from Linux's /proc")
def test_large_pictures_need_little_more_than_themselves(tmp_path: Path) -> None:
    """40 megapixels are 120 MB as an array and 160 MB in Pillow; 450 MB allow for that and the imports."""
    Image.new("RGB", (8000, 5000), "navy").save(tmp_path / "large.jpg")
    code = (
        "from openhmr.io.images import read_photo\n"
        f"assert read_photo({str(tmp_path / 'large.jpg')!r}).image.shape == (5000, 8000, 3)\n"
        'print(int(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1]))'
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 450_000
