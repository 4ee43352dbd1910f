"""Batch normalization of K lanes whose examples lie one lane after the other.

Legend: K lanes, N batch of a lane, C channels of a lane, * any number of positions, G chunks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bnbench.norms.common.affine import full_precision
from bnbench.norms.common.checks import require_values
from bnbench.norms.common.running import in_any_order, take_up
from bnbench.norms.common.stacking import take_tensors
from bnbench.norms.ghost import require_chunks
from bnbench.norms.renorm import Corrections
from bnbench.stacking.layers.layout import lanes_in_last_channels, last_lanes_in_batch


class FoldedBatchNorm(nn.Module):
    """Batch normalization of ``[K * N, C, *]`` with statistics, ``weight`` and ``bias`` per lane and channel.

    It is batch renormalization if the lanes have corrections, ghost batch normalization if they have chunks.

    Attributes:
        recomputes: whether it is evaluated with statistics recomputed for the purpose.
        wide: whether it takes ``[N, K * C, *]``.
    """

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
        self.chunk: int | None = getattr(first, "chunk", None)
        self.corrections: Corrections | None = getattr(first, "corrections", None)
        self.recomputes = getattr(first, "recomputes", False)
        self.wide = False

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x ``[K * N, C, *]``."""
        if not self.wide:
            return self._normalize_batch(x)
        if self._is_plain:
            return self._normalize_channels(x)
        return lanes_in_last_channels(self._normalize_batch(last_lanes_in_batch(x, self.lanes)), self.lanes)

    def _normalize_batch(self, x: Tensor) -> Tensor:
        wide, weight, bias = full_precision(x), full_precision(self.weight), full_precision(self.bias)
        if not self.training and self.running_mean is not None:
            return self._normalize_with_running(wide, weight, bias).to(x.dtype)
        if self.training and self.chunk is not None:
            return self._normalize_chunks(wide, self.chunk, weight, bias).to(x.dtype)
        values = x.numel() // (self.lanes * x.shape[1])
        require_values(values, "batch statistics: each channel", x.shape, "use a batch of at least 2")
        if self.training and self.corrections is not None:
            weight, bias = self._corrected(wide, weight, bias)
        normalized: tuple[Tensor, Tensor, Tensor] = NormalizeLanes.apply(wide, weight, bias, self.lanes, self.eps)
        y, mean_KC, var_KC = normalized
        if self.training:
            self._take_up(mean_KC[None], var_KC[None] * (values / (values - 1)))
        return y.flatten(0, 1).to(x.dtype)

    @property
    def _is_plain(self) -> bool:
        """True if it does now what torch's batch normalization does with batch statistics."""
        if self.training:
            return self.chunk is None and self.corrections is None and self.momentum is not None
        return self.running_mean is None

    def _normalize_channels(self, x: Tensor) -> Tensor:
        """Normalize x ``[N, K * C, *]`` with the kernels of torch, which pass over it less often.

        The network counts the batches, of all its layers at once: see :func:`count_batches`.
        """
        require_values(x[:, 0].numel(), "batch statistics: each channel", x.shape, "use a batch of at least 2")
        running = (self.running_mean, self.running_var) if self.training else (None, None)
        momentum = self.momentum or 0.0
        return in_any_order(x, lambda x: F.batch_norm(x, *running, self.weight, self.bias, True, momentum, self.eps))

    def _normalize_chunks(self, x: Tensor, chunk: int, weight: Tensor | None, bias: Tensor | None) -> Tensor:
        """Normalize G chunks of each lane on their own, as ``K * G`` lanes; the last chunk may be smaller."""
        x_KNC = torch.unflatten(x, 0, (self.lanes, -1))
        require_chunks(x_KNC[0], chunk)
        whole = x_KNC.shape[1] - x_KNC.shape[1] % chunk
        outputs = []
        for piece in (x_KNC[:, :whole], x_KNC[:, whole:]):
            if piece.shape[1]:
                size = min(chunk, piece.shape[1])
                chunks = self.lanes * (piece.shape[1] // size)
                y, mean, var = NormalizeLanes.apply(piece.flatten(0, 1), None, None, chunks, self.eps)
                outputs.append(y.view_as(piece))
                values = size * x[0, 0].numel()
                mean_GKC, var_GKC = (
                    part.view(self.lanes, -1, x.shape[1]).transpose(0, 1).flatten(1) for part in (mean, var)
                )
                self._take_up(mean_GKC, var_GKC * (values / (values - 1)))
        y_KNC, shape = torch.cat(outputs, 1), _shape(x_KNC)
        y_KNC = y_KNC if weight is None else y_KNC * weight.view(shape)
        return (y_KNC if bias is None else y_KNC + bias.view(shape)).flatten(0, 1)

    def _normalize_with_running(self, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
        assert self.running_mean is not None and self.running_var is not None
        scale = torch.rsqrt(self.running_var + self.eps)
        scale = scale if weight is None else scale * weight
        shift = -self.running_mean * scale if bias is None else bias - self.running_mean * scale
        x_KNC = torch.unflatten(x, 0, (self.lanes, -1))
        shape = _shape(x_KNC)
        return torch.addcmul(shift.view(shape), x_KNC, scale.view(shape)).flatten(0, 1)

    def _corrected(self, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        """The scale and shift of batch renormalization."""
        assert self.corrections is not None and self.num_batches_tracked is not None
        assert self.running_mean is not None and self.running_var is not None
        x_KNC = torch.unflatten(x.detach(), 0, (self.lanes, -1))
        var, mean = torch.var_mean(x_KNC, _axes(x_KNC), correction=0)
        running_KC = self.running_mean, self.running_var
        return self.corrections.affine(
            (mean.flatten(), var.flatten()), running_KC, self.num_batches_tracked, weight, bias
        )

    @torch.no_grad()
    def _take_up(self, mean_GKC: Tensor, var_GKC: Tensor) -> None:
        """Update the running statistics with the means and unbiased variances of G batches, one after another."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        if self.momentum is None or len(mean_GKC) > 1:
            take_up(self.running_mean, mean_GKC, self.momentum, self.num_batches_tracked)
            take_up(self.running_var, var_GKC, self.momentum, self.num_batches_tracked)
        else:
            torch._foreach_lerp_((self.running_mean, self.running_var), (mean_GKC[0], var_GKC[0]), self.momentum)
        self.num_batches_tracked.add_(len(mean_GKC))


@torch.no_grad()
def count_batches(layers: Iterable[FoldedBatchNorm]) -> None:
    """Count a batch in training in the layers that leave it to the network."""
    counts = [layer.num_batches_tracked for layer in layers if layer.wide and layer.training and layer._is_plain]
    if tracked := [count for count in counts if count is not None]:
        torch._foreach_add_(tracked, 1)


class NormalizeLanes(torch.autograd.Function):
    """``(x - mean) / sqrt(var + eps) * weight + bias`` over the examples and positions of each lane."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, lanes: int, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Normalize x ``[K * N, C, *]`` to ``[K, N, C, *]``; its mean and biased variance ``[K * C]`` have no gradient.

        The output is no view: a layer behind it may work in place.
        """
        x_KNC = torch.unflatten(x, 0, (lanes, -1))
        axes, shape = _axes(x_KNC), _shape(x_KNC)
        mean = x_KNC.mean(axes, keepdim=True)
        centered = x_KNC - mean
        var = centered.square().mean(axes, keepdim=True)
        inverse = (var + eps).rsqrt_()
        scale = inverse if weight is None else inverse * weight.view(shape)
        y = centered * scale if bias is None else torch.addcmul(bias.view(shape), centered, scale)
        ctx.save_for_backward(centered, inverse, scale)
        ctx.affine = weight is not None, bias is not None
        mean_KC, var_KC = mean.flatten(), var.flatten()
        ctx.mark_non_differentiable(mean_KC, var_KC)
        ctx.set_materialize_grads(False)
        return y, mean_KC, var_KC

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        """Ioffe & Szegedy 2015, section 3, with the sums over a lane's examples and positions."""
        centered, inverse, scale = ctx.saved_tensors
        gradient = gradients[0]
        assert gradient is not None, "the output has a gradient"
        axes, count = _axes(gradient), gradient[0].numel() // gradient.shape[2]
        total = gradient.sum(axes, keepdim=True)
        slope = (gradient * centered).sum(axes, keepdim=True).mul_(inverse)
        x_gradient = None
        if ctx.needs_input_grad[0]:
            x_gradient = torch.sub(gradient, total, alpha=1 / count)
            x_gradient.addcmul_(centered, slope * inverse, value=-1 / count).mul_(scale)
            x_gradient = x_gradient.flatten(0, 1)
        has_weight, has_bias = ctx.affine
        return x_gradient, slope.flatten() if has_weight else None, total.flatten() if has_bias else None, None, None


def _axes(x_KNC: Tensor) -> tuple[int, ...]:
    """The axes that a channel's statistics are taken over."""
    return (1, *range(3, x_KNC.dim()))


def _shape(x_KNC: Tensor) -> tuple[int, ...]:
    """``[K * C]`` beside ``[K, N, C, *]``."""
    return (len(x_KNC), 1, x_KNC.shape[2], *[1] * (x_KNC.dim() - 3))
