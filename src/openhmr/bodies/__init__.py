"""Bodies: SMPL's arrays, where they come from, and skinning."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openhmr.bodies.body import Body, Level
    from openhmr.bodies.readers import read_body
    from openhmr.bodies.shipped import open_body, open_hand
    from openhmr.bodies.skinning import skin

_HOMES = {
    "Body": "body",
    "Level": "body",
    "open_body": "shipped",
    "open_hand": "shipped",
    "read_body": "readers",
    "skin": "skinning",
}
__all__ = ["Body", "Level", "open_body", "open_hand", "read_body", "skin"]


def __getattr__(name: str) -> Any:
    """Public names are imported when first used, so that none costs the others time."""
    if name not in _HOMES:
        raise AttributeError(f"module 'openhmr.bodies' has no attribute {name!r}")
    return getattr(import_module(f"openhmr.bodies.{_HOMES[name]}"), name)
