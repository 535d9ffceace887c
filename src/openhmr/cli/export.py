"""``openhmr export``: results in other formats, alone or as a clip."""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openhmr.arguments import add_formats, folder
from openhmr.errors import InputError

if TYPE_CHECKING:
    from openhmr.people import Frame

_EXAMPLES = """examples:
  openhmr export out/photo --formats bvh,angles --out out/rig
  openhmr export out/frames --fps 25 --formats glb,bvh --out out/clip
  openhmr export out/frame_1 out/frame_2 out/frame_3 --formats trc,mot --out out/opensim

RESULT is a result.npz, a folder of `openhmr lift` or `openhmr recover` that holds one, or a folder of such
folders or files. Several are the frames of one clip, in the order given, and in a folder in the order of
their names. Formats: obj, ply and npz (a file a frame), glb (one skinned, animated file), bvh, amass, trc and
mot (a file a person), joints, angles and jsonl (tables); docs/formats.md has their units and axes."""


def add_command(commands: Any) -> None:
    about = "Results of lift and recover in other formats: rigs, animations, tables."
    export = commands.add_parser("export", help="rigs and tables", description=about, epilog=_EXAMPLES)
    export.add_argument("results", type=Path, nargs="+", metavar="RESULT", help="result.npz, or its folder")
    add_formats(export, "glb,bvh,angles")
    export.add_argument(
        "--fps", type=float, default=30.0, metavar="N", help="frames a second of a clip (default: 30)"
    )
    export.add_argument(
        "--body", type=Path, metavar="FILE", help="the body of the results (default: the open body)"
    )
    export.add_argument(
        "--out", type=folder, metavar="DIR", required=True, help="folder for the files; made if missing"
    )
    export.add_argument(
        "--overwrite", action="store_true", help="replace files that openhmr did not write, too"
    )
    export.add_argument("--json", action="store_true", help="print a machine-readable summary")
    export.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from openhmr.export.folder import ClipFolder

    started = time.perf_counter()
    if not 0 < options.fps <= 100_000:
        raise InputError(f"--fps is {options.fps:g}; a number of frames a second above 0 is needed")
    paths = [path for result in options.results for path in results_in(result)]
    clip = ClipFolder(options.out, options.formats, rate_hz=options.fps, overwrite=options.overwrite)
    people = set[int]()
    with clip:
        for frame in tqdm(_frames(paths, options), total=len(paths), unit="frame", delay=1):
            clip.append(frame)
            ids = frame.people.track_ids
            people |= set(range(len(frame.people)) if ids is None else ids.tolist())
    seconds = round(time.perf_counter() - started, 3)
    numbers = {"frames": len(paths), "people": sorted(people), "seconds": seconds}
    _print(numbers | {"files": [str(file) for file in clip.files]}, options)


def results_in(path: Path) -> list[Path]:
    """The results that ``path`` names: itself, the one in it, or those in it in the order of their names."""
    from openhmr.io.poses.pictures import natural

    if path.is_dir():
        if (path / "result.npz").is_file():
            return [path / "result.npz"]
        for pattern in ("*/result.npz", "result/*.npz", "*.npz"):
            found = sorted(
                path.glob(pattern), key=lambda p: natural(str(p.relative_to(path).with_suffix("")))
            )
            if found:
                return found
        raise InputError(f"{path} holds no result.npz; name a folder that openhmr wrote results into")
    if not path.exists():
        raise InputError(f"{path} does not exist; name a result.npz, or the folder that holds it")
    return [path]


def _frames(paths: list[Path], options: argparse.Namespace) -> "Iterator[Frame]":
    from openhmr.bodies.readers import read_body
    from openhmr.people import Frame, People

    body = None if options.body is None else read_body(options.body)
    for index, path in enumerate(paths):
        yield Frame(index, {"body": People.load(path, body)}, name=path.parent.name)


def _print(numbers: dict[str, Any], options: argparse.Namespace) -> None:
    from openhmr.cli.printing import listed, printable

    if options.json:
        print(json.dumps(numbers))
        return
    frames, people = numbers["frames"], len(numbers["people"])
    print(
        printable(f"{frames} {'frame' if frames == 1 else 'frames'}, {people} people; {numbers['seconds']} s")
    )
    print(printable(f"wrote to {options.out}: {listed(numbers['files'], options.out)}"))
