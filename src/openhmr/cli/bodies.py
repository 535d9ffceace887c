"""``openhmr bodies``: work with body models."""

import argparse
from typing import Any

from openhmr.arguments import regressor
from openhmr.errors import InputError

_EXAMPLES = """examples:
  openhmr bodies convert SMPL_NEUTRAL.pkl smpl.npz
  openhmr bodies convert SMPL_NEUTRAL.pkl smpl.npz --regressor human36=J_regressor_h36m_correct.npy"""


def add_command(commands: Any) -> None:
    bodies = commands.add_parser(
        "bodies", help="convert SMPL and MANO files", description="Work with body models."
    )
    body_commands = bodies.add_subparsers(metavar="COMMAND", required=True)
    convert = body_commands.add_parser(
        "convert",
        help="SMPL .pkl/.npz or MANO .pkl to .npz",
        description="Convert a body model.",
        epilog=_EXAMPLES,
    )
    convert.add_argument("source", metavar="IN", help="SMPL .pkl or .npz, or MANO .pkl")
    convert.add_argument("target", metavar="OUT", help="file to write, .npz")
    convert.add_argument(
        "--regressor",
        type=regressor,
        action="append",
        default=[],
        metavar="NAME=FILE.npy",
        help="add where the joints of a set lie, such as human36 or coco; networks of these joints need it",
    )
    convert.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    from openhmr.bodies.readers import convert

    try:
        body = convert(options.source, options.target, dict(options.regressor))
    except OSError as error:
        raise InputError(
            f"{options.target} cannot be written ({error.strerror}); choose another file"
        ) from None
    print(f"{options.target}: {body.num_vertices} vertices, {body.num_joints} joints, {body.num_betas} betas")
