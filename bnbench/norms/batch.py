"""Batch normalization (Ioffe & Szegedy 2015)."""

from __future__ import annotations

from typing import get_args

from torch import Tensor

from bnbench.norms.common.affine import Affine
from bnbench.norms.common.checks import among, require
from bnbench.norms.common.running import RunningStatistics
from bnbench.schema.facts import Facts


class BatchNorm(RunningStatistics):
    """``(x - mean) / sqrt(var + eps) * weight + bias`` per channel over batch and positions (algorithm 1).

    Args:
        num_features: channels C.
        eps: added to the variance.
        momentum: weight of the newest batch in the running statistics; None averages all batches.
        affine: which of ``weight`` and ``bias`` there are.
        track: keep running statistics for evaluation; False uses batch statistics at evaluation as well.
    """

    facts = Facts(
        title="Batch normalization",
        formula="(x - mean) / sqrt(var + eps) * weight + bias",
        over="batch and positions, for each channel",
        batch_statistics=True,
        paper="Ioffe & Szegedy 2015",
        smallest_batch=2,
    )

    def __init__(
        self,
        num_features: int,
        *,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: Affine = "both",
        track: bool = True,
    ) -> None:
        require(among("norm.affine", affine, get_args(Affine)))
        super().__init__(num_features, eps, momentum, affine, track)

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x ``[N, C, *]``; raises :class:`Impossible` for batch statistics of one value per channel."""
        if self.training or self.running_mean is None:
            return self.normalize_with_batch(x, self.weight, self.bias)
        return self.normalize_with_running(x)
