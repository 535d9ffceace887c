"""Open human mesh recovery: a 3D body mesh from a 2D pose, on a plain CPU."""

from typing import TYPE_CHECKING

from openhmr.errors import InputError

if TYPE_CHECKING:
    from openhmr.predict.lift import Lifter

__all__ = ["InputError", "load"]


def load(name: str) -> "Lifter":
    """The shipped model ``name`` (``"pose2mesh-coco"`` or ``"pose2mesh-human36"``) with the open body, ready to call.

    Raises :class:`InputError` that lists the shipped models for any other name.
    """
    from importlib.resources import as_file, files

    weights = files("openhmr") / "assets" / "weights"
    present = [f.name for f in weights.iterdir()] if weights.is_dir() else []
    shipped = sorted(file.removesuffix(".onnx") for file in present if file.endswith(".onnx"))
    if name not in shipped:
        raise InputError(f"there is no model {name!r}; shipped are {', '.join(shipped) or 'none'}: load one of these")
    from openhmr.bodies.open_body import open_body
    from openhmr.predict.lift import Lifter

    with as_file(weights / f"{name}.onnx") as path:
        return Lifter(path, open_body())
