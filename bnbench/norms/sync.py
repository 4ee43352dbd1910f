"""Batch normalization over all processes of a data-parallel training.

Legend: N batch of a process, C channels, * any number of positions.
"""

from __future__ import annotations

from typing import Any, get_args

import torch
from torch import Tensor, distributed
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from bnbench.norms.common.affine import Affine, broadcast_channels, full_precision, scale_and_shift
from bnbench.norms.common.checks import among, require, require_values
from bnbench.norms.common.moments import channel_dims
from bnbench.norms.common.processes import are_together
from bnbench.norms.common.running import RunningStatistics
from bnbench.schema.facts import Facts


class SyncBatchNorm(RunningStatistics):
    """Batch normalization whose statistics are those of the batches of all processes together, of whatever sizes.

    As ``torch.nn.SyncBatchNorm``: where ``torch.distributed`` is initialized, statistics are taken over the default
    group, and the gradient of each process holds what its examples did to the outputs of the others. Weight and bias
    get the gradient of their own process. In a single process, and at evaluation, which is that of one, it is batch
    normalization.

    Args:
        num_features: channels C.
        eps: added to the variance.
        momentum: weight of the newest batch in the running statistics.
        affine: which of ``weight`` and ``bias`` there are.
    """

    facts = Facts(
        title="Batch normalization over all processes of a data-parallel training",
        formula="(x - mean) / sqrt(var + eps) * weight + bias",
        over="batches of all processes and positions, for each channel",
        batch_statistics=True,
        paper="Ioffe & Szegedy 2015; Peng et al. 2018",
        smallest_batch=2,
    )

    def __init__(self, num_features: int, *, eps: float = 1e-5, momentum: float = 0.1, affine: Affine = "both") -> None:
        require(among("norm.affine", affine, get_args(Affine)))
        super().__init__(num_features, eps, momentum, affine, track=True)

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x ``[N, C, *]``; raises :class:`Impossible` in training for one value per channel in all."""
        if not self.training:
            return self.normalize_with_running(x)
        if not are_together():
            return self.normalize_with_batch(x, self.weight, self.bias)
        full, dims = full_precision(x), channel_dims(x)
        values = torch.full((1,), x.numel() // x.shape[1], dtype=full.dtype, device=x.device)
        sums = total(torch.cat([full.sum(dims), values]))
        sum_C, count = sums[:-1], sums[-1].detach()
        require_values(
            int(count.item()), "norm=sync: each channel", x.shape, "use a batch of at least 2 in all processes"
        )
        mean_C = sum_C / count
        centered = full - broadcast_channels(mean_C, x)
        var_C = total(centered.square().sum(dims)) / count
        self.take_up(mean_C.detach()[None], (var_C * count / (count - 1)).detach()[None])
        y = centered * broadcast_channels((var_C + self.eps).rsqrt(), x)
        return scale_and_shift(y, self.weight, self.bias).to(x.dtype)


def total(value: Tensor) -> Tensor:
    """The sum over all processes, whose gradient is the sum of theirs."""
    result: Tensor = Total.apply(value)
    return result


class Total(Function):
    """See :func:`total`."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        """Sum a copy."""
        result = value.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(result)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """The gradient of this process's value, which went into the sums of all."""
        result = gradient.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(result)
        return result
