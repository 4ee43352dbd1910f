"""Precise batch normalization (Wu & Johnson 2021, section 3)."""

from __future__ import annotations

from typing import get_args

from torch import Tensor

from bnbench.norms.common.affine import Affine
from bnbench.norms.common.checks import among, require
from bnbench.norms.common.running import RunningStatistics
from bnbench.schema.facts import Facts


class PreciseBatchNorm(RunningStatistics):
    """Batch normalization that is evaluated with population statistics recomputed for the purpose.

    Training is that of batch normalization. Before an evaluation, the layer's ``recomputes`` has the same effect as
    ``evaluate.statistics=recomputed``: mean and variance are those of all inputs over ``evaluate.recompute_batches``
    training batches of the training size, with frozen weights.

    Args:
        num_features: channels C.
        eps: added to the variance.
        affine: which of ``weight`` and ``bias`` there are.
    """

    facts = Facts(
        title="Batch normalization evaluated with recomputed population statistics",
        formula="(x - mean) / sqrt(var + eps) * weight + bias; at evaluation, mean and var of many batches together",
        over="batch and positions, for each channel",
        batch_statistics=True,
        paper="Wu & Johnson 2021",
        smallest_batch=2,
    )
    recomputes = True

    def __init__(self, num_features: int, *, eps: float = 1e-5, affine: Affine = "both") -> None:
        require(among("norm.affine", affine, get_args(Affine)))
        super().__init__(num_features, eps, 0.1, affine, track=True)

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x ``[N, C, *]``; raises :class:`Impossible` in training for one value per channel."""
        return self.normalize_with_batch(x, self.weight, self.bias) if self.training else self.normalize_with_running(x)
