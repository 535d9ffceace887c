"""The device a run computes on, the cores it shares, and the processes that torchrun starts."""

import os
from collections.abc import Iterator, Mapping
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
        raise InputError(f"device {name!r} cannot be used here; choose one of {', '.join(usable)}") from None
    return device


@contextmanager
def process_group(device: torch.device) -> Iterator[torch.device]:
    """``device``; under torchrun, joined with the other processes, each has a GPU of its own where there are
    any."""
    if "LOCAL_RANK" in os.environ:
        gpu = torch.cuda.is_available()
        # The others wait while the first evaluates.
        distributed.init_process_group("nccl" if gpu else "gloo", timeout=timedelta(hours=12))
        if gpu:
            device = read_device(f"cuda:{os.environ['LOCAL_RANK']}")
            torch.cuda.set_device(device)
    try:
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


def cores() -> int:
    """CPU cores that this process may use, which on a shared machine are fewer than it has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def compute_threads(available: int, environment: Mapping[str, str] = os.environ) -> int | None:
    """Threads of an operation on the CPU: one a core of this process's share, at most 16, beyond which the
    networks here do not get faster; None where ``OMP_NUM_THREADS`` has decided."""
    if "OMP_NUM_THREADS" in environment:
        return None
    return max(1, min(16, available // int(environment.get("LOCAL_WORLD_SIZE", "1"))))


def loading_workers(
    wanted: int, device_type: str, available: int, environment: Mapping[str, str] = os.environ
) -> int:
    """Processes that load data, of ``wanted``: at most one a core beside a GPU, one for two cores where the
    CPU trains too, so 1 of 2 cores and 8 of 16."""
    share = available // int(environment.get("LOCAL_WORLD_SIZE", "1"))
    return min(wanted, max(1, share if device_type == "cuda" else share // 2))


def use_cores() -> None:
    """Let torch use :func:`compute_threads`. Called once, where a command starts."""
    threads = compute_threads(cores())
    if threads is not None:
        torch.set_num_threads(threads)
