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
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
"""Formats whose decoders only decode (EPS, for one, would run an interpreter)."""

_EXIF_IFD, _FOCAL_35MM = 0x8769, 0xA405
_FILM_DIAGONAL_MM = float(np.hypot(36, 24))
_FOCAL_LIMITS_MM = (8, 1200)
"""From fisheyes, which no pinhole describes, to the longest lenses; 0 means unknown."""


class Photo(NamedTuple):
    """``image (height, width, 3)`` RGB uint8, upright; ``focal_px`` where the camera wrote it down, else
    None."""

    image: NDArray[np.uint8]
    focal_px: float | None


def read_image(path: str | Path, upright: bool = True) -> NDArray[np.uint8]:
    """The picture of :func:`read_photo`."""
    return read_photo(path, upright).image


def read_photo(path: str | Path, upright: bool = True) -> Photo:
    """Read a picture as RGB, transparency over white, with the focal length of its EXIF data.

    ``upright`` applies the rotation of the EXIF data; annotations of data sets count pixels without it.

    The first frame of animations; 16-bit values are reduced to 8. Raises :class:`InputError` for anything
    that is not a complete picture in a common format, or has more than 100 megapixels (checked before
    decoding).
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is no plain file; give the path of an existing picture")
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
                focal = _focal_px(image)
                return Photo(_to_rgb(ImageOps.exif_transpose(image) if upright else image, path), focal)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; give the path of an existing picture") from None
    except InputError:
        raise
    except Image.DecompressionBombError:  # Pillow's own, higher limit
        raise InputError(
            f"{path} has more pixels than the {MAX_PIXELS:,} that are read: scale it down"
        ) from None
    except Exception as error:  # decoders fail on damaged files in every way there is
        reason = "" if "cannot identify" in str(error) or not str(error) else f" ({str(error)[:80]})"
        raise InputError(
            f"{path} is not a readable picture{reason}; give a complete JPEG, PNG, WebP, BMP or TIFF file"
        ) from None


def _focal_px(image: Image.Image) -> float | None:
    """EXIF's FocalLengthIn35mmFilm over the diagonal of that film (CIPA DC-008), in pixels; None if absent or
    absurd."""
    try:
        millimetres = float(image.getexif().get_ifd(_EXIF_IFD)[_FOCAL_35MM])
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
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.array(image.convert("RGB"))


def write_png(path: str | Path, image: NDArray[np.uint8]) -> None:
    """Write RGB ``(height, width, 3)`` uint8 as PNG, atomically."""
    with atomic_path(path) as temporary:
        info = PngImagePlugin.PngInfo()
        info.add_text("Software", "openhmr")
        Image.fromarray(image).save(temporary, format="PNG", compress_level=6, pnginfo=info)
