"""Running statistics of the batch-normalization family.

Legend: N batch, C channels, * any number of positions, G batches taken up one after another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from bnbench.limits import above, positive_share
from bnbench.norms.common.affine import Affine, AffineNorm, broadcast_channels, full_precision
from bnbench.norms.common.checks import require, require_values


class RunningStatistics(AffineNorm):
    """Abstract base: batch statistics in training, running ones at evaluation (Ioffe & Szegedy 2015, algorithm 2).

    The biased variance normalizes, the unbiased one goes into ``running_var [C]``; ``running_mean [C]`` and it never
    have less than float32, also after ``module.to(torch.bfloat16)``. ``momentum`` is the weight of the newest batch;
    None averages all batches. With ``track=False`` there are no running statistics.

    ``num_batches_tracked`` is a scalar, or ``[K]`` for K lanes that own ``C / K`` channels each.

    Attributes:
        running: names of the running statistics; those of a layer that divides by something else are its own.
        averages: by name, how those beside mean and variance are recomputed: as the mean of a function of the inputs
            less their mean.
    """

    running: tuple[str, ...] = ("running_mean", "running_var")
    averages: ClassVar[Mapping[str, Callable[[Tensor], Tensor]]] = {}
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(self, num_features: int, eps: float, momentum: float | None, affine: Affine, track: bool) -> None:
        require(above("norm.eps", eps, 0), positive_share("norm.momentum", momentum))
        super().__init__(num_features, eps, affine)
        self.momentum = momentum
        for name in self.running:
            self.register_buffer(name, torch.full((num_features,), initial(name)) if track else None)
        self.register_buffer("num_batches_tracked", torch.tensor(0) if track else None)

    def normalize_with_running(self, x: Tensor) -> Tensor:
        """Normalize x ``[N, C, *]`` with the running statistics."""
        assert self.running_mean is not None
        return batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)

    def normalize_with_batch(self, x: Tensor, weight_C: Tensor | None, bias_C: Tensor | None) -> Tensor:
        """Normalize x ``[N, C, *]`` with its own statistics; in training, take them up in the running ones."""
        require_batch(x)
        if self.training and self.num_batches_tracked is not None and self.momentum is not None:
            self.num_batches_tracked.add_(1)
            running = self.running_mean, self.running_var
            return batch_norm(x, *running, weight_C, bias_C, True, self.momentum, self.eps)
        mean_C, var_C = scratch(x, self.num_features)
        y = batch_norm(x, mean_C, var_C, weight_C, bias_C, True, 1.0, self.eps)
        if self.training and self.num_batches_tracked is not None:
            self.take_up(mean_C[None], var_C[None])
        return y

    @torch.no_grad()
    def take_up(self, *values_GC: Tensor) -> None:
        """Update the running statistics, in their order, with those of G batches ``[G, C]``, one after another.

        The variances are unbiased ones.
        """
        assert self.num_batches_tracked is not None
        for name, values in zip(self.running, values_GC, strict=True):
            take_up(self.get_buffer(name), values, self.momentum, self.num_batches_tracked)
        self.num_batches_tracked.add_(len(values_GC[0]))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        before = {name: self._buffers[name] for name in self.running}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, old in before.items():
            new = self._buffers[name]
            if old is not None and new is not None and new.dtype in (torch.float16, torch.bfloat16):
                self._buffers[name] = old.to(new.device, torch.float32)
        return self


def require_batch(x: Tensor) -> None:
    """Raise :class:`Impossible` if the batch x ``[N, C, *]`` has one value per channel."""
    require_values(
        len(x) * x.shape[2:].numel(),
        "batch statistics: each channel",
        x.shape,
        "use a batch of at least 2, or a norm without batch statistics such as norm=layer",
    )


def initial(name: str) -> float:
    """The initial value of a running statistic: 0 of a mean, 1 of a divisor."""
    return 0.0 if name == "running_mean" else 1.0


def scratch(x: Tensor, channels: int) -> tuple[Tensor, Tensor]:
    """Two vectors ``[channels]`` for a mean and a variance, in the precision in which statistics of x are taken."""
    dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
    mean_C = torch.zeros(channels, dtype=dtype, device=x.device)
    return mean_C, torch.zeros_like(mean_C)


def batch_norm(
    x: Tensor,
    mean_C: Tensor | None,
    var_C: Tensor | None,
    weight_C: Tensor | None,
    bias_C: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> Tensor:
    """``F.batch_norm`` of x ``[N, C, *]``; float32 vectors make it compute in float32 for a bfloat16 or half x."""
    weight_C, bias_C = full_precision(weight_C), full_precision(bias_C)
    return in_any_order(x, lambda x: F.batch_norm(x, mean_C, var_C, weight_C, bias_C, training, momentum, eps))


def in_any_order(x: Tensor, normalize: Callable[[Tensor], Tensor]) -> Tensor:
    """Normalize x ``[N, C, *]`` by torch's batch normalization.

    On a CPU torch (2.15) takes wrong gradients where x and the gradient of what comes out lie in memory in two orders
    and a size beside C is 1, which leaves open which order it is; of lines it takes the right ones.
    """
    return by_positions(x, normalize) if 1 in (len(x), *x.shape[2:]) else normalize(x)


def by_positions(x: Tensor, normalize: Callable[[Tensor], Tensor]) -> Tensor:
    """Normalize x ``[N, C, *]`` as lines ``[N, C, positions]``."""
    return normalize(x.flatten(2)).view(x.shape) if x.dim() > 3 else normalize(x)


def take_up(running_C: Tensor, values_GC: Tensor, momentum: float | None, count: Tensor) -> None:
    """Update a running average in place with G values per channel, in their order.

    Args:
        running_C: the average ``[C]``.
        values_GC: the new values ``[G, C]``.
        momentum: weight of each new value, ``running = (1 - momentum) * running + momentum * value``; None averages
            all values equally.
        count: how many values have been averaged before, a scalar tensor, or ``[K]`` for equal blocks of channels.
    """
    new = len(values_GC)
    if new == 1 and momentum is not None:
        running_C.lerp_(values_GC[0].to(running_C.dtype), momentum)
        return
    if momentum is None:
        total = per_channel(count + new, len(running_C)).to(running_C.dtype)
        running_C.add_((values_GC.sum(0) - new * running_C) / total)
        return
    age_G = torch.arange(new - 1, -1, -1, dtype=running_C.dtype, device=running_C.device)
    weight_G = momentum * (1 - momentum) ** age_G
    running_C.mul_((1 - momentum) ** new).add_((weight_G[:, None] * values_GC).sum(0))


def per_channel(count: Tensor, channels: int) -> Tensor:
    """A count for every channel ``[channels]`` from one per lane ``[K]``; a scalar stays as it is."""
    return count[:, None].expand(-1, channels // len(count)).flatten() if count.dim() else count


def broadcast_number(number: Tensor, x: Tensor) -> Tensor:
    """One number for all channels of x ``[N, C, *]``, in full precision; of K lanes ``[K]`` that of each channel."""
    full = full_precision(number)
    return broadcast_channels(per_channel(full, x.shape[1]), x) if full.dim() else full
