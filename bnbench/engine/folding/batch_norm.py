"""Batch normalization of K lanes whose examples lie one lane after the other.

Legend: K lanes, N batch of a lane, C channels of a lane, * any number of positions, M = values of a lane's channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bnbench.norms.affine import full_precision
from bnbench.norms.checks import require_values
from bnbench.norms.lanes import take_tensors
from bnbench.norms.running import take_up


class FoldedBatchNorm(nn.Module):
    """Batch normalization of ``[K * N, C, *]`` with statistics, ``weight`` and ``bias`` per lane and channel."""

    weight: Tensor | None
    bias: Tensor | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(self, lanes: Sequence[Any]) -> None:
        super().__init__()
        first = lanes[0]
        for name in ("weight", "bias"):
            self.register_parameter(name, None)
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(name, None)
        take_tensors(self, lanes)
        self.lanes, self.eps, self.momentum = len(lanes), first.eps, first.momentum

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x ``[K * N, C, *]``."""
        x_KNC = full_precision(torch.unflatten(x, 0, (self.lanes, -1)))
        shape = (self.lanes, 1, x.shape[1], *[1] * (x.dim() - 2))
        weight = None if self.weight is None else full_precision(self.weight).view(shape)
        bias = None if self.bias is None else full_precision(self.bias).view(shape)
        if self.training or self.running_mean is None or self.running_var is None:
            values = x_KNC[0].numel() // x.shape[1]
            require_values(values, "batch statistics: each channel", x, "use a batch of at least 2")
            normalized: tuple[Tensor, Tensor, Tensor] = NormalizeLanes.apply(x_KNC, weight, bias, self.eps)
            y, mean, var = normalized
            if self.training:
                self._take_up(mean.flatten(), var.flatten() * (values / (values - 1)))
        else:
            scale = torch.rsqrt(self.running_var.view(shape) + self.eps)
            scale = scale if weight is None else scale * weight
            shift = -self.running_mean.view(shape) * scale
            y = torch.addcmul(shift if bias is None else shift + bias, x_KNC, scale)
        return y.flatten(0, 1).to(x.dtype)

    def reset_running_stats(self) -> None:
        """Back to mean 0, variance 1 and no batches."""
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    @torch.no_grad()
    def _take_up(self, mean: Tensor, var: Tensor) -> None:
        """Update the running statistics with a batch's mean and unbiased variance ``[K * C]``."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        for running, value in ((self.running_mean, mean), (self.running_var, var)):
            if self.momentum is None:
                take_up(running, value[None], None, self.num_batches_tracked)
            else:
                running.lerp_(value, self.momentum)
        self.num_batches_tracked.add_(1)


class NormalizeLanes(torch.autograd.Function):
    """``(x - mean) / sqrt(var + eps) * weight + bias`` over the examples and positions of each lane."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Normalize x ``[K, N, C, *]``; the mean and the biased variance ``[K, 1, C, 1...]`` have no gradient."""
        axes = _axes(x)
        mean = x.mean(axes, keepdim=True)
        centered = x - mean
        var = centered.square().mean(axes, keepdim=True)
        inverse = torch.rsqrt(var + eps)
        scale = inverse if weight is None else inverse * weight
        y = centered * scale if bias is None else torch.addcmul(bias, centered, scale)
        ctx.save_for_backward(centered, inverse, weight)
        ctx.has_bias = bias is not None
        ctx.mark_non_differentiable(mean, var)
        return y, mean, var

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Ioffe & Szegedy 2015, section 3, with the sums over a lane's examples and positions."""
        centered, inverse, weight = ctx.saved_tensors
        gradient, axes = gradients[0], _axes(gradients[0])
        total = gradient.sum(axes, keepdim=True)
        slope = (gradient * centered).sum(axes, keepdim=True).mul_(inverse)
        wanted_x, *_ = ctx.needs_input_grad
        x_gradient = None
        if wanted_x:
            count = gradient[0].numel() // gradient.shape[2]
            x_gradient = gradient - total / count
            x_gradient.addcmul_(centered, slope * inverse, value=-1 / count)
            x_gradient.mul_(inverse if weight is None else inverse * weight)
        return x_gradient, None if weight is None else slope, total if ctx.has_bias else None, None


def _axes(x: Tensor) -> tuple[int, ...]:
    return (1, *range(3, x.dim()))
