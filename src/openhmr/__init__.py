"""openhmr: open human mesh recovery. ``openhmr.load("pose2mesh-coco")(pose2d)`` turns a 2D pose into a body mesh."""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from openhmr.errors import InputError

if TYPE_CHECKING:
    from openhmr.bodies.body import Body as Body
    from openhmr.predict.lift import Lifter

__all__ = ["InputError", "__version__", "load", "open_body"]
__version__ = version("openhmr")


def load(name: str) -> "Lifter":
    """The shipped model ``name``, ready to run: ``pose2mesh-coco`` or ``pose2mesh-human36``."""
    from openhmr.predict.lift import load as load_lifter

    return load_lifter(name)


def open_body(level: str = "full") -> "Body":
    """The body that ships, at level ``render``, ``full`` or ``coarse``."""
    from openhmr.bodies.open_body import open_body as read

    return read(level)


def __dir__() -> list[Any]:
    return sorted(__all__)
