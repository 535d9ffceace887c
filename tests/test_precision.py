"""Precision and threads follow the hardware, which tests pass in as arguments."""

import logging

import pytest
import torch

from openhmr.lab.device import compute_threads, loading_workers
from openhmr.lab.precision import FLOAT32, choose_precision, has_bfloat16


@pytest.mark.parametrize(("hardware", "name"), [(True, "bf16"), (False, "float32")])
def test_auto_follows_the_hardware_and_says_so(
    hardware: bool, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    precision = choose_precision("auto", "cpu", hardware)
    with caplog.at_level(logging.INFO, "openhmr.lab"):
        precision.announce()
    has = "has" if hardware else "has no"
    assert precision.name == name
    assert f"computing in {name}; this cpu {has} bfloat16 instructions" in caplog.text
    with precision.autocast():
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == (torch.bfloat16 if hardware else torch.float32)
    with precision.autocast(enabled=False):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


@pytest.mark.parametrize("wish", ["float32", "bf16", "fp16"])
@pytest.mark.parametrize("hardware", [True, False])
def test_a_wish_is_granted(wish, hardware: bool, caplog: pytest.LogCaptureFixture) -> None:
    precision = choose_precision(wish, "cpu", hardware)
    precision.announce()
    assert precision.name == wish
    slow = "up to 100 times slower" in caplog.text
    assert slow is (wish == "bf16" and not hardware)


def test_this_machine_is_asked_by_default() -> None:
    assert choose_precision("auto", "cpu").name == ("bf16" if has_bfloat16("cpu") else "float32")
    assert FLOAT32.name == "float32"


@pytest.mark.parametrize(
    ("cores", "environment", "threads"),
    [
        (2, {}, 2),
        (16, {}, 16),
        (128, {}, 16),
        (16, {"LOCAL_WORLD_SIZE": "4"}, 4),
        (2, {"LOCAL_WORLD_SIZE": "8"}, 1),
        (16, {"OMP_NUM_THREADS": "3"}, None),
    ],
)
def test_threads(cores: int, environment: dict[str, str], threads: int | None) -> None:
    assert compute_threads(cores, environment) == threads


@pytest.mark.parametrize(
    ("wanted", "device", "cores", "workers"),
    [(16, "cpu", 2, 1), (16, "cpu", 16, 8), (16, "cuda", 16, 16), (30, "cuda", 8, 8), (0, "cuda", 8, 0)],
)
def test_loading_workers(wanted: int, device: str, cores: int, workers: int) -> None:
    assert loading_workers(wanted, device, cores, {}) == workers
