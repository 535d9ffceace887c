"""``openhmr bodies``: work with body models."""

import argparse
from typing import Any

from openhmr.errors import InputError


def add_command(commands: Any) -> None:
    bodies = commands.add_parser(
        "bodies", help="convert SMPL and MANO files", description="Work with body models."
    )
    body_commands = bodies.add_subparsers(metavar="COMMAND", required=True)
    convert = body_commands.add_parser(
        "convert", help="SMPL .pkl/.npz or MANO .pkl to .npz", description="Convert a body model."
    )
    convert.add_argument("source", metavar="IN", help="SMPL .pkl or .npz, or MANO .pkl")
    convert.add_argument("target", metavar="OUT", help="file to write, .npz")
    convert.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    from openhmr.bodies.readers import convert

    try:
        body = convert(options.source, options.target)
    except OSError as error:
        raise InputError(
            f"{options.target} cannot be written ({error.strerror}); choose another file"
        ) from None
    print(f"{options.target}: {body.num_vertices} vertices, {body.num_joints} joints, {body.num_betas} betas")
