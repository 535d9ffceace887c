"""Open human mesh recovery: a 3D body mesh from a photo or a 2D pose, on a plain CPU.

``load`` gives a model; it returns :class:`People`: meshes before a :class:`Camera`.
"""

from typing import TYPE_CHECKING, Any

from openhmr.errors import InputError, NothingFound
from openhmr.models import available, load

if TYPE_CHECKING:
    from openhmr.bodies.body import Body
    from openhmr.camera import Camera
    from openhmr.io.images import read_photo
    from openhmr.keypoints import Keypoints
    from openhmr.people import Frame, People, Rig
    from openhmr.pipeline import Picture, Pipeline
    from openhmr.predict.lift import Lifter
    from openhmr.predict.recover import Recoverer

    __version__: str

_HOMES = {
    "Body": "bodies.body",
    "Camera": "camera",
    "Frame": "people",
    "Keypoints": "keypoints",
    "Lifter": "predict.lift",
    "People": "people",
    "Picture": "pipeline",
    "Pipeline": "pipeline",
    "Recoverer": "predict.recover",
    "Rig": "people",
    "read_photo": "io.images",
}
__all__ = [
    "Body",
    "Camera",
    "Frame",
    "InputError",
    "Keypoints",
    "Lifter",
    "NothingFound",
    "People",
    "Picture",
    "Pipeline",
    "Recoverer",
    "Rig",
    "__version__",
    "available",
    "load",
    "read_photo",
]


def __getattr__(name: str) -> Any:
    """Public names are imported when first used: `import openhmr` alone takes milliseconds."""
    if name == "__version__":
        from importlib.metadata import version

        return version("openhmr")
    if name not in _HOMES:
        raise AttributeError(f"module 'openhmr' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"openhmr.{_HOMES[name]}"), name)
