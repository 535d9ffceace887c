"""The device a user names on the command line."""

import torch

from openhmr.errors import InputError


def read_device(name: str) -> torch.device:
    """The device ``name`` (``cpu``, ``cuda``, ``cuda:1``, ``mps``). Raises :class:`InputError` if this machine cannot compute on it."""
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except Exception:  # every backend fails in its own way
        usable = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        usable += ["mps"] if torch.backends.mps.is_available() else []
        raise InputError(f"device {name!r} cannot be used here; give --device one of {', '.join(usable)}") from None
    return device
