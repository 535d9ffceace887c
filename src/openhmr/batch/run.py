"""A batch in a folder: which parts are missing, who makes them, and the manifest of all."""

import hashlib
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing.connection import wait as wait_for
from pathlib import Path

from openhmr.batch.items import Item, parts_of
from openhmr.batch.worker import Models, Row, Worker, part_path, read_rows
from openhmr.errors import InputError
from openhmr.io.atomic import atomic_path
from openhmr.models import available

FORMAT = "openhmr-batch-1"


@dataclass(frozen=True)
class Batch:
    """The ``parts`` of a batch, and the folder ``out`` of its results."""

    out: Path
    parts: list[list[Item]]
    models: Models

    @property
    def missing(self) -> list[int]:
        """The numbers of the parts that are still to be made."""
        return [number for number in range(len(self.parts)) if not part_path(self.out, number).exists()]


def open_batch(
    out: Path, items: list[Item], models: Models, *, per_part: int = 64, overwrite: bool = False
) -> Batch:
    """A new batch in the folder ``out``, or the one that an earlier run of the same items began there.

    ``overwrite`` discards an earlier run. Raises :class:`InputError` where ``out`` holds a batch of other
    items, models or sizes of parts, or cannot be used.
    """
    settings = {
        "format": FORMAT,
        "openhmr": version("openhmr"),
        "items": len(items),
        "per_part": per_part,
        "content": _digest("\n".join(f"{i.key}\t{i.name}\t{i.start}\t{i.size}" for i in items).encode()),
        "models": [_of_model(name) for name in (models.recoverer, models.lifter or "pose2mesh")],
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        if overwrite:
            for path in (*out.glob("part-*.tar"), out / "manifest.jsonl", out / "batch.json"):
                path.unlink(missing_ok=True)
        _agree(out / "batch.json", settings)
    except OSError as error:
        raise InputError(f"the folder {out} cannot be used ({error.strerror}); choose another one") from None
    return Batch(out, parts_of(items, per_part), models)


def _agree(path: Path, settings: dict[str, object]) -> None:
    if not path.exists():
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
        return
    try:
        known = json.loads(path.read_bytes())
    except ValueError:
        known = {}
    differ = [name for name, value in settings.items() if known.get(name) != value]
    if differ:
        raise InputError(
            f"{path.parent} holds a batch with other {' and '.join(differ[:2])}; choose another folder, or "
            f"ask to overwrite it"
        )


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def _of_model(name: str) -> str:
    path = available().get(name, Path(name))
    return _digest(path.read_bytes()) if path.is_file() else name


def run(batch: Batch, workers: int = 1) -> Iterator[list[Row]]:
    """Make the parts that are missing, each by one of so many processes; yields the rows of each as it is
    done.

    Parts that are done stay, whatever happens to the others. Raises :class:`InputError` where a part cannot
    be written, or the system ends a worker.
    """
    missing = batch.missing
    try:
        if workers == 1 or len(missing) < 2:
            worker = Worker(batch.out, batch.models) if missing else None
            for number in missing:
                assert worker is not None
                yield worker(number, batch.parts[number])
        else:
            yield from _in_processes(batch, missing, min(workers, len(missing)))
    except OSError as error:
        raise InputError(
            f"{batch.out} cannot be written ({error.strerror}); free some space and run again: what is done "
            f"stays"
        ) from None
    except BrokenProcessPool:
        raise InputError(
            "the system ended a worker, most likely for its memory; run again with fewer workers: what is "
            "done stays"
        ) from None


def _in_processes(batch: Batch, missing: list[int], workers: int) -> Iterator[list[Row]]:
    # A forked child would inherit the threads' locks of the networks' runtime.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, _start, (batch.out, batch.models))
    left, running = iter(missing), set[Future[list[Row]]]()
    try:
        while True:
            for number in left:  # a few in advance, so that nobody waits and a long list is not copied
                running.add(pool.submit(_make, number, batch.parts[number]))
                if len(running) > 2 * workers:
                    break
            if not running:
                break
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


_worker: list[Worker] = []
"""That of this process."""


def _start(out: Path, models: Models) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that hands out parts decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker[:] = [Worker(out, models)]


def _end_with_parent() -> None:
    """Nobody collects what the worker of a killed process does, and it would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(1)


def _make(number: int, items: list[Item]) -> list[Row]:
    return _worker[0](number, items)


def write_manifest(batch: Batch) -> Path:
    """``manifest.jsonl``: a line for each item in the order of the source, once all parts are there; what
    killed runs left unfinished goes. Raises :class:`InputError` if a part is missing."""
    if batch.missing:
        raise InputError(f"{batch.out} lacks {len(batch.missing)} parts; run the batch again")
    path = batch.out / "manifest.jsonl"
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for number in range(len(batch.parts)):
            file.writelines(json.dumps(row) + "\n" for row in read_rows(part_path(batch.out, number)))
    for unfinished in batch.out.glob(".part-*.tar"):
        unfinished.unlink(missing_ok=True)
    return path
