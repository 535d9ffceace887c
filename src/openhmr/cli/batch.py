"""``openhmr batch``: many photos and 2D poses, by several workers, each result exactly once."""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

from openhmr.arguments import add_model, folder, positive
from openhmr.errors import InputError

_EXAMPLES = """examples:
  openhmr batch photos/ --out out/batch
  openhmr batch list.txt --workers 8 --out out/batch
  openhmr batch shards/ --ray --workers 64 --out /shared/out

SOURCE is a folder of photos and files of 2D poses (with the folders in it), a text file with a path on each
line, a WebDataset shard (.tar), or a folder of them. OUT receives part-NNNNNN.tar, in which each item has
KEY.json (people, or the error) and KEY.npz (as result.npz of `openhmr recover`), and manifest.jsonl with a
line for each item. A run that was ended in any way goes on when it is started again."""


def add_command(commands: Any) -> None:
    about = "Many photos and files of 2D poses to 3D meshes, in parts, by several workers."
    batch = commands.add_parser("batch", help="many photos at once", description=about, epilog=_EXAMPLES)
    batch.add_argument("source", type=Path, metavar="SOURCE", help="a folder, a list of paths, or shards")
    batch.add_argument(
        "--workers",
        type=positive,
        default=os.cpu_count() or 1,
        metavar="N",
        help="processes of one thread each (default: one for each core)",
    )
    batch.add_argument(
        "--per-part", type=positive, default=64, metavar="N", help="items in a part (default: 64)"
    )
    batch.add_argument("--ray", action="store_true", help="as a Ray Data job, with N actors (extra: ray)")
    batch.add_argument(
        "--lift-model", type=Path, metavar="FILE", help="Pose2Mesh for 2D poses (default: the shipped one)"
    )
    add_model(batch)
    batch.add_argument(
        "--out", type=folder, metavar="DIR", required=True, help="folder for the results; made if missing"
    )
    batch.add_argument("--overwrite", action="store_true", help="discard an earlier run in DIR")
    batch.add_argument("--json", action="store_true", help="print a machine-readable summary")
    batch.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from openhmr.batch.items import list_items
    from openhmr.batch.on_ray import run_on_ray
    from openhmr.batch.run import open_batch, write_manifest
    from openhmr.batch.run import run as run_here
    from openhmr.batch.worker import Models
    from openhmr.cli.printing import printable

    started = time.perf_counter()
    if options.source.is_dir() and options.source.resolve() in (
        options.out.resolve(),
        *options.out.resolve().parents,
    ):
        raise InputError(f"--out {options.out} lies in {options.source}; choose a folder elsewhere")
    models = Models(
        str(options.model or "i2l-body"),
        None if options.lift_model is None else str(options.lift_model),
        None if options.body is None else str(options.body),
    )
    items = list_items(options.source)
    batch = open_batch(options.out, items, models, per_part=options.per_part, overwrite=options.overwrite)
    left = sum(len(batch.parts[number]) for number in batch.missing)
    rows = (run_on_ray if options.ray else run_here)(batch, options.workers)
    name = printable(options.source.name)
    with tqdm(total=len(items), initial=len(items) - left, desc=name, unit="item", delay=1) as bar:
        for part in rows:
            bar.update(len(part))
    _print(_summary(write_manifest(batch), len(items) - left, time.perf_counter() - started), options)


def _summary(manifest: Path, before: int, seconds: float) -> dict[str, Any]:
    numbers: dict[str, Any] = {"items": 0, "people": 0, "nobody": 0, "errors": 0}
    with manifest.open(encoding="utf-8") as file:
        for row in map(json.loads, file):
            numbers["items"] += 1
            numbers["people"] += row.get("people", 0)
            numbers["nobody"] += row.get("people") == 0
            numbers["errors"] += "error" in row
    return numbers | {"done_before": before, "seconds": round(seconds, 2), "manifest": str(manifest)}


def _print(numbers: dict[str, Any], options: argparse.Namespace) -> None:
    from openhmr.cli.printing import printable

    if options.json:
        print(json.dumps(numbers))
        return
    before = f", {numbers['done_before']} of them before" if numbers["done_before"] else ""
    print(
        printable(
            f"{numbers['items']} items{before}: {numbers['people']} people; nobody in {numbers['nobody']}, "
            f"{numbers['errors']} errors; {numbers['seconds']} s\nwrote {numbers['manifest']} and the parts "
            f"beside it"
        )
    )
