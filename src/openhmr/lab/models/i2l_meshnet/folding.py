"""Convolution, batch normalisation, addition and ReLU as one step; evaluating, the normalisation is folded
into the weights."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Folded = tuple[Tensor, Tensor]


def conv_norm(
    x: Tensor, conv: nn.Conv2d, norm: nn.BatchNorm2d, add: Tensor | None = None, relu: bool = True
) -> Tensor:
    """``relu(norm(conv(x)) + add)``. Evaluating without gradients, folded weights are kept until a parameter
    changes."""
    if norm.training:
        y = norm(conv(x))
        y = y if add is None else y.add_(add)
        return y.relu_() if relu else y
    if not _cacheable(x, conv.weight):
        weight, bias = _fold(conv, norm)
        y = F.conv2d(x, weight, bias, conv.stride, conv.padding)
        y = y if add is None else y + add
        return torch.relu(y) if relu else y
    x = x.contiguous(memory_format=torch.channels_last)
    geometry = list(cast(tuple[int, ...], conv.padding)), list(conv.stride), [1, 1], 1
    weight, bias = kept(norm, conv, lambda: _packed(_fold(conv, norm), geometry, x))
    if add is None:
        return torch.ops.mkldnn._convolution_pointwise(
            x, weight, bias, *geometry, "relu" if relu else "none", [], ""
        )
    return torch.ops.mkldnn._convolution_pointwise.binary(
        x, add, weight, bias, *geometry, "add", None, "relu" if relu else None, [], None
    )


def deconv_phases(x: Tensor, conv: nn.ConvTranspose2d, norm: nn.BatchNorm2d) -> Tensor:
    """``relu(norm(conv(x)))`` of a 4x4 transposed convolution with stride 2, evaluating: ``(B,C,h,w) ->
    (B,h+1,w+1,2,2,C')``.

    Ours: row ``2i+a`` of the result meets two of the four kernel rows only, so a 2x2 convolution with four
    times the channels gives it at place ``[i+a, j+b, a, b]``; places outside are of no use. Nothing is summed
    that is not needed.
    """

    def fold() -> Folded:
        scale, bias = _scale(norm)
        taps = torch.tensor([[3, 1], [2, 0]], device=x.device)
        weight = (conv.weight * scale[:, None, None])[:, :, taps][..., taps]  # (C,C',a,u,b,v)
        return weight.permute(2, 4, 1, 0, 3, 5).flatten(0, 2), bias.repeat(4)

    if _cacheable(x, conv.weight):
        geometry = [1, 1], [1, 1], [1, 1], 1
        x = x.contiguous(memory_format=torch.channels_last)
        weight, bias = kept(norm, conv, lambda: _packed(fold(), geometry, x))
        y = torch.ops.mkldnn._convolution_pointwise(x, weight, bias, *geometry, "relu", [], "")
    else:
        y = torch.relu(F.conv2d(x, *fold(), padding=1))
    return y.permute(0, 2, 3, 1).unflatten(-1, (2, 2, -1))


def join_phases(y: Tensor) -> Tensor:
    """What :func:`deconv_phases` gives, in order: ``(B,h+1,w+1,2,2,C) -> (B,C,2h,2w)``."""
    rows = [
        torch.stack([y[:, a : a + y.shape[1] - 1, b : b + y.shape[2] - 1, a, b] for b in (0, 1)], 3)
        for a in (0, 1)
    ]
    return torch.stack(rows, 2).flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)


def kept(owner: nn.Module, conv: nn.Module, make) -> Folded:  # type: ignore[no-untyped-def]
    """``make()``, remembered by ``owner`` (a normalisation) until a parameter or statistic of the two modules
    changes."""
    tensors = (*owner.parameters(), *owner.buffers(), *conv.parameters())
    state = tuple((t.data_ptr(), t._version) for t in tensors)
    found = owner.__dict__.get("_kept")
    if found is None or found[0] != state:
        found = owner.__dict__["_kept"] = state, make()
    return cast(Folded, found[1])


def _cacheable(x: Tensor, weight: Tensor) -> bool:
    # An optimised graph or an exported one folds by itself; oneDNN's packed weights live on the CPU.
    if torch.compiler.is_compiling() or torch.is_grad_enabled() or weight.is_inference():
        return False
    return (
        x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and torch.backends.mkldnn.is_available()
    )


def _scale(norm: nn.BatchNorm2d) -> Folded:
    mean, var = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    scale = norm.weight * (var + norm.eps).rsqrt()
    return scale, norm.bias - mean * scale


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> Folded:
    scale, bias = _scale(norm)
    return conv.weight * scale[:, None, None, None], bias


def _packed(folded: Folded, geometry: tuple[list[int], list[int], list[int], int], x: Tensor) -> Folded:
    with torch.no_grad():
        weight, bias = (t.detach().contiguous() for t in folded)
        return torch.ops.mkldnn._reorder_convolution_weight(weight, *geometry, list(x.shape)), bias
