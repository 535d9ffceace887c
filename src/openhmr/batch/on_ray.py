"""The same parts, made by the same workers, as a Ray Data job on one machine or a cluster."""

import importlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from openhmr.batch.items import Item
from openhmr.batch.run import Batch
from openhmr.batch.worker import Models, Row, Worker
from openhmr.errors import InputError


class PartWorker:
    """A :class:`~openhmr.batch.worker.Worker` as Ray Data calls it: a row of a part in, its manifest out."""

    def __init__(self, out: str, models: Models) -> None:
        self._worker = Worker(Path(out), models)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        items = [Item(**{**item, "path": Path(item["path"])}) for item in json.loads(row["items"])]
        return {"rows": json.dumps(self._worker(int(row["number"]), items))}


def part_rows(batch: Batch) -> list[dict[str, Any]]:
    """The parts that are missing, as rows of a Ray data set."""

    def listed(items: list[Item]) -> str:
        return json.dumps([asdict(item) | {"path": str(item.path.resolve())} for item in items])

    return [{"number": number, "items": listed(batch.parts[number])} for number in batch.missing]


def run_on_ray(batch: Batch, workers: int = 1) -> Iterator[list[Row]]:
    """As :func:`~openhmr.batch.run.run`, by so many actors of the Ray cluster that is connected, or that the
    environment names, else of this machine.

    Every machine must have openhmr, and see source and results under the same absolute paths. A part that is
    made twice, because Ray tried again, is the same. Raises :class:`InputError` without Ray.
    """
    try:
        ray, data = importlib.import_module("ray"), importlib.import_module("ray.data")
    except ModuleNotFoundError as error:
        raise InputError(f"Ray is not installed ({error.name}); run: pip install 'openhmr[ray]'") from None
    parts = part_rows(batch)
    if not parts:
        return
    if not ray.is_initialized():
        ray.init(log_to_driver=False, include_dashboard=False)
    data.DataContext.get_current().enable_progress_bars = False
    count = min(workers, len(parts))
    made = data.from_items(parts, override_num_blocks=len(parts)).map(
        PartWorker,
        fn_constructor_args=(str(batch.out.resolve()), batch.models),
        concurrency=count,
        num_cpus=1,
    )
    for row in made.iter_rows():
        yield json.loads(row["rows"])
