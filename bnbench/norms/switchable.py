"""Switchable normalization (Luo et al. 2019).

Legend: N batch, K lanes, C channels of a lane, * any number of positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import torch
from torch import Tensor, nn

from bnbench.norms.common.affine import Affine, full_precision, scale_and_shift
from bnbench.norms.common.checks import among, require, require_values
from bnbench.norms.common.fused_ops import center, modulate
from bnbench.norms.common.moments import pooled, position_dims, unbiased
from bnbench.norms.common.running import RunningStatistics
from bnbench.norms.common.stacking import stacked
from bnbench.schema.facts import Facts

Moments = tuple[Tensor, Tensor]


class SwitchableNorm(RunningStatistics):
    """``(x - mean) / sqrt(var + eps) * weight + bias`` with learned averages of three means and variances.

    ``mean`` weighs the means of instance, layer and batch normalization, in this order, by the softmax of
    ``mean_weight [3]``; ``var`` weighs the biased variances by that of ``var_weight [3]``. Both start at equal parts.
    At evaluation the running statistics stand for those of the batch.

    Args:
        num_features: channels C.
        eps: added to the variance.
        momentum: weight of the newest batch in the running statistics, which are those of batch normalization.
        affine: which of ``weight`` and ``bias`` there are.

    Attributes:
        lanes: equal blocks of channels that each have an example's layer statistics and weights of their own.
    """

    facts = Facts(
        title="Switchable normalization, with learned averages of three kinds of statistics",
        formula="(x - sum_k p_k mean_k) / sqrt(sum_k q_k var_k + eps) * weight + bias, p and q softmax weights",
        over="k: positions; channels and positions of an example; batch and positions",
        batch_statistics=True,
        paper="Luo et al. 2019",
        vectors=False,
    )

    def __init__(self, num_features: int, *, eps: float = 1e-5, momentum: float = 0.1, affine: Affine = "both") -> None:
        require(among("norm.affine", affine, get_args(Affine)))
        super().__init__(num_features, eps, momentum, affine, track=True)
        self.mean_weight = nn.Parameter(torch.ones(3))
        self.var_weight = nn.Parameter(torch.ones(3))
        self.lanes = 1

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x ``[N, K * C, *]``; raises :class:`Impossible` for one position per channel."""
        positions = x.shape[2:].numel()
        require_values(
            positions,
            "norm=switchable: each channel of an example",
            x.shape,
            "use a larger image, fewer strides or norm=layer",
        )
        centered, *moments = center(full_precision(x), position_dims(x))
        mean, var = (value.reshape(len(x), self.lanes, -1) for value in moments)
        kinds = (mean, var), pooled(mean, var, 2), self._batch(mean, var, positions)
        offset = mean - weighted(self.mean_weight, [mean for mean, _ in kinds])
        scale = (weighted(self.var_weight, [var for _, var in kinds]) + self.eps).rsqrt()
        shape = (len(x), -1, *[1] * (x.dim() - 2))
        scale, offset = scale.reshape(shape), offset.reshape(shape)
        shift = scale_and_shift(offset * scale, self.weight, self.bias)
        return modulate(centered, scale_and_shift(scale, self.weight, None), shift).to(x.dtype)

    def _batch(self, mean_NKC: Tensor, var_NKC: Tensor, positions: int) -> Moments:
        """The batch's statistics ``[1, K, C]``, taken up in training, or the running ones."""
        if not self.training:
            assert self.running_mean is not None and self.running_var is not None
            return self.running_mean.view(1, self.lanes, -1), self.running_var.view(1, self.lanes, -1)
        mean, var = pooled(mean_NKC, var_NKC, 0)
        self.take_up(mean.detach().view(1, -1), unbiased(var.detach().view(1, -1), len(mean_NKC) * positions))
        return mean, var

    @staticmethod
    def fold(lanes: Sequence[SwitchableNorm]) -> nn.Module:
        """K norms as one of ``K * C`` channels, with three weights for each of them."""
        return stacked(lanes, "num_features", "lanes")


def weighted(weight: Tensor, values: Sequence[Tensor]) -> Tensor:
    """The sum of three statistics ``[N or 1, K, C or 1]``, by the softmax of each lane's part of ``weight [3 * K]``."""
    instance_K1, layer_K1, batch_K1 = full_precision(weight).view(-1, 3, 1).softmax(1).unbind(1)
    return instance_K1 * values[0] + layer_K1 * values[1] + batch_K1 * values[2]
