"""What all commands share: the parser, and the types of its arguments."""

import argparse
from pathlib import Path
from typing import Any, NoReturn

from openhmr.errors import InputError


class Parser(argparse.ArgumentParser):
    """Keeps the lines of its examples, and reports wrong arguments as one sentence, like all bad input."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see `{self.prog} --help`")


def positive(text: str) -> int:
    """A whole number above 0."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is given, a whole number above 0 is needed")
    return int(text)


def folder(text: str) -> Path:
    """A folder for results; it need not exist."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty; name a folder for the results")
    return Path(text)


def box(text: str) -> list[float]:
    """``x,y,width,height`` in pixels."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 4:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not x,y,width,height in pixels, such as 280,45,219,347"
        )
    return numbers


def regressor(text: str) -> tuple[str, str]:
    """``NAME=FILE.npy``: the name of a joint set, and a file."""
    name, sign, path = text.partition("=")
    if not sign:
        raise argparse.ArgumentTypeError(f"{text!r} has no '='; write human36=FILE.npy or coco=FILE.npy")
    return name, path


class VersionAction(argparse.Action):
    """Looks the version up only when asked."""

    def __init__(self, option_strings: list[str], dest: str, **_: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, help="print the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print("openhmr", version("openhmr"))
        parser.exit()


def add_camera(parser: argparse.ArgumentParser, focal: str) -> None:
    """``--camera`` and ``--focal``, of which one may be given; ``focal`` says what is taken without them."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--camera",
        type=Path,
        metavar="FILE",
        help="calibrated camera: JSON, npz, OpenCV or Pose2Sim file with K, image_size and perhaps dist",
    )
    which.add_argument("--focal", type=float, metavar="PX", help=f"focal length in pixels (default: {focal})")
    parser.add_argument("--camera-name", metavar="NAME", help="which camera of a file that holds several")


def heights(text: str) -> list[float] | float:
    """Metres, one number or several with commas between them."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no height in metres, such as 1.82 or 1.82,1.65"
        ) from None
    return numbers[0] if len(numbers) == 1 else numbers


def add_height(parser: argparse.ArgumentParser) -> None:
    """``--height``."""
    parser.add_argument(
        "--height",
        type=heights,
        metavar="M",
        help="how tall the people are: fixes their size and distance; 1.82,1.65 for several, in their order",
    )


def add_model(parser: argparse.ArgumentParser) -> None:
    """``--model`` and ``--body``."""
    parser.add_argument("--model", type=Path, metavar="FILE", help="an .onnx file of `openhmr lab export`")
    parser.add_argument(
        "--body", type=Path, metavar="FILE", help="the body it was trained on (default: the open body)"
    )


def names(text: str) -> list[str]:
    """Words with commas between them."""
    return [word.strip() for word in text.split(",")]


def add_formats(parser: argparse.ArgumentParser, default: str) -> None:
    """``--formats``."""
    parser.add_argument(
        "--formats",
        type=names,
        metavar="LIST",
        default=names(default),
        help=f"of obj, glb, npz, ply, bvh, amass, trc, mot, joints, angles, jsonl (default: {default})",
    )


def add_output(parser: argparse.ArgumentParser) -> None:
    """``--out``, ``--formats``, ``--overwrite``, ``--no-pictures`` and ``--json``."""
    parser.add_argument(
        "--out", type=folder, metavar="DIR", required=True, help="folder for the results; made if missing"
    )
    add_formats(parser, "obj,glb,npz")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace files that openhmr did not write, too"
    )
    parser.add_argument(
        "--no-pictures", action="store_true", help="write meshes and numbers only, which is quicker"
    )
    parser.add_argument("--json", action="store_true", help="print a machine-readable summary")
