"""Reading annotation files of data sets: plain JSON, checked where it is used, one sentence when it is
wrong."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from openhmr.errors import InputError
from openhmr.lab.crops.i2l_meshnet import crop_square

MAX_BYTES = 4 << 30
"""The largest official file, Human3.6M's 3D joints of one subject, has a tenth of it."""

LARGEST = 1e9
"""No coordinate in millimetres or pixels is larger."""

BETA_LIMIT = 3.0

Record = Mapping[str, Any]


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises :class:`InputError` if it is missing, cut short or far too large."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(f"{path} has {size:,} bytes; annotation files of at most {MAX_BYTES:,} are read")
        return json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}); give as root the folder that holds the data set in "
            f"its official layout"
        ) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no complete JSON file ({str(error)[:80]}); download it again") from None


def read_table(path: Path) -> dict[str, Any]:
    """A JSON file that holds records by name."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise InputError(
            f"{path} is no table of records by name; take the file that belongs to this data set"
        )
    return content


def read_rows(content: Any, key: str, where: object) -> list[Record]:
    """``content`` as a list of records, each numbered by ``key``."""
    if not isinstance(content, list) or not all(
        isinstance(row, dict) and isinstance(row.get(key), int) for row in content
    ):
        raise InputError(
            f"{where} is no list of records with a whole number as {key}; take the file that belongs to "
            f"this data set"
        )
    return content


def numbers(record: Any, key: str, shape: tuple[int, ...], where: object) -> NDArray[np.float64]:
    """``record[key]`` as an array of ``shape``; ``where`` names the record in the error if it is anything
    else or not finite."""
    value = entry(record, key, where)
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{where}: {key} holds no {shape} numbers; download the annotations again") from None
    if array.shape != shape:
        raise InputError(
            f"{where}: {key} has shape {array.shape}; {shape} is needed: check that the file belongs to "
            f"this data set"
        )
    if not np.all(np.abs(array) < LARGEST):
        raise InputError(
            f"{where}: {key} holds numbers that are not finite or beyond {LARGEST:g}; correct or remove "
            f"this annotation"
        )
    return array


def whole(record: Any, key: str, where: object) -> int:
    """``record[key]``, a whole number."""
    value = entry(record, key, where)
    if not isinstance(value, int):
        raise InputError(f"{where}: {key} is {str(value)[:40]!r}; a whole number is needed")
    return value


def entry(record: Any, key: str, where: object) -> Any:
    """``record[key]`` with an error that names the place."""
    if not isinstance(record, Mapping) or key not in record:
        raise InputError(f"{where} has no {key!r}; check that the file belongs to this data set")
    return record[key]


def body_parameters(record: Any, joints: int, where: object) -> tuple[NDArray, NDArray, NDArray]:
    """``pose (joints, 3)``, ``shape (10,)``, ``trans (3,)`` of a fitted body, float32."""
    shapes = (("pose", (joints * 3,)), ("shape", (10,)), ("trans", (3,)))
    pose, betas, trans = (numbers(record, key, shape, where).astype(np.float32) for key, shape in shapes)
    return pose.reshape(joints, 3), betas, trans


GENDERS = ("neutral", "male", "female")


def gender_of(record: Any, where: object) -> str:
    """``record["gender"]``: neutral, male or female, whole or as a letter, in any case."""
    value = str(entry(record, "gender", where))
    for gender in GENDERS:
        if value.lower() in (gender, gender[0]):
            return gender
    raise InputError(
        f"{where}: gender is {value[:40]!r}; {', '.join(GENDERS)} or their first letters are known: correct "
        f"this annotation"
    )


def limited(betas: NDArray) -> NDArray:
    """``betas``, or zeros if any coefficient lies beyond 3: such fits have failed (Pose2Mesh)."""
    return np.zeros_like(betas) if np.any(np.abs(betas) > BETA_LIMIT) else betas


def no_parameters(joints: int) -> tuple[NDArray, NDArray, NDArray]:
    """Zeros where nothing was fitted."""
    return np.zeros((joints, 3), np.float32), np.zeros(10, np.float32), np.zeros(3, np.float32)


class CocoFile:
    """``images`` by number and ``annotations`` in their order, of one or several files in the format of MS
    COCO."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.name = ", ".join(p.name for p in paths)
        self.images: dict[int, Record] = {}
        self.annotations: list[Record] = []
        for path in paths:
            content = read_json(path)
            for key in ("images", "annotations"):
                read_rows(entry(content, key, path), "id", f"{path}: {key}")
            self.images |= {image["id"]: image for image in content["images"]}
            self.annotations += content["annotations"]

    def image(self, annotation: Record) -> Record:
        """The picture that ``annotation`` lies in."""
        key = whole(annotation, "image_id", self.name)
        if key not in self.images:
            raise InputError(
                f"{self.name}: annotation {annotation['id']} belongs to image {key}, which is not listed"
            )
        return self.images[key]


def size_of(image: Record, where: object) -> tuple[int, int]:
    """Height and width of a picture, as annotated."""
    size = entry(image, "height", where), entry(image, "width", where)
    if not all(isinstance(n, int) and 0 < n < 1 << 16 for n in size):
        raise InputError(
            f"{where}: image {image['id']} has height and width {size}; whole numbers of pixels are needed"
        )
    return cast(tuple[int, int], size)


def picture_of(image: Record, folder: Path, where: object) -> tuple[Path, tuple[int, int]]:
    """Path in ``folder``, and height and width, of a picture as annotated."""
    return folder / str(entry(image, "file_name", where)), size_of(image, where)


def pinhole_of(camera: Any, where: object) -> tuple[NDArray, NDArray]:
    """Focal lengths and principal point ``(2,)`` of a stored camera, pixels."""
    return numbers(camera, "focal", (2,), where), numbers(camera, "princpt", (2,), where)


def square_of(annotation: Record, image: Record, where: object) -> tuple[NDArray, NDArray | None]:
    """The annotated box, and the square that is cut for it (None: no such sample)."""
    box = numbers(annotation, "bbox", (4,), f"{where}: annotation {annotation['id']}")
    return box, crop_square(box, size_of(image, where))


class RootNetFile:
    """Boxes and root positions that RootNet found, by the number under ``key``."""

    def __init__(self, path: Path, key: str) -> None:
        self.path, self.rows = path, read_rows(read_json(path), key, path)
        self._by_key = {row[key]: row for row in self.rows}

    def find(self, number: int, per_metre: float) -> tuple[NDArray, float]:
        """Square box, used as it is, and depth of the root in metres, of a file with ``per_metre`` units to
        the metre."""
        if number not in self._by_key:
            raise InputError(
                f"{self.path} has nothing on number {number}; run RootNet on the whole split, or use the "
                f"annotated boxes"
            )
        return self.read(self._by_key[number], per_metre)

    def read(self, row: Record, per_metre: float) -> tuple[NDArray, float]:
        """The same of one of ``rows``."""
        return numbers(row, "bbox", (4,), self.path), float(
            numbers(row, "root_cam", (3,), self.path)[2]
        ) / per_metre


class Detections:
    """What a 2D detector found, as a list of records with ``annotation_id`` and ``keypoints``."""

    def __init__(self, path: Path, joints: int) -> None:
        self.path, self.joints = path, joints
        self._by_id = {row["annotation_id"]: row for row in read_rows(read_json(path), "annotation_id", path)}

    def find(self, number: int) -> NDArray[np.float64]:
        """``(J, 2)`` pixels of the annotation ``number``."""
        if number not in self._by_id:
            raise InputError(
                f"{self.path} has nothing on annotation {number}; run the detector on the whole split"
            )
        return pixels_of(
            entry(self._by_id[number], "keypoints", self.path),
            self.joints,
            f"{self.path}: annotation {number}",
        )


def pixels_of(keypoints: Any, joints: int, where: object) -> NDArray[np.float64]:
    """The first two columns of detected ``keypoints (joints, 2 or more)``."""
    try:
        array = np.asarray(keypoints, np.float64)
    except (TypeError, ValueError, OverflowError):
        array = np.zeros(0)
    if array.ndim != 2 or len(array) != joints or array.shape[1] < 2 or not np.isfinite(array[:, :2]).all():
        raise InputError(
            f"{where}: keypoints are no {joints} rows of finite x, y; check that the file belongs to this "
            f"data set"
        )
    return array[:, :2]
