"""Pictures as files: upright RGB whatever their format, or one sentence."""

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from openhmr.errors import InputError
from openhmr.io.images import read_image, write_png


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
