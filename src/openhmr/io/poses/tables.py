"""Tables of 2D poses as text (CSV): wide, DeepLabCut's with its rows of headers, and long."""

import csv
import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openhmr.errors import InputError
from openhmr.io.poses.contents import Contents, Person
from openhmr.io.poses.json_text import MAX_BYTES
from openhmr.io.poses.skeletons import by_names
from openhmr.joints import JointSet

MAX_COLUMNS, MAX_PEOPLE, MAX_ROWS = 10_000, 20_000, 200_000
"""Columns, people of wide tables, rows of long ones."""

_FRAME = ("frame", "image", "image_id", "frame_id", "file", "file_name", "filename", "time", "")
_PERSON = ("person", "person_id", "id", "track", "track_id", "individual", "subject")
_JOINT = ("joint", "keypoint", "bodypart", "landmark", "name", "joint_name")
_SCORE = ("score", "confidence", "conf", "likelihood", "visibility", "c", "v", "p")
_AXES = {"x": 0, "y": 1} | dict.fromkeys(_SCORE, 2)
_DELIMITERS = ",;\t"

Row = Sequence[str]
Cell = tuple[str, int]
"""A joint's name, and which of its three numbers a column has."""
Cells = Mapping[int, Cell]
"""The columns of one person."""


def is_table(head: bytes) -> bool:
    """Whether a file begins with a line of several columns that has x and y, or with DeepLabCut's."""
    line = next((line for line in head.decode("utf-8", "ignore").splitlines() if line.strip()), "")
    try:
        columns = _plain(next(csv.reader([line], delimiter=_delimiter(line)), []))
    except csv.Error:
        return False
    return columns[:1] == ["scorer"] or {"x", "y"} <= {c if c in _AXES else c[-1:] for c in columns if c}


def read_table(path: Path, asked: JointSet | None) -> Contents:
    """Everybody in a table, the joints matched by name. Raises :class:`InputError`."""
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise InputError(
            f"{path} has {size:,} bytes; tables of at most {MAX_BYTES:,} bytes are read: split it"
        )
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            delimiter = _delimiter(file.readline())
            file.seek(0)
            rows = (row for row in csv.reader(file, delimiter=delimiter) if any(row))
            header = next(rows, [])
            if len(header) > MAX_COLUMNS:
                raise InputError(f"{path} has {len(header):,} columns; at most {MAX_COLUMNS:,} are read")
            if _plain(header)[:1] == ["scorer"]:
                return _deeplabcut(rows, asked, path)
            columns = _plain(header)
            if {"x", "y"} <= set(columns):
                return _long(columns, rows, asked, path)
            return _wide(columns, header, rows, asked, path)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is no readable table ({error}); save it as CSV in UTF-8") from None


def _delimiter(line: str) -> str:
    return max(_DELIMITERS, key=line.count)


def _plain(row: Row) -> list[str]:
    return [column.strip().lower() for column in row]


def _wide(
    columns: list[str], header: Row, rows: Iterator[Row], asked: JointSet | None, path: Path
) -> Contents:
    """A row a person; columns ``name_x``, ``name_y``, ``name_score``, perhaps ``frame`` and ``person``."""
    cells: dict[int, Cell] = {}
    for i, title in enumerate(columns):
        name, axis = _split(header[i].strip())
        if axis is not None and title not in (*_FRAME, *_PERSON):
            cells[i] = name, axis
    frame = _column(columns, _FRAME)
    person = _column(columns, _PERSON)
    contents = _rows([cells], rows, frame, frame is None and person is None, asked, path)
    return _timed(contents, columns, frame)


def _deeplabcut(rows: Iterator[Row], asked: JointSet | None, path: Path) -> Contents:
    """Headers ``scorer``, perhaps ``individuals``, ``bodyparts``, ``coords``; then a row a frame."""
    headers = {_plain(row)[0]: row for row in itertools.islice(rows, 1)}
    while "coords" not in headers and len(headers) < 3 and (row := next(rows, None)):
        headers[_plain(row)[0]] = row
    if not {"bodyparts", "coords"} <= set(headers):
        raise InputError(
            f'{path} begins with "scorer" but has no rows "bodyparts" and "coords", which DeepLabCut writes'
        )
    parts, coords = headers["bodyparts"], _plain(headers["coords"])
    people = headers.get("individuals", [""] * len(parts))
    if not len(parts) == len(coords) == len(people):
        raise InputError(f"{path} has header rows of different lengths; save the table again")
    everybody: dict[str, dict[int, Cell]] = defaultdict(dict)
    for i, axis in enumerate(coords):
        if i and axis in _AXES:
            everybody[people[i]][i] = parts[i], _AXES[axis]
    # Labelled pictures have folder, folder and file name in three columns, of which the last names them.
    frame = next((i for i, axis in enumerate(coords) if i and axis in _AXES), 1) - 1
    return _rows(list(everybody.values()), rows, frame, False, asked, path)


def _rows(
    everybody: Sequence[Cells],
    rows: Iterator[Row],
    frame: int | None,
    alone: bool,
    asked: JointSet | None,
    path: Path,
) -> Contents:
    """``everybody`` who is in a row, in the columns of theirs. ``alone`` if nothing tells frames from people:
    then there may be one row only."""
    names = list(dict.fromkeys(name for cells in everybody for name, _ in cells.values()))
    joint_set, places = by_names(names, asked, path)
    place = dict(zip(names, places.tolist(), strict=True))
    for name in names:
        axes = {axis for cells in everybody for n, axis in cells.values() if n == name}
        if place[name] >= 0 and not {0, 1} <= axes:
            raise InputError(f"{path} has no x and y of {name!r}; give both columns of each joint")
    people, count = list[Person](), _count(joint_set, places)
    for row in _checked(rows, path, MAX_PEOPLE // max(len(everybody), 1)):
        for cells in everybody:
            points = np.zeros((count, 3))
            points[places[places >= 0], 2] = 1
            for i, (name, axis) in cells.items():
                if place[name] >= 0:
                    points[place[name], axis] = _number(row[i] if i < len(row) else "", path)
            people.append(Person(joint_set, points, _cell(row, frame) or None))
    if alone and len(people) > 1:
        raise InputError(
            f"{path} has {len(people)} rows, and no column tells whether they are people or frames; add a "
            f"column frame or person"
        )
    return Contents(people)


def _long(columns: list[str], rows: Iterator[Row], asked: JointSet | None, path: Path) -> Contents:
    """A row a joint; columns ``joint``, ``x``, ``y``, and perhaps ``frame``, ``person`` and ``score``."""
    joint, score = _column(columns, _JOINT), _column(columns, _SCORE)
    if joint is None:
        raise InputError(f"{path} has columns x and y but none called joint; name the joint of each row")
    frame, person = _column(columns, _FRAME), _column(columns, _PERSON)
    x, y = columns.index("x"), columns.index("y")
    found: dict[tuple[str | None, str | None], dict[str, tuple[float, float, float]]] = defaultdict(dict)
    for row in _checked(rows, path, MAX_ROWS):
        if len(row) <= max(joint, x, y):
            raise InputError(f"{path} has a row of {len(row)} columns; its header has {len(columns)}")
        who, name = (_cell(row, frame), _cell(row, person)), row[joint].strip()
        if name in found[who]:
            raise InputError(f"{path} has {name!r} twice for one person; add a column person or frame")
        seen = 1.0 if score is None else _number(_cell(row, score) or "", path)
        found[who][name] = _number(row[x], path), _number(row[y], path), seen
    names = list(dict.fromkeys(name for joints in found.values() for name in joints))
    joint_set, places = by_names(names, asked, path)
    place = dict(zip(names, places.tolist(), strict=True))
    people, count = list[Person](), _count(joint_set, places)
    for (picture, _), joints in found.items():
        points = np.zeros((count, 3))
        for name, values in joints.items():
            if place[name] >= 0:
                points[place[name]] = values
        people.append(Person(joint_set, points, picture or None))
    return _timed(Contents(people), columns, frame)


def _timed(contents: Contents, columns: list[str], frame: int | None) -> Contents:
    """With the seconds of the frames, where a column of that title names them."""
    if frame is None or columns[frame] != "time":
        return contents
    times = {p.picture: _seconds(p.picture) for p in contents.people if p.picture is not None}
    return replace(contents, times={i: time for i, time in times.items() if math.isfinite(time)})


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _count(joint_set: JointSet, places: NDArray[np.int64]) -> int:
    """How many joints people have: the derived ones only where a table has one of them."""
    base = len(joint_set.base)
    return joint_set.size if (places >= base).any() else base


def _split(title: str) -> tuple[str, int | None]:
    """``L_Hip_x``, ``left_hip.score`` or ``Nose y`` as the joint and which of its numbers."""
    for mark in ("_", ".", " ", ":", "-"):
        name, _, axis = title.rpartition(mark)
        if name and axis.lower() in _AXES:
            return name, _AXES[axis.lower()]
    return title, None


def _column(columns: list[str], names: Sequence[str]) -> int | None:
    return next((columns.index(name) for name in names if name in columns), None)


def _cell(row: Row, column: int | None) -> str | None:
    return None if column is None or column >= len(row) else row[column].strip()


def _checked(rows: Iterator[Row], path: Path, most: int) -> Iterator[Row]:
    for count, row in enumerate(rows):
        if count >= most:
            raise InputError(f"{path} has more than {most:,} rows; split it")
        yield row


def _number(text: str, path: Path) -> float:
    """A number; NaN, which is a missing joint, for an empty cell."""
    try:
        return float(text) if text.strip() else float("nan")
    except ValueError:
        raise InputError(
            f"{path} has {text[:30]!r} where a number is needed; leave missing ones empty"
        ) from None
