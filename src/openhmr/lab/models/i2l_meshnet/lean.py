"""Training steps of convolution stacks that keep half of the usual memory: a normalisation's result is computed again, not kept.

Ours, exact: of ``conv -> norm -> relu`` only what the convolution gave is kept, with the statistics; of a bottleneck's wide last
1x1 convolution not even that. Recomputing costs a few percent of the step, and statistics move once, as they should.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

# mypy: disable-error-code="no-untyped-def, override"

Conv = nn.Conv2d | nn.ConvTranspose2d
Step = tuple[Conv, nn.BatchNorm2d]
Statistics = tuple[Tensor, Tensor]


def lean_block(x: Tensor, steps: Sequence[Step], shortcut: Step | None) -> Tensor:
    """``relu(steps(x) + shortcut(x))`` with a ReLU between the steps; ``shortcut=None`` is the identity. Training mode only."""
    return _Block.apply(x, steps, shortcut, *_parameters([*steps, *([shortcut] if shortcut else [])]))


def lean_profiles(x: Tensor, steps: Sequence[Step]) -> tuple[Tensor, Tensor]:
    """Means over the rows and over the columns of ``relu(steps(x))``, ``(B,C,W)`` and ``(B,C,H)``. Training mode only."""
    return _Profiles.apply(x, steps, *_parameters(steps))


def usable(x: Tensor) -> bool:
    """Whether the two functions apply: gradients are wanted, in one precision."""
    kind = "cpu" if x.is_meta else x.device.type
    return torch.is_grad_enabled() and not torch.is_autocast_enabled(kind) and not torch.compiler.is_compiling()


class _Block(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, steps: Sequence[Step], shortcut: Step | None, *_):
        y, raws, statistics = _run(x, steps)
        if shortcut is None:
            y += x
        else:
            side, _, side_statistics = _run(x, [shortcut])
            y += side
            statistics += side_statistics
        y.relu_()
        ctx.steps, ctx.shortcut, ctx.statistics = steps, shortcut, statistics
        # The wide output of a last 1x1 convolution is worth more than its computation.
        ctx.short = steps[-1][0].kernel_size == (1, 1)
        ctx.save_for_backward(x, y, *(raws[:-1] if ctx.short else raws))
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor):
        x, y, *raws = ctx.saved_tensors
        gradient = torch.ops.aten.threshold_backward(gradient, y, 0)
        raws = [*raws, None] if ctx.short else raws
        needed = ctx.needs_input_grad[0]
        grad_x, gradients = _reverse(gradient, x, ctx.steps, raws, ctx.statistics, needed)
        if ctx.shortcut is None:
            grad_x = grad_x + gradient if needed else None
        else:
            side, side_gradients = _reverse(gradient, x, [ctx.shortcut], [None], ctx.statistics[-1:], needed)
            grad_x = grad_x + side if needed else None
            gradients += side_gradients
        return grad_x, None, None, *gradients


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
        gradient = grad_columns[:, :, None] / y.shape[2] + grad_rows[..., None] / y.shape[3]
        gradient = torch.ops.aten.threshold_backward(gradient, y, 0)
        grad_x, gradients = _reverse(gradient, x, ctx.steps, raws, ctx.statistics, ctx.needs_input_grad[0])
        return grad_x, None, *gradients


def _parameters(steps: Sequence[Step]) -> list[Tensor]:
    return [p for conv, norm in steps for p in (conv.weight, norm.weight, norm.bias)]


def _run(x: Tensor, steps: Sequence[Step]) -> tuple[Tensor, list[Tensor], list[Statistics]]:
    """The last step's normalised output (no ReLU), all convolutions' outputs and batch statistics; updates the running ones."""
    raws, statistics = [], []
    for i, (conv, norm) in enumerate(steps):
        raw = conv(x.relu_() if i else x)
        buffers = norm.running_mean, norm.running_var, True, cast(float, norm.momentum), norm.eps
        x, mean, rstd = torch.native_batch_norm(raw, norm.weight, norm.bias, *buffers)
        cast(Tensor, norm.num_batches_tracked).add_(1)
        raws.append(raw)
        statistics.append((mean, rstd))
    return x, raws, statistics


def _activate(raw: Tensor, norm: nn.BatchNorm2d, statistics: Statistics) -> Tensor:
    mean, rstd = statistics
    var = rstd.square().reciprocal() - norm.eps
    return torch.native_batch_norm(raw, norm.weight, norm.bias, mean, var, False, 0.0, norm.eps)[0].relu_()


def _reverse(
    gradient: Tensor, x: Tensor, steps: Sequence[Step], raws: list[Tensor | None], statistics: list[Statistics], needed: bool
) -> tuple[Tensor, list[Tensor]]:
    """Gradients of the input and of the parameters from that of :func:`_run`'s output; outputs that are ``None`` are recomputed."""
    gradients: list[Tensor] = []
    for i in reversed(range(len(steps))):
        (conv, norm), raw = steps[i], raws[i]
        given = _activate(cast(Tensor, raws[i - 1]), steps[i - 1][1], statistics[i - 1]) if i else x
        raw = conv(given) if raw is None else raw
        gradient, *of_norm = torch.ops.aten.native_batch_norm_backward(
            gradient, raw, norm.weight, None, None, *statistics[i], True, norm.eps, [True] * 3
        )
        transposed = isinstance(conv, nn.ConvTranspose2d)
        geometry = conv.stride, conv.padding, conv.dilation, transposed, [0, 0], 1
        gradient, of_weight, _ = torch.ops.aten.convolution_backward(
            gradient, given, conv.weight, None, *geometry, [i > 0 or needed, True, False]
        )
        if i:
            gradient = torch.ops.aten.threshold_backward(gradient, given, 0)
        gradients = [of_weight, *of_norm, *gradients]
    return gradient, gradients
