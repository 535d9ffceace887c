"""``openhmr lab real`` and ``robustness``: real people, beside MediaPipe in the same run."""

import argparse
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import numpy as np

from openhmr.arguments import positive
from openhmr.errors import InputError
from openhmr.joints import COCO, MEDIAPIPE33
from openhmr.lab.evaluation.mediapipe_pose import MediaPipePose, Size
from openhmr.lab.evaluation.real_frames import SYSTEMS


def real(args: argparse.Namespace) -> None:
    """Predictions for a pack, and what they are worth by the pack's own kind of truth."""
    from openhmr.lab.evaluation.clips import is_clip

    rival = None
    if args.mediapipe:
        if args.videos is None:
            raise InputError("MediaPipe looks at pictures; add --videos with the folder of the pack's own")
        rival = MediaPipePose(args.mediapipe)
    (_clip if is_clip(args.pack) else _reference)(args, rival)


def _reference(args: argparse.Namespace, rival: MediaPipePose | None) -> None:
    from openhmr.io.cameras import read_cameras
    from openhmr.lab.evaluation import real_frames as frames

    if args.frames is not None:
        raise InputError(f"--frames chooses frames of a clip, but {args.pack} is taken whole; leave it out")
    started = time.perf_counter()
    cameras = None if args.camera is None else read_cameras(args.camera)
    pipeline, videos = frames.pipeline_of(args.system), None if args.system == "lift" else args.videos
    broken = 100 * frames.predict_pack(
        args.pack, args.out, pipeline, videos, args.sheet, cameras, find=args.system == "found"
    )
    print(f"wrote {args.out}: {len(broken)} items in {time.perf_counter() - started:.1f} s")
    if np.isfinite(broken).all():
        print(
            f"edges twice as long or half as long as the skinned body's: {broken.mean():.3f} % on average, "
            f"{broken.max():.2f} % in the worst item"
        )
    data = frames.read_pack(args.pack, pictures=rival is not None)
    if (truth := frames.kind_of_truth(data)) is None:
        print("the pack has no 3D reference, so nothing is compared")
        return
    print(f"truth: {truth}; mm, over {len(data['eval_joints'])} joints")
    with np.load(args.out) as saved:
        _print_errors(args.system, frames.reference_errors(data, dict(saved), COCO.names), data)
    if rival is not None:
        seen = frames.rival_predictions(data, args.videos, rival, frames.cameras_of(data, cameras))
        _print_errors(rival.name, frames.reference_errors(data, seen, MEDIAPIPE33.names), data)


def _print_errors(name: str, errors: np.ndarray, data: dict[str, np.ndarray]) -> None:
    known = errors[np.isfinite(errors).all(1)]
    if not len(known):
        print(f"  {name:<16} nobody found")
        return
    (mpjpe, pa), items = known.mean(0), len(data["item_ids"])
    print(f"  {name:<16} MPJPE {mpjpe:6.1f}   PA-MPJPE {pa:6.1f}   {len(known)} of {items} items")


def _clip(args: argparse.Namespace, rival: MediaPipePose | None) -> None:
    from openhmr.io.atomic import atomic_path
    from openhmr.lab.evaluation import clips
    from openhmr.lab.evaluation.real_frames import pipeline_of

    if args.camera is not None or args.sheet is not None:
        raise InputError(f"{args.pack} holds a clip, which has no cameras and no sheet; leave them out")
    if args.system != "lift" and args.videos is None:
        raise InputError("this system looks at pictures; give the folder of the clip, too")
    clip, videos = clips.read_clip(args.pack), None if args.system == "lift" else args.videos
    seen = list(pipeline_of(args.system)(clips.clip_pictures(clip, videos, args.frames)))
    with atomic_path(args.out) as temporary, temporary.open("wb") as file:
        joints = {str(f.name): 1000 * f.people.joints(clip.joint_set) for f in seen if len(f.people)}
        np.savez_compressed(file, names=np.array(clip.joint_set.names), **joints)  # type: ignore[arg-type]
    print(f"wrote {args.out}: everybody seen in {len(seen)} frames")
    print(f"no truth: {clip.truth}")
    print("so this is agreement with that network: per cent of the person's box, and mm after alignment")
    _print_agreement(args.system, clips.agreements(clip, seen), len(seen))
    if rival is not None:
        pictures = clips.clip_pictures(clip, args.videos, args.frames)
        _print_agreement(rival.name, clips.rival_agreements(clip, rival, pictures), len(seen))


def _print_agreement(name: str, rows: dict[str, tuple[float, ...]], total: int) -> None:
    from openhmr.lab.evaluation.clips import COLUMNS

    numbers = np.array(list(rows.values())).reshape(-1, len(COLUMNS))
    units = ("%", "%", "mm")
    shown = [
        f"{column} {values.mean():5.1f} {unit}"
        for column, values, unit in zip(COLUMNS, numbers.T, units, strict=True)
        if np.isfinite(values).any()
    ]
    print(f"  {name:<16} {'   '.join(shown) or 'nobody'}   found in {len(numbers)} of {total}")


@contextmanager
def _no_warnings() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("openhmr.predict", "openhmr.pipeline")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def robustness(args: argparse.Namespace) -> None:
    """Rows, files and the plot of how errors grow as pictures get worse."""
    import openhmr
    from openhmr.lab.evaluation import robustness as bench
    from openhmr.lab.evaluation.degradations import SWEEPS
    from openhmr.lab.evaluation.lift_benchmark import write_table
    from openhmr.lab.evaluation.real_frames import kind_of_truth, read_pack
    from openhmr.lab.evaluation.robustness_plot import plot
    from openhmr.pipeline import Pipeline

    lifter = openhmr.load("pose2mesh")
    methods = {
        "recover": bench.by_pipeline(Pipeline(openhmr.load("i2l-body"), lifter)),
        "lift, detected": bench.by_pipeline(Pipeline(lifter=lifter)),
    }
    if args.mediapipe:
        rival = MediaPipePose(args.mediapipe)
        methods[rival.name] = bench.by_mediapipe(rival)
    data = read_pack(args.pack, pictures=True)
    scored = np.isin(COCO.names, data.get("eval_joints", COCO.names))
    total = len(data["item_ids"]) if args.frames is None else min(args.frames, len(data["item_ids"]))
    source = bench.shots(args.pack, args.videos, args.frames)
    sweeps = {name: SWEEPS[name] for name in args.only or SWEEPS}
    with _no_warnings():  # degraded people are doubtful by intention
        rows = bench.measure(source, methods, scored, sweeps, total)
    print(write_table(rows, args.out, "robustness"))
    title = f"{total} pictures of {args.pack.stem}; truth: {kind_of_truth(data)}"
    plot(rows, args.out / "robustness.png", title, sweeps)
    print(f"truth: {kind_of_truth(data)}; wrote robustness.csv, .json and .png into {args.out}")


def add_commands(commands: Any) -> None:
    one = commands.add_parser(
        "real",
        help="real people: predictions for packs with a 3D reference, or with another network's points",
    )
    _add_pack(one)
    one.add_argument(
        "--system",
        choices=SYSTEMS,
        default="lift",
        help="lift: from the pack's 2D points; others: from --videos",
    )
    one.add_argument(
        "--videos",
        type=Path,
        metavar="DIR",
        help="folder with the pack's videos or picture, and other videos for the sheet",
    )
    one.add_argument(
        "--camera",
        type=Path,
        metavar="FILE",
        help="calibrated cameras by the names of the pack's groups, in place of the pack's own",
    )
    one.add_argument("--sheet", type=Path, metavar="FILE.jpg", help="also write overlays on 48 frames")
    one.add_argument("--frames", type=positive, metavar="N", help="of a clip: so many, evenly taken")
    one.add_argument("--out", type=Path, required=True, metavar="PRED.npz")
    one.set_defaults(run=real)
    one = commands.add_parser(
        "robustness", help="errors and uncertainty on real frames as the pictures get worse, with a plot"
    )
    _add_pack(one)
    one.add_argument(
        "--videos", type=Path, required=True, metavar="DIR", help="folder with the pack's videos"
    )
    one.add_argument("--frames", type=positive, metavar="N", help="so many, evenly taken (default: all)")
    one.add_argument("--only", nargs="+", choices=_sweeps(), metavar="KIND", help="some degradations only")
    one.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    one.set_defaults(run=robustness)


def _sweeps() -> tuple[str, ...]:
    from openhmr.lab.evaluation.degradations import SWEEPS

    return tuple(SWEEPS)


def _add_pack(command: argparse.ArgumentParser) -> None:
    command.add_argument("pack", type=Path, metavar="PACK.npz")
    command.add_argument(
        "--mediapipe",
        choices=get_args(Size),
        help="beside MediaPipe Pose of this size, if its package is installed",
    )
