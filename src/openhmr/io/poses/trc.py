"""TRC files of 2D poses in pixels, as Sports2D writes them: a person a file, a row a frame.

The format is Motion Analysis' of 3D markers: five rows of header (path; names and values of rates and
counts; names of the markers, each over three columns; X1, Y1, Z1 ...), then frame, time and coordinates,
between tabs. Sports2D has pixels in X and Y, with 0 in Z, whatever the header says of units.
"""

import csv
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from openhmr.errors import InputError
from openhmr.io.poses.contents import Contents, Person
from openhmr.io.poses.json_text import MAX_BYTES
from openhmr.io.poses.skeletons import by_names
from openhmr.joints import JointSet

MAX_FRAMES, MAX_MARKERS = 100_000, 1_000
METRES = 20.0
"""Coordinates in metres are never so far apart, those in pixels always (ours)."""


def is_trc(head: bytes) -> bool:
    """Whether a file begins as TRC files do."""
    return head.startswith(b"PathFileType")


def read_trc(path: Path, asked: JointSet | None) -> Contents:
    """One person in all frames. Raises :class:`InputError`, also for 3D poses and for metres."""
    if path.stat().st_size > MAX_BYTES:
        raise InputError(
            f"{path} has {path.stat().st_size:,} bytes; TRC files of at most {MAX_BYTES:,} bytes are read: "
            f"split it"
        )
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            header = list(itertools.islice(rows, 5))
            if len(header) < 5 or len(header[3]) < 3 or not header[3][0].strip().lower().startswith("frame"):
                raise InputError(f"{path} lacks the five header rows of a TRC file; save it again")
            markers = [(i, name.strip()) for i, name in enumerate(header[3]) if i >= 2 and name.strip()]
            return _person(markers, rows, asked, path)
    except csv.Error as error:
        raise InputError(f"{path} is no readable TRC file ({error}); save it again") from None


def _person(
    markers: Sequence[tuple[int, str]], rows: Iterator[list[str]], asked: JointSet | None, path: Path
) -> Contents:
    if len(markers) > MAX_MARKERS:
        raise InputError(f"{path} names {len(markers):,} markers; at most {MAX_MARKERS:,} are read")
    joint_set, places = by_names([name for _, name in markers], asked, path)
    ids, times, people = list[str](), list[float](), list[np.ndarray]()
    for row in rows:
        if not any(cell.strip() for cell in row):
            continue
        if len(people) == MAX_FRAMES:
            raise InputError(f"{path} has more than {MAX_FRAMES:,} frames; split it")
        values = np.array([[_number(row, i + axis, path) for axis in range(3)] for i, _ in markers])
        ids.append(row[0].strip())
        times.append(_number(row, 1, path))
        people.append(values)
    if not people:
        raise InputError(f"{path} has a header but no frames; save it again")
    if len(set(ids)) < len(ids):
        raise InputError(f"{path} numbers two of its frames the same; save it again")
    coordinates = np.stack(people)
    _check_pixels(coordinates, path)
    base = len(joint_set.base)
    points = np.zeros((len(people), joint_set.size if (places >= base).any() else base, 3))
    known = places >= 0
    points[:, places[known], :2] = coordinates[:, known, :2]
    points[:, places[known], 2] = np.isfinite(coordinates[:, known, :2]).all(-1)
    return Contents(
        [Person(joint_set, p, i) for i, p in zip(ids, points, strict=True)],
        times={i: time for i, time in zip(ids, times, strict=True) if np.isfinite(time)},
        pictures=ids,
    )


def _check_pixels(coordinates: np.ndarray, path: Path) -> None:
    with np.errstate(invalid="ignore"):
        deep = np.nan_to_num(coordinates[..., 2])
        if np.ptp(deep) > 0:
            raise InputError(f"{path} has coordinates Z, a pose in 3D; 2D poses in pixels are lifted")
        flat = coordinates[..., :2][np.isfinite(coordinates[..., :2]).all(-1)]
    if len(flat) and np.ptp(flat, axis=0).max() < METRES:
        raise InputError(
            f"{path} has coordinates within {np.ptp(flat, axis=0).max():.3g}, which are metres; give the "
            f"file in pixels, which Sports2D writes beside it"
        )


def _number(row: Sequence[str], column: int, path: Path) -> float:
    """A number; NaN for an empty or absent cell."""
    text = row[column].strip() if column < len(row) else ""
    try:
        return float(text) if text else float("nan")
    except ValueError:
        raise InputError(f"{path} has {text[:30]!r} where a number is needed; save it again") from None
