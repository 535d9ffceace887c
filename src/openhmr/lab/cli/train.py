"""``openhmr lab train``: every model, from its config to its weights."""

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from openhmr.lab.cli.options import add_bodies, add_config, add_data, add_device, sources
from openhmr.lab.device import is_first, process_group


def train(args: argparse.Namespace) -> None:
    """Train, or go on; under torchrun, together with the other processes."""
    from openhmr.lab.training.systems import read_config, run

    given = {k: v for k in ("motion", "hands", "pictures", "validation") if (v := getattr(args, k))}
    system, config = read_config(args.config, args.set, **given)
    read_with = None if system.startswith("compact") else sources(args, args.data, system)
    with process_group(args.device) as device:
        recipe = run(system, config, read_with, device, args.out)
        if is_first():
            with torch.no_grad():
                numbers = recipe.evaluate()
            print(json.dumps({name: round(value, 2) for name, value in numbers.items()}))


def add_commands(commands: Any) -> None:
    one = commands.add_parser("train", help="train a model; running it again resumes")
    add_config(one, "preset name or YAML file")
    add_data(one)
    add_bodies(one)
    one.add_argument("--motion", metavar="PACK", help="motion pack (.npz) or folder of BVH files")
    one.add_argument("--hands", metavar="PACK", help="pack of hand poses (.npz) for the hand's network")
    one.add_argument(
        "--pictures", metavar="DIR", help="shards of `openhmr lab synth images --split train` (image network)"
    )
    one.add_argument("--validation", metavar="DIR", help="shards of --split validation (image network)")
    one.add_argument("--out", type=Path, required=True, metavar="DIR", help="run folder")
    add_device(one)
    one.set_defaults(run=train)
