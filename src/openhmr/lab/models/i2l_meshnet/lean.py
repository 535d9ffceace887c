"""Training steps of convolution stacks that keep half of the usual memory: a normalisation's result is computed again, not kept.

Ours, exact: of ``conv -> norm -> relu`` only what the convolution gave is kept, with the statistics; of a bottleneck's wide last
1x1 convolution not even that. Recomputing costs a few percent of the step, and statistics move once, as they should.
"""

from collections.abc import Sequence
from typing import Any, TypeGuard, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from openhmr.lab.models.layers import fast_linear

# mypy: disable-error-code="no-untyped-def, override"

Conv = nn.Conv2d | nn.ConvTranspose2d
Step = tuple[Conv, nn.BatchNorm2d]
Residual = tuple[Sequence[Step], Step | None]
Statistics = tuple[Tensor, Tensor]


def lean_stage(x: Tensor, blocks: Sequence[Residual]) -> Tensor:
    """Residual blocks in a row, each ``relu(steps(x) + shortcut(x))`` with a ReLU between its steps; a shortcut of ``None`` is the
    identity. Training mode only."""
    return _Stage.apply(x, blocks, *_parameters([step for block in blocks for step in _all_steps(block)]))


def lean_profiles(x: Tensor, steps: Sequence[Step]) -> tuple[Tensor, Tensor]:
    """Means over the rows and over the columns of ``relu(steps(x))``, ``(B,C,W)`` and ``(B,C,H)``. Training mode only."""
    return _Profiles.apply(x, steps, *_parameters(steps))


def lean_product(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``x W' + b`` of ``x (...,f)`` and ``weight (g,f)`` with gradients by the quickest kernels, too."""
    return _Product.apply(x, weight, bias)


def usable(x: Tensor) -> bool:
    """Whether these functions apply: gradients are wanted, in one precision."""
    kind = "cpu" if x.is_meta else x.device.type
    return torch.is_grad_enabled() and not torch.is_autocast_enabled(kind) and not torch.compiler.is_compiling()


class _Stage(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, blocks: Sequence[Residual], *_):
        ctx.blocks, ctx.statistics, kept = blocks, [], [x]
        for steps, shortcut in blocks:
            y, raws, statistics = _run(x, steps)
            side = x
            if shortcut is not None:
                side, _raw, of_side = _run(x, [shortcut])
                statistics += of_side
            x = y.add_(side).relu_()
            # The wide output of a last 1x1 convolution is worth more than its computation.
            kept += raws[:-1] if _is_product(steps[-1][0]) else raws
            ctx.statistics.append(statistics)
        ctx.save_for_backward(*kept, x)
        return x

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor):
        x, *kept, last = ctx.saved_tensors
        again = []
        for (steps, shortcut), statistics in zip(ctx.blocks, ctx.statistics, strict=True):
            count = len(steps) - _is_product(steps[-1][0])
            raws, kept = kept[:count], kept[count:]
            if count < len(steps):
                raws.append(_convolve(_activate(raws[-1], steps[-2][1], statistics[-2 - (shortcut is not None)]), steps[-1][0]))
            side = None if shortcut is None else _convolve(x, shortcut[0])
            again.append((x, raws, side))
            if len(again) < len(ctx.blocks):
                y = _normalise(raws[-1], steps[-1][1], statistics[len(steps) - 1])
                x = y.add_(x if side is None else _normalise(side, shortcut[1], statistics[-1])).relu_()
        return _unwind(ctx, gradient, last, again)


def _unwind(ctx, gradient: Tensor, y: Tensor, again: list[tuple[Tensor, list[Tensor], Tensor | None]]):
    """Gradients of a stage from its blocks' inputs and convolutions, which go as they are used."""
    gradients: list[Tensor] = []
    for (steps, shortcut), statistics in zip(reversed(ctx.blocks), reversed(ctx.statistics), strict=True):
        x, raws, side = again.pop()
        needed = bool(again) or ctx.needs_input_grad[0]
        through = torch.ops.aten.threshold_backward(gradient, y, 0)
        gradient, of_block = _reverse(through, x, steps, raws, statistics, needed)
        if shortcut is not None:
            through, of_shortcut = _reverse(through, x, [shortcut], [cast(Tensor, side)], statistics[-1:], needed)
            of_block += of_shortcut
        if needed:
            gradient.add_(through)
        gradients, y = of_block + gradients, x
    return gradient if ctx.needs_input_grad[0] else None, None, *gradients


class _Profiles(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, steps: Sequence[Step], *_):
        y, raws, statistics = _run(x, steps)
        y.relu_()
        ctx.steps, ctx.statistics = steps, statistics
        ctx.save_for_backward(x, *raws)
        return y.mean(2), y.mean(3)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_columns: Tensor, grad_rows: Tensor):
        x, *raws = ctx.saved_tensors
        y = _activate(raws[-1], ctx.steps[-1][1], ctx.statistics[-1])
        columns, rows = grad_columns.transpose(1, 2) / y.shape[2], grad_rows.transpose(1, 2) / y.shape[3]
        gradient = (columns.contiguous()[:, None] + rows.contiguous()[:, :, None]).permute(0, 3, 1, 2)
        gradient = torch.ops.aten.threshold_backward(gradient, y, 0)
        grad_x, gradients = _reverse(gradient, x, ctx.steps, raws, ctx.statistics, ctx.needs_input_grad[0])
        return grad_x, None, *gradients


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor):
        ctx.save_for_backward(x, weight)
        return fast_linear(x.flatten(0, -2), weight, bias).view(*x.shape[:-1], -1)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor):
        x, weight = ctx.saved_tensors
        g = gradient.flatten(0, -2)
        return fast_linear(g, weight.t()).view_as(x), _weight_gradient(g, x.flatten(0, -2)), g.sum(0)


def _all_steps(block: Residual) -> list[Step]:
    return [*block[0], *([block[1]] if block[1] else [])]


def _parameters(steps: Sequence[Step]) -> list[Tensor]:
    return [p for conv, norm in steps for p in (conv.weight, norm.weight, norm.bias)]


def _run(x: Tensor, steps: Sequence[Step]) -> tuple[Tensor, list[Tensor], list[Statistics]]:
    """The last step's normalised output (no ReLU), all convolutions' outputs and batch statistics; updates the running ones."""
    raws: list[Tensor] = []
    statistics: list[Statistics] = []
    for i, (conv, norm) in enumerate(steps):
        raw = _convolve(x.relu_() if i else x, conv)
        buffers = norm.running_mean, norm.running_var, True, cast(float, norm.momentum), norm.eps
        x, mean, rstd = torch.native_batch_norm(raw, norm.weight, norm.bias, *buffers)
        cast(Tensor, norm.num_batches_tracked).add_(1)
        raws.append(raw)
        statistics.append((mean, rstd))
    return x, raws, statistics


def _activate(raw: Tensor, norm: nn.BatchNorm2d, statistics: Statistics) -> Tensor:
    return _normalise(raw, norm, statistics).relu_()


def _normalise(raw: Tensor, norm: nn.BatchNorm2d, statistics: Statistics) -> Tensor:
    mean, rstd = statistics
    var = rstd.square().reciprocal() - norm.eps
    return torch.native_batch_norm(raw, norm.weight, norm.bias, mean, var, False, 0.0, norm.eps)[0]


def _reverse(
    gradient: Tensor, x: Tensor, steps: Sequence[Step], raws: Sequence[Tensor], statistics: list[Statistics], needed: bool
) -> tuple[Tensor, list[Tensor]]:
    """Gradients of the input and of the parameters from that of :func:`_run`'s output."""
    gradients: list[Tensor] = []
    for i in reversed(range(len(steps))):
        (conv, norm), raw = steps[i], raws[i]
        given = _activate(raws[i - 1], steps[i - 1][1], statistics[i - 1]) if i else x
        gradient, *of_norm = torch.ops.aten.native_batch_norm_backward(
            gradient, raw, norm.weight, None, None, *statistics[i], True, norm.eps, [True] * 3
        )
        gradient, of_weight = _convolve_back(gradient, given, conv, i > 0 or needed)
        if i:
            gradient = torch.ops.aten.threshold_backward(gradient, given, 0)
        gradients = [of_weight, *of_norm, *gradients]
    return gradient, gradients


def _is_product(conv: Conv) -> bool:
    return conv.kernel_size == (1, 1) and isinstance(conv, nn.Conv2d)


def _is_wide(conv: Conv) -> TypeGuard[nn.ConvTranspose2d]:
    """A transposed convolution with many inputs: a matrix product with overlapping patches is twice as fast."""
    return isinstance(conv, nn.ConvTranspose2d) and conv.in_channels >= 4 * conv.out_channels


def _patches(conv: nn.ConvTranspose2d) -> dict[str, Any]:
    return {"kernel_size": conv.kernel_size, "padding": conv.padding, "stride": conv.stride}


def _weight_gradient(gradient: Tensor, x: Tensor) -> Tensor:
    """``gradient' x``; the quicker of the two orders has the narrower matrix in front."""
    if gradient.shape[1] < x.shape[1]:
        return fast_linear(gradient.t(), x.t())
    return fast_linear(x.t(), gradient.t()).t()


def _rows(x: Tensor) -> Tensor:
    """``(B,C,h,w) -> (B h w, C)``, a view of features whose channels are innermost."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _features(rows: Tensor, like: Tensor) -> Tensor:
    return rows.view(len(like), *like.shape[2:], -1).permute(0, 3, 1, 2)


def _convolve(x: Tensor, conv: Conv) -> Tensor:
    if _is_wide(conv):
        size = [conv.stride[0] * n for n in x.shape[2:]]
        patches = fast_linear(_rows(x), conv.weight.flatten(1).t()).unflatten(0, (len(x), -1)).transpose(1, 2)
        return F.fold(patches, size, **_patches(conv)).contiguous(memory_format=torch.channels_last)
    if not _is_product(conv):
        return cast(Tensor, conv(x))
    # PyTorch has slow kernels for some 1x1 convolutions.
    x = x[:, :, :: conv.stride[0], :: conv.stride[1]]
    return _features(fast_linear(_rows(x), conv.weight.flatten(1)), x)


def _convolve_back(gradient: Tensor, x: Tensor, conv: Conv, needed: bool) -> tuple[Tensor, Tensor]:
    """Gradients of the input (if ``needed``) and of the weight."""
    if _is_wide(conv):
        patches = F.unfold(gradient, **_patches(conv)).transpose(1, 2).flatten(0, 1)
        of_weight = fast_linear(_rows(x).t(), patches.t()).view_as(conv.weight)
        return _features(fast_linear(patches, conv.weight.flatten(1)), x) if needed else x, of_weight
    if not _is_product(conv):
        geometry = conv.stride, conv.padding, conv.dilation, isinstance(conv, nn.ConvTranspose2d), [0, 0], 1
        grad_x, of_weight, _ = torch.ops.aten.convolution_backward(gradient, x, conv.weight, None, *geometry, [needed, True, False])
        return grad_x, of_weight
    seen = x[:, :, :: conv.stride[0], :: conv.stride[1]]
    g, rows = _rows(gradient), _rows(seen)
    of_weight = _weight_gradient(g, rows)
    if not needed:
        return x, of_weight[..., None, None]
    grad_x = _features(fast_linear(g, conv.weight.flatten(1).t()), seen)
    if seen.shape != x.shape:
        grad_x, small = torch.zeros_like(x), grad_x
        grad_x[:, :, :: conv.stride[0], :: conv.stride[1]] = small
    return grad_x, of_weight[..., None, None]
