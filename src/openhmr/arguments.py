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
