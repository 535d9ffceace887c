"""Open human mesh recovery: a 3D body mesh from a photo or a 2D pose, on a plain CPU."""

from typing import TYPE_CHECKING, Literal, overload

from openhmr.errors import InputError

if TYPE_CHECKING:
    from openhmr.predict.lift import Lifter
    from openhmr.predict.recover import Recoverer

__all__ = ["InputError", "load"]


@overload
def load(name: Literal["i2l-body"]) -> "Recoverer": ...  # type: ignore[overload-overlap]
@overload
def load(name: str) -> "Lifter": ...
def load(name: str) -> "Lifter | Recoverer":
    """The shipped model ``name`` with the open body, ready to call: ``"i2l-body"`` takes photos,
    ``"pose2mesh-coco"`` and ``"pose2mesh-human36"`` take 2D poses.

    Raises :class:`InputError` that lists the shipped models for any other name.
    """
    from importlib.resources import as_file, files

    weights = files("openhmr") / "assets" / "weights"
    present = [f.name for f in weights.iterdir()] if weights.is_dir() else []
    shipped = sorted(file.removesuffix(".onnx") for file in present if file.endswith(".onnx"))
    if name not in shipped:
        raise InputError(
            f"there is no model {name!r}; shipped are {', '.join(shipped) or 'none'}: load one of these"
        )
    from openhmr.bodies.shipped import open_body
    from openhmr.predict.lift import Lifter
    from openhmr.predict.recover import Recoverer

    with as_file(weights / f"{name}.onnx") as path:
        return Recoverer(path, open_body()) if name.startswith("i2l") else Lifter(path, open_body())
