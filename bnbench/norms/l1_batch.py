"""Batch normalization by the mean absolute deviation (Hoffer et al. 2018).

Legend: N batch, C channels, * any number of positions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, get_args

from torch import Tensor, nn

from bnbench.norms.common.affine import Affine, broadcast_channels, full_precision, scale_and_shift
from bnbench.norms.common.checks import among, require
from bnbench.norms.common.fused_ops import center, mean_absolute, modulate
from bnbench.norms.common.moments import channel_dims
from bnbench.norms.common.running import RunningStatistics, require_batch
from bnbench.norms.common.stacking import stacked
from bnbench.schema.facts import Facts

NORMAL = math.sqrt(math.pi / 2)
"""The standard deviation of a normal distribution, divided by its mean absolute deviation."""


class L1BatchNorm(RunningStatistics):
    """``(x - mean) / (deviation + eps) * weight + bias`` per channel over batch and positions.

    ``deviation = sqrt(pi / 2) * mean(|x - mean|)`` is the standard deviation if x is normally distributed; its running
    average stands for it at evaluation.

    Args:
        num_features: channels C.
        eps: added to the deviation.
        momentum: weight of the newest batch in the running statistics.
        affine: which of ``weight`` and ``bias`` there are.
    """

    facts = Facts(
        title="Batch normalization by the mean absolute deviation",
        formula="(x - mean) / (sqrt(pi / 2) * mean(|x - mean|) + eps) * weight + bias",
        over="batch and positions, for each channel",
        batch_statistics=True,
        paper="Hoffer et al. 2018",
        smallest_batch=2,
    )
    running = ("running_mean", "running_deviation")
    averages: ClassVar = {"running_deviation": lambda centered: NORMAL * centered.abs()}
    running_deviation: Tensor | None

    def __init__(self, num_features: int, *, eps: float = 1e-5, momentum: float = 0.1, affine: Affine = "both") -> None:
        require(among("norm.affine", affine, get_args(Affine)))
        super().__init__(num_features, eps, momentum, affine, track=True)

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x ``[N, C, *]``; raises :class:`Impossible` in training for one value per channel."""
        full = full_precision(x)
        if self.training:
            require_batch(x)
            centered, mean, _ = center(full, channel_dims(x))
            deviation = NORMAL * mean_absolute(centered, channel_dims(x))
            self.take_up(mean.detach().view(1, -1), deviation.detach().view(1, -1))
        else:
            assert self.running_mean is not None and self.running_deviation is not None
            centered = full - broadcast_channels(self.running_mean, x)
            deviation = broadcast_channels(self.running_deviation, x)[None]
        scale = scale_and_shift((deviation + self.eps).reciprocal(), self.weight, None)
        return modulate(centered, scale, None if self.bias is None else broadcast_channels(self.bias, x)).to(x.dtype)

    @staticmethod
    def fold(lanes: Sequence[L1BatchNorm]) -> nn.Module:
        """K norms as one of ``K * C`` channels."""
        return stacked(lanes, "num_features")
