"""``openhmr lab configs``: every preset with one line."""

import argparse
from typing import Any

from openhmr.lab.config import PRESETS

GROUPS = {
    "compact": "Compact models, on open data",
    "posenet": "Pose2Mesh, stage 1",
    "pose2mesh": "Pose2Mesh, stage 2",
    "i2l_lixel": "I2L-MeshNet, lixel stage",
    "i2l_param": "I2L-MeshNet, param stage",
}


def configs(args: argparse.Namespace) -> None:
    """Print every preset with the first line of its file, by group."""
    files = sorted(PRESETS.glob("*.yml"))
    for prefix, title in GROUPS.items():
        print(title)
        for file in files:
            if file.name.startswith(f"{prefix}_"):
                print(f"  {file.stem:48} {file.read_text().splitlines()[0].lstrip('# ')}")


def add_commands(commands: Any) -> None:
    commands.add_parser("configs", help="list every preset with one line").set_defaults(run=configs)
