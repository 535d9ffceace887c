"""Pictures in every shape that a caller may hold them in, with the camera that took them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from openhmr.camera import Camera
from openhmr.errors import InputError
from openhmr.io.images import Photo, read_photo
from openhmr.io.poses.pictures import natural

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


def photo_of(image: NDArray[np.uint8] | Photo | Image.Image | str | Path) -> Photo:
    """``image`` as a :class:`Photo`: a file is read, a PIL image converted; an array must be RGB uint8.

    Raises :class:`InputError` for anything else.
    """
    if isinstance(image, Photo):
        return image
    if isinstance(image, str | Path):
        return read_photo(image)
    if isinstance(image, Image.Image):
        return Photo(np.array(image.convert("RGB")), None)
    sound = (
        isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    )
    if not sound or not image.size:
        given = (
            f"{image.dtype} of shape {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        )
        raise InputError(
            f"image is {given}; a file, a PIL image or RGB uint8 of shape (height, width, 3) is needed"
        )
    return Photo(image, None)


def camera_of(photo: Photo) -> Camera:
    """The camera of the photo's EXIF data, else an assumed one of 52 degrees."""
    size = (photo.image.shape[0], photo.image.shape[1])
    return Camera.assumed(size) if photo.focal_px is None else Camera.from_focal(photo.focal_px, size, "exif")


def photos_in(folder: Path) -> list[Path]:
    """The pictures of ``folder`` (not of folders in it), in the order of their names with numbers counted.

    Raises :class:`InputError` if there are none.
    """
    paths = [p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file()]
    if not paths:
        raise InputError(f"{folder} holds no pictures; files of {', '.join(SUFFIXES)} are taken")
    return sorted(paths, key=lambda p: natural(p.name))
