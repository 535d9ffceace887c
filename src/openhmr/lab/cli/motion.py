"""``openhmr lab motion-error``: people in motion, with and without smoothing."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from openhmr.arguments import positive
from openhmr.errors import InputError
from openhmr.lab.synth.motion import TEST_SUBJECTS


def motion_error(args: argparse.Namespace) -> None:
    """Rows for recorded motion whose truth is known, and for the clip of a pack of real frames."""
    import openhmr
    from openhmr.bodies.shipped import open_body
    from openhmr.lab.evaluation import motion_errors as bench
    from openhmr.lab.evaluation.lift_benchmark import write_table
    from openhmr.lab.evaluation.motion_plot import plot_paths
    from openhmr.lab.synth.recorded import DetectorNoise, recorded_clips

    if args.motion is None and args.pack is None:
        raise InputError("there is nothing to measure; give --motion PACK, or --pack PACK with --videos DIR")
    if (args.pack is None) != (args.videos is None):
        raise InputError("a pack's clips need their videos; give --pack and --videos together")
    rows = []
    if args.motion is not None:
        subjects = tuple(args.subjects.split(","))
        clips = recorded_clips(args.motion, open_body(), subjects, seed=1)
        lifter = openhmr.load("pose2mesh-coco")
        found, gravity, shown = bench.recorded_errors(clips, lifter, DetectorNoise(), args.frames)
        rows += bench.rows_of("recorded", found)
        known = gravity[np.isfinite(gravity)]
        print(f"{len(found)} recorded clips; gravity found in {len(known)}", end="")
        print(
            f", off by {np.median(known):.1f} degrees (median), at most {known.max():.1f}" * bool(len(known))
        )
        if args.plot is not None:
            plot_paths(*shown, args.plot)
            print(f"wrote {args.plot}")
    if args.pack is not None:
        from openhmr.lab.evaluation.real_motion import real_errors

        for name, errors in real_errors(args.pack, args.videos).items():
            rows += bench.rows_of(name, errors)
    print(write_table(rows, args.out, "motion"))
    print(
        "MPJPE and PA-MPJPE in mm; acceleration errors in mm/frame^2, of joints relative to the root and in"
    )
    print("space; how far feet that stand slide, in mm/frame")


def add_commands(commands: Any) -> None:
    one = commands.add_parser(
        "motion-error", help="people in motion: raw, One-Euro, and smooth without delay"
    )
    one.add_argument("--motion", type=Path, metavar="PACK", help="recorded motion, seen by a noisy detector")
    one.add_argument(
        "--subjects", default=",".join(TEST_SUBJECTS), help="of the motion (default: %(default)s)"
    )
    one.add_argument(
        "--frames", type=positive, metavar="N", help="of the motion, about so many (default: all)"
    )
    one.add_argument("--plot", type=Path, metavar="FILE.png", help="also draw the path of two joints")
    one.add_argument("--pack", type=Path, metavar="PACK.npz", help="real frames with a 3D reference")
    one.add_argument("--videos", type=Path, metavar="DIR", help="folder with the pack's videos")
    one.add_argument("--out", type=Path, default=Path("out/motion"), metavar="DIR")
    one.set_defaults(run=motion_error)
