"""The two steps of a graph convolution layer on features ``(B,n,F)``, with hand-written gradients."""

from typing import cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from openhmr.lab.models.layers import fast_linear
from openhmr.lab.models.pose2mesh.sparse import ORDER, SparseMatrix

# mypy: disable-error-code="no-untyped-def, override"


class _Apply(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, matrix: SparseMatrix) -> Tensor:
        ctx.matrix = matrix
        return matrix.product(x)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor):
        return ctx.matrix.transposed_product(gradient.contiguous()), None


def sparse_product(matrix: SparseMatrix, x: Tensor) -> Tensor:
    """``A x`` along the node axis: ``(B,n,F) -> (B,m,F)``."""
    return _Apply.apply(x, matrix)


class _GraphConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor, matrix: SparseMatrix) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.matrix = matrix
        terms = fast_linear(x.flatten(0, 1), weight, bias)
        return matrix.product(terms.view(len(x), -1, len(weight) // ORDER))

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor):
        x, weight = ctx.saved_tensors
        terms = ctx.matrix.transposed_product(gradient.contiguous()).view(-1, len(weight))
        grad_x = fast_linear(terms, weight.t()).view_as(x) if ctx.needs_input_grad[0] else None
        return grad_x, terms.t() @ x.flatten(0, 1), terms.sum(0), None


def stack_terms(weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Official weight ``(G,3F)`` (the term varies fastest) and bias ``(G,)`` -> ``(3G,F)`` and ``(3G,)`` for
    :func:`graph_conv`."""
    stacked = weight.unflatten(1, (-1, ORDER)).permute(2, 0, 1).flatten(0, 1)
    # T0 is the identity, so the bias rides on its term.
    return stacked, torch.cat([bias, bias.new_zeros((ORDER - 1) * len(bias))])


def graph_conv(x: Tensor, weight: Tensor, bias: Tensor, matrix: SparseMatrix) -> Tensor:
    """Chebyshev convolution ``sum_k T_k(L) (x W_k' + b_k)``, ``(B,n,F) -> (B,m,G)`` with ``weight (3G,F)``,
    ``bias (3G,)``.

    Ours: ``T_k(L) (x W) = (T_k(L) x) W``, and no layer that matters is wider behind than in front, so the
    dense product comes first and one constant matrix ``[T0 T1 T2]`` does all sparse ones. Where it also
    copies parents to children, the dense product runs on the coarser graph, half the work.
    """
    return _GraphConv.apply(x, weight, bias, matrix)


class _NormRelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, counts: Tensor, weight: Tensor, bias: Tensor, eps: float):
        rows = x.flatten(0, 1)
        shares = counts.repeat(len(x))
        shares = (shares / shares.sum())[None]
        mean = (shares @ rows)[0]
        normalised = rows - mean
        var = (shares @ normalised.square())[0]
        rstd = (var + eps).rsqrt()
        normalised *= rstd
        y = torch.addcmul(bias, normalised, weight).relu_()
        ctx.save_for_backward(normalised, y, shares, weight, rstd)
        ctx.mark_non_differentiable(mean, var)
        return y.view_as(x), mean, var

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor, *_):
        normalised, y, shares, weight, rstd = ctx.saved_tensors
        g = torch.ops.aten.threshold_backward(gradient.flatten(0, 1), y, 0)
        grad_bias = g.sum(0)
        grad_weight = (g * normalised).sum(0)
        correction = torch.addcmul(grad_bias, normalised, grad_weight)
        g.addcmul_(correction, shares.t(), value=-1).mul_(weight * rstd)
        return g.view_as(gradient), None, grad_weight, grad_bias, None


def norm_relu(x: Tensor, counts: Tensor, norm: torch.nn.BatchNorm1d) -> Tensor:
    """Training-mode batch normalisation of ``x (B,n,F)`` where node i counts ``counts[i]`` times, then ReLU;
    updates ``norm``."""
    y, mean, var = _NormRelu.apply(x, counts, norm.weight, norm.bias, norm.eps)
    total = counts.sum() * len(x)
    with torch.no_grad():
        for buffer, value in ((norm.running_mean, mean), (norm.running_var, var * (total / (total - 1)))):
            cast(Tensor, buffer).lerp_(value, cast(float, norm.momentum))
        cast(Tensor, norm.num_batches_tracked).add_(1)
    return y
