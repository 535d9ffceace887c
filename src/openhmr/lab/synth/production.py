"""Making shards of pictures of any kind, in several processes, and going on where a run was stopped."""

import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from PIL import Image

from openhmr.bodies.body import Body
from openhmr.errors import InputError
from openhmr.io.atomic import atomic_path
from openhmr.lab.synth import shards

Report = Callable[[str], None]

SPLITS = ("train", "validation", "test")
PER_SHARD = 500


class Studio(Protocol):
    """Makes pictures of one split, of ``body``; what it makes depends on the generators alone."""

    body: Body

    def restart(self, rng: np.random.Generator) -> None:
        """Go on from ``rng``: what follows depends on nothing before."""

    def make(self, rng: np.random.Generator) -> tuple[np.ndarray, shards.Row]:
        """One picture ``(size,size,3)`` uint8 and its annotation row."""


class Task(Protocol):
    """One run: where the pictures go, their number, split, seed and side (px), and the first shard's
    number."""

    @property
    def out(self) -> Path: ...
    @property
    def count(self) -> int: ...
    @property
    def split(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def first_shard(self) -> int: ...

    def prepare(self, report: Report) -> None:
        """Check what is given and make what all processes need, once. Raises :class:`InputError`."""

    def studio(self) -> Studio:
        """In each process its own."""

    def finish(self) -> int:
        """When all shards are there: write what describes them together; returns the number of pictures."""


def shard_size(task: Task, shard: int) -> int:
    """Number of pictures of shard number ``shard``: all are full but the last."""
    return min(PER_SHARD, task.count - (shard - task.first_shard) * PER_SHARD)


def make_shard(task: Task, studio: Studio, shard: int) -> int:
    """Make and write shard number ``shard``; the same seed and number give the same shard. Returns its number
    of pictures."""
    rng = np.random.default_rng([task.seed, SPLITS.index(task.split), shard])
    studio.restart(rng)
    pictures, rows = [], []
    for _ in range(shard_size(task, shard)):
        image, row = studio.make(rng)
        quality = int(rng.integers(35, 96))
        ok, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        assert ok
        pictures.append(data.tobytes())
        rows.append(row)
    shards.write_shard(task.out, shard, shard * PER_SHARD, pictures, rows, studio.body)
    return len(rows)


def work(task: Task, numbers: list[int], report: Report) -> None:
    """Make some shards in this process."""
    studio = task.studio()
    for shard in numbers:
        start = time.perf_counter()
        made = make_shard(task, studio, shard)
        report(f"shard {shard}: {made / (time.perf_counter() - start):.1f} pictures/s")


def generate(task: Task, workers: int, report: Report) -> int:
    """Make all shards that are not there yet, in ``workers`` processes; returns the number of pictures in the
    folder.

    ``report`` (pickled for several workers) receives the speed of each shard as text. Raises
    :class:`InputError`.
    """
    if task.count < 1 or task.size < 64 or workers < 1:
        raise InputError(
            f"{task.count} pictures of {task.size} px by {workers} workers were asked for; at least 1, 64 "
            f"px and 1 are needed"
        )
    last = task.first_shard + -(-task.count // PER_SHARD)
    wanted = [k for k in range(task.first_shard, last) if shards.length(task.out, k) < shard_size(task, k)]
    if wanted:
        task.prepare(report)
    task.out.mkdir(parents=True, exist_ok=True)
    if workers == 1 and wanted:
        work(task, wanted, report)
    elif wanted:
        context = multiprocessing.get_context("spawn")
        processes = [
            context.Process(target=work, args=(task, wanted[k::workers], report))
            for k in range(min(workers, len(wanted)))
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        if any(p.exitcode for p in processes):
            raise InputError(
                "a worker failed (its message is above); shards that are complete stay, the same command "
                "goes on"
            )
    return task.finish()


def contact_sheet(folder: Path, path: Path, columns: int = 8, rows: int = 8) -> None:
    """The first ``columns x rows`` pictures of a folder side by side at half their size, as JPEG or PNG by
    the ending."""
    tiles: list[np.ndarray] = []
    for tar in sorted(folder.glob("images-*.tar")):
        for image in shards.read_pictures(tar, columns * rows - len(tiles)):
            tiles.append(cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    blank = np.zeros_like(tiles[0])
    tiles += [blank] * (columns * rows - len(tiles))
    sheet = np.vstack([np.hstack(tiles[k : k + columns]) for k in range(0, columns * rows, columns)])
    with atomic_path(path) as temporary:
        Image.fromarray(sheet).save(temporary, quality=80)
