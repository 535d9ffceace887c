"""The device a user names on the command line, and the processes that torchrun starts."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import distributed

from openhmr.errors import InputError


def read_device(name: str) -> torch.device:
    """The device ``name`` (``cpu``, ``cuda``, ``cuda:1``, ``mps``). Raises :class:`InputError` if this
    machine cannot compute on it."""
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except Exception:  # every backend fails in its own way
        usable = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        usable += ["mps"] if torch.backends.mps.is_available() else []
        raise InputError(
            f"device {name!r} cannot be used here; give --device one of {', '.join(usable)}"
        ) from None
    return device


@contextmanager
def process_group(name: str) -> Iterator[torch.device]:
    """The device ``name``; under torchrun joined with the other processes, each then with a GPU of its own
    where there are any."""
    if "LOCAL_RANK" in os.environ:
        gpu = torch.cuda.is_available()
        # The others wait while the first evaluates.
        distributed.init_process_group("nccl" if gpu else "gloo", timeout=timedelta(hours=12))
        if gpu:
            name = f"cuda:{os.environ['LOCAL_RANK']}"
    try:
        device = read_device(name)
        if device.type == "cuda" and distributed.is_initialized():
            torch.cuda.set_device(device)
        yield device
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()


def rank_and_world() -> tuple[int, int]:
    """This process's rank, and how many train together."""
    return (distributed.get_rank(), distributed.get_world_size()) if distributed.is_initialized() else (0, 1)


def is_first() -> bool:
    """Whether this process is the one that writes."""
    return rank_and_world()[0] == 0
