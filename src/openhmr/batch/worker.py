"""What happens to a part of a batch: its items become one tar file, all of it or nothing."""

import io
import json
import logging
import os
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from openhmr.batch.items import POSES, Item
from openhmr.errors import InputError
from openhmr.io.atomic import atomic_path
from openhmr.io.images import read_photo
from openhmr.io.photos import camera_of
from openhmr.io.poses import read_poses
from openhmr.models import load
from openhmr.people import People
from openhmr.pipeline import Picture, Pipeline
from openhmr.predict.certainty import guessed_parts
from openhmr.predict.lift import Lifter
from openhmr.predict.recover import Recoverer

_THREADS = "OMP_NUM_THREADS"

Row = dict[str, Any]
"""A line of the manifest."""


@dataclass(frozen=True)
class Models:
    """Which models a batch is made with, by name or file, and their body (None: the open one). Without a
    ``lifter`` 2D poses are lifted by the one that ships, if the body is the open one."""

    recoverer: str = "i2l-body"
    lifter: str | None = None
    body: str | None = None

    def pipeline(self) -> Pipeline:
        """Of one thread: more would sum in another order, and workers do not wait for each other. Raises
        :class:`InputError` where a model is of another kind."""
        before = os.environ.get(_THREADS)
        os.environ[_THREADS] = "1"
        try:
            recoverer, detector = load(self.recoverer, self.body), load("detector")
            shipped = self.lifter is None and self.body is None
            name = "pose2mesh" if shipped else self.lifter
            lifter = None if name is None else load(name, self.body)
        finally:
            os.environ.pop(_THREADS)
            os.environ.update({} if before is None else {_THREADS: before})
        if not isinstance(recoverer, Recoverer):
            raise InputError(f"{self.recoverer} takes no photos; give a model that does")
        if lifter is not None and not isinstance(lifter, Lifter):
            raise InputError(f"{self.lifter} takes no 2D poses; give a model that does")
        return Pipeline(recoverer, lifter, detector)


class Worker:
    """``worker(number, items)`` writes ``part-<number>.tar`` into ``out`` and returns its manifest rows.

    For every item the part has ``<key>.json``, its row (how many people, or the error; warnings), and
    ``<key>.npz`` where there is somebody (:meth:`People.save`), as WebDataset has samples. The same items
    give the same bytes. A part appears whole or not at all, so that a run may be killed at any time, and two
    runs of one part do no harm.
    """

    def __init__(self, out: Path, models: Models) -> None:
        self.out, self.pipeline = out, models.pipeline()

    def __call__(self, number: int, items: Sequence[Item]) -> list[Row]:
        rows = []
        path = part_path(self.out, number)
        with atomic_path(path) as temporary, tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as part:
            for item in items:
                row, people = self._result(item)
                row = {"key": item.key, "source": item.name, "part": path.name, **row}
                _add(part, f"{item.key}.json", json.dumps(row).encode())
                if people is not None:
                    data = io.BytesIO()
                    np.savez_compressed(data, **people.arrays())  # type: ignore[arg-type]
                    _add(part, f"{item.key}.npz", data.getvalue())
                rows.append(row)
        return rows

    def _result(self, item: Item) -> tuple[Row, People | None]:
        with _warnings() as said, _file_of(item) as path:
            try:
                people = self.pipeline.frame(_picture(path, item)).people
            except MemoryError:
                raise
            except InputError as error:
                return {"error": " ".join(str(error).replace(str(path), item.name).split())}, None
            except Exception as error:  # one strange file must not end the others
                return {"error": f"{type(error).__name__}: {str(error)[:200]}; please report this file"}, None
            row: Row = {"people": len(people)}
            if not len(people):
                return row, None
            row |= {"image_size": list(people.camera.image_size), "guessed": guessed_parts(people)}
            row |= {"warnings": said} if said else {}
            return row, people


def part_path(out: Path, number: int) -> Path:
    """Where a part is, or will be."""
    return out / f"part-{number:06d}.tar"


def read_rows(path: Path) -> list[Row]:
    """The manifest rows of a part, in the order of its items. Raises :class:`InputError`."""
    rows = []
    try:
        with tarfile.open(path, "r:") as part:
            for member in part:
                if member.name.endswith(".json") and (file := part.extractfile(member)) is not None:
                    rows.append(json.loads(file.read(1 << 20)))
    except (tarfile.TarError, OSError, ValueError) as error:
        raise InputError(f"{path} is damaged ({str(error)[:80]}); delete it and run again") from None
    return rows


def _add(part: tarfile.TarFile, name: str, data: bytes) -> None:
    """A member without owner and time, so that the same content has the same bytes."""
    member = tarfile.TarInfo(name)
    member.size = len(data)
    part.addfile(member, io.BytesIO(data))


def _picture(path: Path, item: Item) -> Picture:
    if item.suffix in POSES:
        return Picture(keypoints=read_poses(path))
    photo = read_photo(path, people=True)
    return Picture(photo.image, camera=camera_of(photo), name=item.key)


@contextmanager
def _file_of(item: Item) -> Iterator[Path]:
    """The item as a file of its own."""
    if item.start == 0:
        yield item.path
        return
    with tempfile.TemporaryDirectory(prefix="openhmr-") as folder:
        path = Path(folder) / f"picture{item.suffix}"
        with item.path.open("rb") as shard:
            shard.seek(item.start)
            path.write_bytes(shard.read(item.size))
        yield path


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """What the package warns of meanwhile, which belongs to one item among many."""
    said = list[str]()
    log, handler = logging.getLogger("openhmr"), logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    propagated, log.propagate = log.propagate, False
    log.addHandler(handler)
    try:
        yield said
    finally:
        log.removeHandler(handler)
        log.propagate = propagated
