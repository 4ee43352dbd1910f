"""Exclusive batch normalization (Kosson, Fan & Jaggi 2024).

Legend: N batch, C channels, * any number of positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from torch import Tensor, nn

from bnbench.errors import Impossible
from bnbench.norms.common.affine import Affine, full_precision, scale_and_shift
from bnbench.norms.common.checks import among, require
from bnbench.norms.common.fused_ops import center, modulate
from bnbench.norms.common.moments import channel_dims, position_dims, unbiased
from bnbench.norms.common.running import RunningStatistics
from bnbench.norms.common.stacking import stacked
from bnbench.schema.facts import Facts


class ExclusiveBatchNorm(RunningStatistics):
    """Batch normalization in which each example meets the mean and variance of all others, without its own values.

    In training, ``(x_i - mean(others)) / sqrt(var(others) + eps) * weight + bias``, with gradients through both; at
    evaluation the running statistics, which are those of batch normalization, normalize. Sums over the others are taken
    in float64: the difference of two sums in float32 may fall below zero.

    Args:
        num_features: channels C.
        eps: added to the variance.
        momentum: weight of the newest batch in the running statistics.
        affine: which of ``weight`` and ``bias`` there are.
    """

    facts = Facts(
        title="Exclusive batch normalization, by the statistics of the other examples",
        formula="(x - mean_others) / sqrt(var_others + eps) * weight + bias",
        over="the other examples of the batch and their positions, for each channel",
        batch_statistics=True,
        paper="Kosson, Fan & Jaggi 2024",
        smallest_batch=3,
        smallest_with_positions=2,
        differs="the authors' running variance is the biased one; here it is that of batch normalization",
    )

    def __init__(self, num_features: int, *, eps: float = 1e-5, momentum: float = 0.1, affine: Affine = "both") -> None:
        require(among("norm.affine", affine, get_args(Affine)))
        super().__init__(num_features, eps, momentum, affine, track=True)

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x ``[N, C, *]``; raises :class:`Impossible` in training if others have fewer than two values."""
        if not self.training:
            return self.normalize_with_running(x)
        positions = x.shape[2:].numel()
        others = (len(x) - 1) * positions
        if others < 2:
            raise Impossible(
                "norm=xbn: each channel of the other examples needs at least two values; an input of shape "
                f"{list(x.shape)} gives {others}: use a batch of at least 3, or norm=batch"
            )
        centered, mean, var = center(full_precision(x), channel_dims(x))
        self.take_up(mean.detach().view(1, -1), unbiased(var.detach().view(1, -1), len(x) * positions))
        values = centered.double().flatten(2) if x.dim() > 2 else centered.double()[..., None]
        sum_NC, square_NC = values.sum(2), values.square().sum(2)
        mean_NC = (sum_NC.sum(0) - sum_NC) / others
        var_NC = ((square_NC.sum(0) - square_NC) / others - mean_NC.square()).clamp(min=0)
        scale_NC = (var_NC + self.eps).rsqrt()
        shape = (*x.shape[:2], *[1] * len(position_dims(x)))
        scale, shift = (value.to(centered.dtype).view(shape) for value in (scale_NC, -mean_NC * scale_NC))
        scale, shift = scale_and_shift(scale, self.weight, None), scale_and_shift(shift, self.weight, self.bias)
        return modulate(centered, scale, shift).to(x.dtype)

    @staticmethod
    def fold(lanes: Sequence[ExclusiveBatchNorm]) -> nn.Module:
        """K norms as one of ``K * C`` channels."""
        return stacked(lanes, "num_features")
