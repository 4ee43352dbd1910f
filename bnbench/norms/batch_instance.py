"""Batch-instance normalization (Nam & Kim 2018).

Legend: N batch, C channels, * any number of positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import torch
from torch import Tensor, nn

from bnbench.norms.common.affine import Affine, broadcast_channels, full_precision, scale_and_shift
from bnbench.norms.common.checks import among, require, require_values
from bnbench.norms.common.fused_ops import center, modulate
from bnbench.norms.common.moments import pooled, position_dims, unbiased
from bnbench.norms.common.running import RunningStatistics
from bnbench.norms.common.stacking import stacked
from bnbench.schema.facts import Facts


class BatchInstanceNorm(RunningStatistics):
    """``(rho * x_batch + (1 - rho) * x_instance) * weight + bias``.

    ``x_batch`` and ``x_instance`` are what batch and instance normalization make of x, both without affine part. The
    gate ``rho [C]`` starts at 1 and is put back into [0, 1] after every update, as in the paper: here at the next use
    of the layer, since the layer does not see the optimizer.

    Args:
        num_features: channels C.
        eps: added to the variances.
        momentum: weight of the newest batch in the running statistics, which are those of batch normalization.
        affine: which of ``weight`` and ``bias`` there are.
    """

    facts = Facts(
        title="Batch-instance normalization, with a learned gate between the two",
        formula="(rho * x_batch + (1 - rho) * x_instance) * weight + bias",
        over="batch and positions, and positions of each example, for each channel",
        batch_statistics=True,
        paper="Nam & Kim 2018",
        vectors=False,
    )

    def __init__(self, num_features: int, *, eps: float = 1e-5, momentum: float = 0.1, affine: Affine = "both") -> None:
        require(among("norm.affine", affine, get_args(Affine)))
        super().__init__(num_features, eps, momentum, affine, track=True)
        self.rho = nn.Parameter(torch.ones(num_features))

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x ``[N, C, *]``; raises :class:`Impossible` for one position per channel."""
        positions = x.shape[2:].numel()
        require_values(
            positions,
            "norm=batch_instance: each channel of an example",
            x.shape,
            "use a larger image, fewer strides or norm=batch",
        )
        self.rho.data.clamp_(0, 1)  # a clamp within the graph would give a gate that has left [0, 1] no gradient back
        centered, mean, var = center(full_precision(x), position_dims(x))
        if self.training:
            batch_mean, batch_var = pooled(mean, var, 0)
            count = len(x) * positions
            self.take_up(batch_mean.detach().view(1, -1), unbiased(batch_var.detach().view(1, -1), count))
        else:
            assert self.running_mean is not None and self.running_var is not None
            batch_mean, batch_var = broadcast_channels(self.running_mean, x), broadcast_channels(self.running_var, x)
        batch_scale = broadcast_channels(self.rho, x) * (batch_var + self.eps).rsqrt()
        scale = batch_scale + (1 - broadcast_channels(self.rho, x)) * (var + self.eps).rsqrt()
        shift = scale_and_shift((mean - batch_mean) * batch_scale, self.weight, self.bias)
        return modulate(centered, scale_and_shift(scale, self.weight, None), shift).to(x.dtype)

    @staticmethod
    def fold(lanes: Sequence[BatchInstanceNorm]) -> nn.Module:
        """K norms as one of ``K * C`` channels."""
        return stacked(lanes, "num_features")
