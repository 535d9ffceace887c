"""The command line: names to objects. Nothing else in the package prints.

This file is the entry point and imports little, so that ``--help`` is quick.
"""

import contextlib
import importlib
import logging
import re
import signal
import sys
from typing import Any

from openhmr.arguments import Parser, VersionAction
from openhmr.cli import batch, bodies, export, lift, recover, serve, skeletons, video
from openhmr.cli.printing import printable
from openhmr.errors import InputError

_EXAMPLES = """examples:
  openhmr recover photo.jpg --out out/photo
  openhmr lift examples/coco_skier.json --out out/skier
  openhmr video dance.mp4 --out out/dance
  openhmr export out/photo --formats glb,bvh,angles --out out/rig
  openhmr batch photos/ --out out/batch
  openhmr skeletons halpe26 --out halpe26.png
  openhmr bodies convert SMPL_NEUTRAL.pkl smpl.npz
  openhmr serve
  openhmr lab --help"""


class _Printable(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def main(argv: list[str] | None = None) -> int:
    """Run the command ``argv`` (default: of the process). Returns the exit code: 0, or 2 after ``error: ...``
    on stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Printable("%(levelname)s: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.addLevelName(logging.WARNING, "warning")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a path that the terminal cannot show must not end in a traceback
            stream.reconfigure(errors="backslashreplace")
    arguments = _with_negatives(sys.argv[1:] if argv is None else argv)
    try:
        _let_terminate()
        if arguments[:1] == ["lab"]:  # its own parser, which exists only with the train extra
            return _lab(arguments[1:])
        options = _parser().parse_args(arguments)
        options.run(options)
        return 0
    except InputError as error:
        print("error:", printable(" ".join(str(error).split())), file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 0
    except KeyboardInterrupt:
        print("interrupted; files that were complete before stay as they were", file=sys.stderr)
        return 130
    except OSError as error:  # a path too long, a full disk: what the system says, as one sentence
        where = printable(str(error.filename or "output")[:80])
        print(f"error: {where}: {error.strerror}; choose another path or free some space", file=sys.stderr)
        return 2


def _let_terminate() -> None:
    """A terminated process cleans up like an interrupted one."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with contextlib.suppress(ValueError):  # another thread than the main one may not
        signal.signal(signal.SIGTERM, stop)


def _with_negatives(arguments: list[str]) -> list[str]:
    """``--box -10,5,80,200`` as ``--box=-10,5,80,200``: argparse takes a list that begins with a minus for an
    option."""
    out: list[str] = []
    for argument in arguments:
        if out and out[-1] in ("--box", "--focal") and re.match(r"-(\d|\.|inf)", argument):
            out[-1] += f"={argument}"
        else:
            out.append(argument)
    return out


def _parser() -> Parser:
    parser = Parser(prog="openhmr", description="Open human mesh recovery.", epilog=_EXAMPLES)
    parser.add_argument("--version", action=VersionAction)
    commands: Any = parser.add_subparsers(metavar="COMMAND", required=True)
    recover.add_command(commands)
    lift.add_command(commands)
    video.add_command(commands)
    export.add_command(commands)
    batch.add_command(commands)
    skeletons.add_command(commands)
    bodies.add_command(commands)
    serve.add_command(commands)
    commands.add_parser("lab", help="train, test and bake (needs the train extra)", add_help=False)
    return parser


def _lab(arguments: list[str]) -> int:
    try:
        lab = importlib.import_module("openhmr.lab.cli")
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("openhmr."):
            raise
        raise InputError(
            f"`openhmr lab` needs {error.name}, which is not installed; run: pip install 'openhmr[train]'"
        ) from None
    return int(lab.main(arguments) or 0)
