"""The recorded networks' weights, drawn as the recordings drew them: each tensor from a generator seeded by
its name."""

import zlib

import numpy as np
import torch
from torch import nn


def draw(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """Gain 1; matrices of another gain are multiples."""
    n = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape)
    if len(shape) >= 2:
        return n / np.sqrt(np.prod(shape[1:]))
    if key.endswith("running_mean"):
        return 0.1 * n
    if key.endswith("running_var"):
        return 1 + 0.1 * abs(n)
    return 1 + 0.1 * n if key.endswith("weight") else 0.1 * n


@torch.no_grad()
def fill(module: nn.Module, prefix: str = "") -> None:
    """Overwrite ``module``, whose state_dict keys follow ``prefix`` in the whole network, with weights of
    gain 1."""
    for key, value in module.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.as_tensor(draw(prefix + key, tuple(value.shape)).astype(np.float32)))
        else:
            value.zero_()


@torch.no_grad()
def scale_matrices(module: nn.Module, gain: float) -> None:
    for value in module.parameters():
        if value.ndim >= 2:
            value.mul_(gain)
