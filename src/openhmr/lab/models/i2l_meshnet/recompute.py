"""Training steps of convolution stacks that keep half of the usual memory: a normalisation's result is
computed again, not kept.

Ours, exact: of ``conv -> norm -> relu`` only what the convolution gave is kept, with the statistics. Of a
bottleneck's wide 1x1 convolutions not even that: their gradients need products of the input alone. Nor are
the outputs of a stage's blocks kept, but for the last one's. Statistics move once, as they should.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from openhmr.lab.models.layers import fast_linear

# mypy: disable-error-code="no-untyped-def, override"

Conv = nn.Conv2d | nn.ConvTranspose2d
Step = tuple[Conv, nn.BatchNorm2d]
Residual = tuple[Sequence[Step], Step | None]
"""A residual block: ``relu(steps(x) + shortcut(x))`` with a ReLU between the steps; a shortcut of ``None`` is
the identity."""
Statistics = tuple[Tensor, Tensor]


def recomputed_stage(x: Tensor, blocks: Sequence[Residual]) -> Tensor:
    """Residual blocks one after the other. Training mode only."""
    return _Stage.apply(
        x, blocks, *(p for steps, side in blocks for p in _parameters([*steps, *([side] if side else [])]))
    )


def recomputed_profiles(x: Tensor, steps: Sequence[Step]) -> tuple[Tensor, Tensor]:
    """Means over the rows and over the columns of ``relu(steps(x))``, ``(B,C,W)`` and ``(B,C,H)``. Training
    mode only."""
    return _Profiles.apply(x, steps, *_parameters(steps))


def pointwise_conv(x: Tensor, conv: nn.Conv1d) -> Tensor:
    """``conv(x)`` of a convolution of size 1, whose gradients PyTorch would gather sample by sample."""
    return _Pointwise.apply(x, conv.weight, conv.bias) if usable(x) else conv(x)


def recomputed_stem(image: Tensor, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> Tensor:
    """``max_pool(relu(norm(conv(image))))``, windows of 3 with a stride of 2. Training mode only."""
    return _Stem.apply(image, conv, norm, *_parameters([(conv, norm)]))


def usable(x: Tensor) -> bool:
    """Whether these functions apply: gradients are wanted, in one precision."""
    kind = "cpu" if x.is_meta else x.device.type
    return (
        torch.is_grad_enabled() and not torch.is_autocast_enabled(kind) and not torch.compiler.is_compiling()
    )


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
            ctx.statistics.append(statistics)
            kept += raws[: _kept(steps)]
        ctx.save_for_backward(*kept, x)
        return x

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor):
        x, *kept, y = ctx.saved_tensors
        raws = [[kept.pop(0) for _ in range(_kept(steps))] for steps, _ in ctx.blocks]
        parts = list(zip(ctx.blocks, raws, ctx.statistics, strict=True))
        inputs = [x]
        for (steps, shortcut), own, statistics in parts[:-1]:
            inputs.append(_again(inputs[-1], steps, shortcut, own, statistics))
        gradients: list[Tensor] = []
        for (steps, shortcut), own, statistics in reversed(parts):
            x, needed = inputs.pop(), bool(inputs) or ctx.needs_input_grad[0]
            gradient = torch.ops.aten.threshold_backward(gradient, y, 0)
            own += [None] * (len(steps) - len(own))
            grad_x, of_block = _reverse(gradient, x, steps, own, statistics, needed)
            if shortcut is not None:
                gradient, of_shortcut = _reverse(gradient, x, [shortcut], [None], statistics[-1:], needed)
                of_block += of_shortcut
            if needed:
                gradient = grad_x.add_(gradient)
            gradients, y = of_block + gradients, x
        return gradient if ctx.needs_input_grad[0] else None, None, *gradients


def _kept(steps: Sequence[Step]) -> int:
    """How many of the convolutions' outputs the gradient needs: that of a product at the end is made
    again."""
    return len(steps) - _is_product(steps[-1][0])


def _again(
    x: Tensor,
    steps: Sequence[Step],
    shortcut: Step | None,
    raws: Sequence[Tensor],
    statistics: Sequence[Statistics],
) -> Tensor:
    """A block's output from its input and from what was kept of it."""
    (conv, norm), at = steps[-1], len(steps) - 1
    raw = (
        raws[at] if len(raws) > at else _convolve(_activate(raws[-1], steps[-2][1], statistics[at - 1]), conv)
    )
    y = _normalise(raw, norm, statistics[at])
    side = x if shortcut is None else _normalise(_convolve(x, shortcut[0]), shortcut[1], statistics[-1])
    return y.add_(side).relu_()


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
        height, width = raws[-1].shape[2:]
        columns, rows = grad_columns.transpose(1, 2) / height, grad_rows.transpose(1, 2) / width
        gradient = (columns.contiguous()[:, None] + rows.contiguous()[:, :, None]).permute(0, 3, 1, 2)
        _mask(gradient, _activate(raws[-1], ctx.steps[-1][1], ctx.statistics[-1]))
        grad_x, gradients = _reverse(gradient, x, ctx.steps, raws, ctx.statistics, ctx.needs_input_grad[0])
        return grad_x, None, *gradients


class _Pointwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor):
        ctx.save_for_backward(x, weight)
        return F.conv1d(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor):
        x, weight = ctx.saved_tensors
        grad_x = weight[..., 0].t() @ gradient
        g, columns = gradient.transpose(0, 1).flatten(1), x.transpose(0, 1).flatten(1)
        return grad_x, fast_linear(g, columns)[..., None], g.sum(1)


class _Stem(torch.autograd.Function):
    @staticmethod
    def forward(ctx, image: Tensor, conv: nn.Conv2d, norm: nn.BatchNorm2d, *_):
        y, raws, ctx.statistics = _run(image, [(conv, norm)])
        # The largest comes before the ReLU, which then meets a quarter of the places.
        y, places = F.max_pool2d(y, 3, 2, 1, return_indices=True)
        y.relu_()
        ctx.step = conv, norm
        ctx.save_for_backward(image, *raws, places, y)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor):
        image, raw, places, y = ctx.saved_tensors
        gradient = torch.ops.aten.threshold_backward(gradient, y, 0)
        gradient = torch.ops.aten.max_pool2d_with_indices_backward(
            gradient, raw, [3, 3], [2, 2], [1, 1], [1, 1], False, places
        )
        grad_image, gradients = _reverse(
            gradient, image, [ctx.step], [raw], ctx.statistics, ctx.needs_input_grad[0]
        )
        return grad_image, None, None, *gradients


def _mask(gradient: Tensor, y: Tensor) -> None:
    """A ReLU's gradient in place, where ``gradient`` is ours."""
    torch.ops.aten.threshold_backward.grad_input(gradient, y, 0, grad_input=gradient)


def _parameters(steps: Sequence[Step]) -> list[Tensor]:
    return [p for conv, norm in steps for p in (conv.weight, norm.weight, norm.bias)]


def _run(x: Tensor, steps: Sequence[Step]) -> tuple[Tensor, list[Tensor], list[Statistics]]:
    """The last step's normalised output (no ReLU), all convolutions' outputs and batch statistics; updates
    the running ones."""
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


def _normalise(raw: Tensor, norm: nn.BatchNorm2d, statistics: Statistics) -> Tensor:
    mean, rstd = statistics
    var = rstd.square().reciprocal() - norm.eps
    return torch.native_batch_norm(raw, norm.weight, norm.bias, mean, var, False, 0.0, norm.eps)[0]


def _activate(raw: Tensor, norm: nn.BatchNorm2d, statistics: Statistics) -> Tensor:
    return _normalise(raw, norm, statistics).relu_()


def _reverse(
    gradient: Tensor,
    x: Tensor,
    steps: Sequence[Step],
    raws: Sequence[Tensor | None],
    statistics: list[Statistics],
    needed: bool,
) -> tuple[Tensor, list[Tensor]]:
    """Gradients of the input and of the parameters from that of :func:`_run`'s output; products' outputs may
    be ``None``."""
    gradients: list[Tensor] = []
    for i in reversed(range(len(steps))):
        (conv, norm), raw = steps[i], raws[i]
        given = _activate(cast(Tensor, raws[i - 1]), steps[i - 1][1], statistics[i - 1]) if i else x
        if raw is None:
            gradient, of_weight, *of_norm = _product_back(
                gradient, given, conv, norm, statistics[i], i > 0 or needed
            )
        else:
            gradient, *of_norm = torch.ops.aten.native_batch_norm_backward(
                gradient, raw, norm.weight, None, None, *statistics[i], True, norm.eps, [True] * 3
            )
            gradient, of_weight = _convolve_back(gradient, given, conv, i > 0 or needed)
        if i:
            _mask(gradient, given)
        gradients = [of_weight, *of_norm, *gradients]
    return gradient, gradients


def _is_product(conv: Conv) -> bool:
    return conv.kernel_size == (1, 1) and isinstance(conv, nn.Conv2d)


def _rows(x: Tensor) -> Tensor:
    """``(B,C,h,w) -> (B h w, C)``, a view of features whose channels are innermost."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _features(rows: Tensor, like: Tensor) -> Tensor:
    return rows.view(len(like), *like.shape[2:], -1).permute(0, 3, 1, 2)


def _convolve(x: Tensor, conv: Conv) -> Tensor:
    if not _is_product(conv):
        return cast(Tensor, conv(x))
    # PyTorch has slow kernels for some 1x1 convolutions.
    x = x[:, :, :: conv.stride[0], :: conv.stride[1]]
    return _features(fast_linear(_rows(x), conv.weight.flatten(1)), x)


def _product_back(
    gradient: Tensor, x: Tensor, conv: Conv, norm: nn.BatchNorm2d, statistics: Statistics, needed: bool
) -> list[Tensor]:
    """Gradients of the input (if ``needed``), the weight and the normalisation's weight and bias, without the
    product itself.

    Normalisation turns a gradient g into ``k g + p W x + q`` with one k, p and q per channel. Sums of ``g (W
    x)``, and products of the whole with x or W, follow from ``g x'`` and ``x x'``: nothing as wide as the
    output is made.
    """
    weight, (mean, rstd) = conv.weight.flatten(1), statistics
    seen = x[:, :, :: conv.stride[0], :: conv.stride[1]]
    g, rows = _rows(gradient), _rows(seen)
    columns = rows.t().contiguous()
    with_gradient, with_itself = fast_linear(columns, g.t()).t(), fast_linear(columns, columns)
    of_bias = g.sum(0)
    of_scale = rstd * ((with_gradient * weight).sum(1) - mean * of_bias)
    k = norm.weight * rstd
    p = -k * rstd * of_scale / len(g)
    q = -k * of_bias / len(g) - p * mean
    of_weight = (
        k[:, None] * with_gradient
        + p[:, None] * fast_linear(weight, with_itself)
        + q[:, None] * columns.sum(1)
    )
    if needed:
        scaled = p[:, None] * weight
        grad_rows = fast_linear(g, (k[:, None] * weight).t()).add_(
            fast_linear(rows, fast_linear(weight.t(), scaled.t()), q @ weight)
        )
        x = _spread(_features(grad_rows, seen), x, conv)
    return [x, of_weight[..., None, None], of_scale, of_bias]


def _spread(small: Tensor, x: Tensor, conv: Conv) -> Tensor:
    """The gradient of ``x`` from that of the places a 1x1 convolution sees."""
    if small.shape == x.shape:
        return small
    grad_x = torch.zeros_like(x)
    grad_x[:, :, :: conv.stride[0], :: conv.stride[1]] = small
    return grad_x


def _convolve_back(gradient: Tensor, x: Tensor, conv: Conv, needed: bool) -> tuple[Tensor, Tensor]:
    """Gradients of the input (if ``needed``) and of the weight."""
    if not _is_product(conv):
        geometry = conv.stride, conv.padding, conv.dilation, isinstance(conv, nn.ConvTranspose2d), [0, 0], 1
        grad_x, of_weight, _ = torch.ops.aten.convolution_backward(
            gradient, x, conv.weight, None, *geometry, [needed, True, False]
        )
        return grad_x, of_weight
    g, rows = _rows(gradient), _rows(x)
    # The quicker of the two orders has the narrower matrix in front.
    of_weight = (
        fast_linear(g.t(), rows.t()) if g.shape[1] < rows.shape[1] else fast_linear(rows.t(), g.t()).t()
    )
    return (_features(fast_linear(g, conv.weight.flatten(1).t()), x) if needed else x), of_weight[
        ..., None, None
    ]
