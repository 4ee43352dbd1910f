"""Steps that norms are made of, with the gradients in closed form, in fewer passes than autograd takes.

On a CPU a norm costs what its passes over x and its large temporaries cost; autograd makes more of both, and spreads
gradients of means over tensors whose layout is not that of x. Second derivatives are refused.

Legend: N batch, C channels, * any number of positions, M values that a mean is taken over.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

Dims = tuple[int, ...]


def center(x: Tensor, dims: Dims) -> tuple[Tensor, Tensor, Tensor]:
    """x less its mean over some dimensions, that mean, and the biased variance; the dimensions stay as ones.

    ``torch.var_mean`` alone takes ten times as long on a CPU.
    """
    centered: tuple[Tensor, Tensor, Tensor] = Center.apply(x, dims)
    return centered


def mean_square(x: Tensor, dims: Dims) -> Tensor:
    """The mean of ``x^2`` over some dimensions, which stay as ones."""
    square: Tensor = MeanSquare.apply(x, dims)
    return square


def mean_absolute(x: Tensor, dims: Dims) -> Tensor:
    """The mean of ``|x|`` over some dimensions, which stay as ones."""
    absolute: Tensor = MeanAbsolute.apply(x, dims)
    return absolute


def modulate(x: Tensor, scale: Tensor, shift: Tensor | None) -> Tensor:
    """``x * scale + shift`` for x ``[N, C, *]`` and what spreads to it; None shifts nothing."""
    y: Tensor = Modulate.apply(x, scale, shift)
    return y


def divide(x: Tensor, divisor: Tensor) -> Tensor:
    """``x / divisor`` for two tensors of one shape."""
    y: Tensor = Divide.apply(x, divisor)
    return y


def swish(x: Tensor, slope: Tensor) -> Tensor:
    """``x * sigmoid(slope * x)`` for x ``[N, C, *]`` and a slope that spreads to it."""
    y: Tensor = Swish.apply(x, slope)
    return y


def mean(x: Tensor, dims: Dims) -> Tensor:
    """The mean over some dimensions, which stay as ones; over none, x itself."""
    return x.mean(dims, keepdim=True) if dims else x


def share(x: Tensor, dims: Dims) -> float:
    """One by the number of values that a mean over some dimensions is taken over."""
    count = 1
    for dim in dims:
        count *= x.shape[dim]
    return 1 / max(count, 1)


class Center(Function):
    """See :func:`center`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dims: Dims) -> tuple[Tensor, Tensor, Tensor]:
        """Subtract the mean."""
        average = mean(x, dims)
        centered = x - average
        ctx.save_for_backward(centered)
        ctx.dims = dims
        ctx.set_materialize_grads(False)
        return centered, average, mean(centered.square(), dims)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor | None, g_mean: Tensor | None, g_var: Tensor | None) -> tuple[Tensor, None]:
        """``g - mean(g) + g_mean / M + 2 * g_var * centered / M``, where each has a gradient."""
        (centered,) = ctx.saved_tensors
        part = share(centered, ctx.dims)
        total = torch.zeros_like(centered) if g_var is None else centered * (g_var * (2 * part))
        if g_mean is not None:
            total.add_(g_mean * part)
        return total if g is None else total.add_(g).sub_(mean(g, ctx.dims)), None


class MeanSquare(Function):
    """See :func:`mean_square`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dims: Dims) -> Tensor:
        """Square, then take the mean."""
        ctx.save_for_backward(x)
        ctx.dims = dims
        return mean(x.square(), dims)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        """``2 * g * x / M``."""
        (x,) = ctx.saved_tensors
        return x * (g * (2 * share(x, ctx.dims))), None


class MeanAbsolute(Function):
    """See :func:`mean_absolute`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dims: Dims) -> Tensor:
        """Take absolute values, then the mean."""
        ctx.save_for_backward(x)
        ctx.dims = dims
        return mean(x.abs(), dims)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        """``g * sign(x) / M``."""
        (x,) = ctx.saved_tensors
        return x.sign().mul_(g * share(x, ctx.dims)), None


class Modulate(Function):
    """See :func:`modulate`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, shift: Tensor | None) -> Tensor:
        """Multiply, then add in place: two passes, one new tensor."""
        ctx.save_for_backward(x, scale)
        ctx.shift_shape = None if shift is None else shift.shape
        y = x * scale
        return y if shift is None else y.add_(shift)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """``g * scale``, and the sums of ``g * x`` and ``g`` over what scale and shift are spread to."""
        x, scale = ctx.saved_tensors
        wanted_x, wanted_scale, wanted_shift = ctx.needs_input_grad
        return (
            g * scale if wanted_x else None,
            (g * x).sum_to_size(scale.shape) if wanted_scale else None,
            g.sum_to_size(ctx.shift_shape) if wanted_shift else None,
        )


class Divide(Function):
    """See :func:`divide`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, divisor: Tensor) -> Tensor:
        """Divide."""
        y = x / divisor
        ctx.save_for_backward(y, divisor)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor]:
        """``g / divisor`` and ``-g * y / divisor``."""
        y, divisor = ctx.saved_tensors
        x_gradient = g / divisor
        return x_gradient, (x_gradient * y).neg_()


class Swish(Function):
    """See :func:`swish`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Tensor) -> Tensor:
        """Keep the sigmoid."""
        sigmoid = (slope * x).sigmoid_()
        ctx.save_for_backward(x, slope, sigmoid)
        return x * sigmoid

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor]:
        """``g * s * (1 + slope * x * (1 - s))``, and the sums of ``g * x^2 * s * (1 - s)`` with the sigmoid s."""
        x, slope, sigmoid = ctx.saved_tensors
        direct = g * sigmoid
        through = torch.addcmul(direct, direct, sigmoid, value=-1).mul_(x)
        slope_gradient = (through * x).sum_to_size(slope.shape)
        return through.mul_(slope).add_(direct), slope_gradient
