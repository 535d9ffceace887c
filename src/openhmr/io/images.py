"""Reading pictures from strangers as RGB, writing PNG."""

import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, PngImagePlugin

from openhmr.errors import InputError
from openhmr.io.atomic import atomic_path

MAX_PIXELS = 100_000_000
_STRIP = 256
"""Rows that are converted at once."""
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
"""Formats whose decoders only decode (EPS, for one, would run an interpreter)."""

_EXIF_IFD, _ORIENTATION = 0x8769, 0x0112
_FOCAL_35MM, _FOCAL, _PLANE_X, _PLANE_UNIT, _WIDTH = 0xA405, 0x920A, 0xA20E, 0xA210, 0xA002
"""EXIF 2.3: FocalLengthIn35mmFilm, FocalLength, FocalPlaneXResolution and -ResolutionUnit,
PixelXDimension."""
_UNITS_MM = {2: 25.4, 3: 10.0}
_FILM_DIAGONAL_MM = float(np.hypot(36, 24))
_FOCAL_LIMITS_MM = (8, 1200)
"""Of a 35 mm camera: from fisheyes, which no pinhole describes, to the longest lenses; 0 means unknown."""

SHORTEST_PX, LONGEST_SHARE = 32, 10
"""Photos that may hold people: at least so many pixels, and at most so many times as long as wide."""

_UNREAD = (
    (4, (b"ftypheic", b"ftypheix", b"ftyphevc", b"ftypmif1", b"ftypmsf1"), "HEIC"),
    (4, (b"ftypavif", b"ftypavis"), "AVIF"),
    (4, (b"jP  \r\n\x87\n",), "JPEG 2000"),
    (0, (b"\xff\x4f\xff\x51",), "JPEG 2000"),
    (0, (b"\xff\x0a",), "JPEG XL"),
    (4, (b"JXL \r\n\x87\n",), "JPEG XL"),
    (0, (b"%PDF",), "PDF"),
    (4, (b"ftypcrx",), "camera raw"),
    (0, (b"FUJIFILMCCD-RAW",), "camera raw"),
)
"""Formats by their first bytes that are not read."""


class Photo(NamedTuple):
    """``image (height, width, 3)`` RGB uint8, upright; ``focal_px`` where the camera wrote it down, else
    None; ``turned``: the EXIF data asked for a rotation."""

    image: NDArray[np.uint8]
    focal_px: float | None
    turned: bool = False


def read_image(path: str | Path, upright: bool = True) -> NDArray[np.uint8]:
    """The picture of :func:`read_photo`."""
    return read_photo(path, upright).image


def read_photo(path: str | Path, upright: bool = True, *, people: bool = False) -> Photo:
    """Read a picture as RGB, transparency over white, with the focal length of its EXIF data.

    ``upright`` applies the rotation of the EXIF data; annotations of data sets count pixels without it.
    ``people`` refuses strips and thumbnails, in which nobody can be seen. The first frame of animations;
    16-bit values are reduced to 8. Raises :class:`InputError` for anything that is not a complete picture in
    a common format, or has more than 100 megapixels (checked before decoding).
    """
    if not isinstance(path, str | Path):
        raise InputError(f"a picture is given as {type(path).__name__}; give the path of a file")
    path = Path(path)
    if "\0" in str(path) or (path.exists() and not path.is_file()):
        raise InputError(f"{str(path)!r} is no plain file; give the path of an existing picture")
    try:
        with warnings.catch_warnings():
            # Pillow warns at 89 and refuses at 179 megapixels; our own limit lies between, and its
            # damaged-tag warnings say nothing that a user could act on.
            warnings.simplefilter("ignore")
            with Image.open(path, formats=_FORMATS) as image:
                w, h = image.size
                if w * h > MAX_PIXELS:
                    raise InputError(
                        f"{path} has {w} x {h} pixels; at most {MAX_PIXELS:,} are read: scale it down"
                    )
                if people and (min(w, h) < SHORTEST_PX or max(w, h) > LONGEST_SHARE * min(w, h)):
                    raise InputError(
                        f"{path} is {w} x {h} pixels; photos of at least {SHORTEST_PX} pixels, and at most "
                        f"{LONGEST_SHARE} times as long as wide, can hold people: give another picture"
                    )
                focal, turned = _focal_px(image), _orientation(image) not in (0, 1)
                if upright and turned:
                    ImageOps.exif_transpose(image, in_place=True)
                return Photo(_to_rgb(image, path), focal, turned)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; give the path of an existing picture") from None
    except InputError:
        raise
    except Image.DecompressionBombError:  # Pillow's own, higher limit
        raise InputError(
            f"{path} has more pixels than the {MAX_PIXELS:,} that are read: scale it down"
        ) from None
    except Exception as error:  # decoders fail on damaged files in every way there is
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> InputError:
    try:
        with path.open("rb") as file:
            head = file.read(32)
    except OSError as refused:
        return InputError(f"{path} cannot be read ({refused.strerror}); give the path of a readable picture")
    kind = next((k for at, marks, k in _UNREAD if head[at:].startswith(marks)), None)
    if kind is not None:
        return InputError(f"{path} is in the format {kind}, which is not read; convert it to JPEG or PNG")
    reason = "" if "cannot identify" in str(error) or not str(error) else f" ({str(error)[:80]})"
    return InputError(
        f"{path} is not a readable picture{reason}; give a complete JPEG, PNG, WebP, BMP, TIFF, GIF or PPM "
        f"file"
    )


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # the tags of damaged files fail in every way there is
        return 1


def _focal_px(image: Image.Image) -> float | None:
    """The focal length of EXIF data in pixels: FocalLengthIn35mmFilm over the diagonal of that film (CIPA
    DC-008), or FocalLength over the sensor's pixel pitch; None if absent or absurd."""
    try:
        tags = image.getexif().get_ifd(_EXIF_IFD)
        millimetres = float(tags.get(_FOCAL_35MM, 0))
        if not millimetres and _PLANE_X in tags:
            # Resolution counts pixels of the picture as taken, whose width the tags tell, too.
            pitch = _UNITS_MM[int(tags.get(_PLANE_UNIT, 2))] / float(tags[_PLANE_X])
            sensor = (
                pitch
                * float(tags.get(_WIDTH) or max(image.size))
                / max(image.size)
                * float(np.hypot(*image.size))
            )
            millimetres = float(tags[_FOCAL]) / sensor * _FILM_DIAGONAL_MM
    except Exception:  # the tags of damaged files fail in every way there is, and are only a hint
        return None
    low, high = _FOCAL_LIMITS_MM
    return (
        millimetres * float(np.hypot(*image.size)) / _FILM_DIAGONAL_MM if low <= millimetres <= high else None
    )


def _to_rgb(image: Image.Image, path: Path) -> NDArray[np.uint8]:
    if image.mode.startswith("I"):  # 16-bit greyscale comes as I;16 or, in 32-bit containers, as I
        grey = np.asarray(image).astype(np.int64)
        if grey.max() > 255:
            grey >>= 8
        return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=-1)
    if image.mode == "F":
        raise InputError(
            f"{path} has floating-point pixels, whose range is unknown; save it with 8 or 16 bits"
        )
    out = np.empty((image.height, image.width, 3), np.uint8)
    for y in range(0, image.height, _STRIP):  # whole copies of large pictures would take gigabytes
        strip = image.crop((0, y, image.width, min(y + _STRIP, image.height)))
        if image.has_transparency_data:
            strip = strip.convert("RGBA")
            strip = Image.alpha_composite(Image.new("RGBA", strip.size, "white"), strip)
        out[y : y + _STRIP] = np.asarray(strip.convert("RGB"))
    return out


def write_png(path: str | Path, image: NDArray[np.uint8]) -> None:
    """Write RGB ``(height, width, 3)`` uint8 as PNG, atomically."""
    with atomic_path(path) as temporary:
        info = PngImagePlugin.PngInfo()
        info.add_text("Software", "openhmr")
        Image.fromarray(image).save(temporary, format="PNG", compress_level=6, pnginfo=info)
