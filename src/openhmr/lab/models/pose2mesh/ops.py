"""The two steps of a graph convolution layer, with hand-written gradients; features are node-major ``(n, B, F)``.

Node-major rows hold a node's features of the whole batch side by side, so that a sparse product takes all samples at once.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from openhmr.lab.models.pose2mesh.tables import ORDER, SparseMatrix

# mypy: disable-error-code="no-untyped-def, override"


class _Apply(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, matrix: SparseMatrix) -> Tensor:
        ctx.matrix = matrix
        return matrix.product(x.flatten(1)).unflatten(1, x.shape[1:])

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor):
        return ctx.matrix.transposed_product(gradient.flatten(1)).unflatten(1, gradient.shape[1:]), None


def sparse_product(matrix: SparseMatrix, x: Tensor) -> Tensor:
    """``A x`` along the node axis: ``(n,B,F) -> (m,B,F)``."""
    return _Apply.apply(x, matrix)


class _GraphConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor, matrix: SparseMatrix) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.matrix = matrix
        rows, out = x.flatten(0, 1), weight.shape[1]
        terms = x.new_empty(ORDER, len(rows), out)
        # T0 is the identity, so the bias may ride on its term.
        torch.addmm(bias, rows, weight[0].t(), out=terms[0])
        for k in range(1, ORDER):
            torch.mm(rows, weight[k].t(), out=terms[k])
        return matrix.product(terms.view(-1, x.shape[1] * out)).view(-1, x.shape[1], out)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor):
        x, weight = ctx.saved_tensors
        terms = ctx.matrix.transposed_product(gradient.flatten(1)).view(ORDER, -1, weight.shape[1])
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = terms[0] @ weight[0]
            for k in range(1, ORDER):
                grad_x.addmm_(terms[k], weight[k])
            grad_x = grad_x.view_as(x)
        rows = x.flatten(0, 1)
        grad_weight = torch.stack([term.t() @ rows for term in terms])
        return grad_x, grad_weight, terms[0].sum(0), None


def graph_conv(x: Tensor, weight: Tensor, bias: Tensor, matrix: SparseMatrix) -> Tensor:
    """Chebyshev convolution ``sum_k T_k(L) x W_k' + bias``, ``(n,B,F) -> (m,B,G)`` with ``weight (3,G,F)``.

    The narrow matrix products come first and all sparse ones are a single one (ours: ``T_k(L) (x W) = (T_k(L) x) W``, and
    no layer where it matters is wider behind than in front). When ``matrix`` also copies parents to children, the matrix
    products run on the coarser graph, half the work.
    """
    return _GraphConv.apply(x, weight, bias, matrix)


class _NormRelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, counts: Tensor, weight: Tensor, bias: Tensor, eps: float):
        rows = x.flatten(0, 1)
        shares = counts.repeat_interleave(x.shape[1])
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
    """Training-mode batch normalisation of ``x (n,B,F)`` where node i counts ``counts[i]`` times, then ReLU; updates ``norm``."""
    y, mean, var = _NormRelu.apply(x, counts, norm.weight, norm.bias, norm.eps)
    total = counts.sum() * x.shape[1]
    with torch.no_grad():
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.lerp_(var * (total / (total - 1)), norm.momentum)
        norm.num_batches_tracked += 1
    return y
