"""Re-parameterized batch normalization, and its progress from layer normalization (Guo et al. 2024).

Legend: N batch, C channels, * any number of positions, K lanes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bnbench.limits import at_least
from bnbench.norms.common.affine import Affine, full_precision, scale_and_shift
from bnbench.norms.common.checks import among, require
from bnbench.norms.common.running import RunningStatistics, broadcast_number
from bnbench.norms.common.stacking import stacked
from bnbench.schema.facts import Facts


class RepBatchNorm(RunningStatistics):
    """``batch_norm(x) + eta * x`` with one learned number ``eta``, from 1 on; at evaluation it is one batch norm.

    Args:
        num_features: channels C.
        eps: added to the variance.
        momentum: weight of the newest batch in the running statistics.
        affine: which of ``weight`` and ``bias`` of batch normalization there are.
    """

    facts = Facts(
        title="Re-parameterized batch normalization",
        formula="(x - mean) / sqrt(var + eps) * weight + bias + eta * x",
        over="batch and positions, for each channel",
        batch_statistics=True,
        paper="Guo et al. 2024",
        smallest_batch=2,
    )

    def __init__(self, num_features: int, *, eps: float = 1e-5, momentum: float = 0.1, affine: Affine = "both") -> None:
        require(among("norm.affine", affine, get_args(Affine)))
        super().__init__(num_features, eps, momentum, affine, track=True)
        self.eta = nn.Parameter(torch.tensor(1.0))

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x ``[N, C, *]``; raises :class:`Impossible` in training for one value per channel."""
        full = full_precision(x)
        y = (
            self.normalize_with_batch(full, self.weight, self.bias)
            if self.training
            else self.normalize_with_running(full)
        )
        return (y + broadcast_number(self.eta, x) * full).to(x.dtype)

    @staticmethod
    def fold(lanes: Sequence[RepBatchNorm]) -> nn.Module:
        """K norms as one of ``K * C`` channels, with K numbers ``eta [K]``."""
        return stacked(lanes, "num_features")


class ProgressiveRepBatchNorm(RepBatchNorm):
    """``share * layer_norm(x) + (1 - share) * repbn(x)``; the share of layer normalization falls from 1 to 0.

    It falls linearly within ``decay_steps`` training steps of this layer. Layer normalization is over the channels at
    each position, with ``layer_weight [C]`` and ``layer_bias [C]`` of its own. There is none of it at evaluation with
    running statistics, and from ``freeze_statistics`` on.

    Args:
        num_features: channels C.
        decay_steps: training steps until nothing is left of layer normalization.
        eps: added to variances.
        momentum: weight of the newest batch in the running statistics.
        affine: which weights and biases there are, of both.
    """

    facts = Facts(
        title="Layer normalization that turns into re-parameterized batch normalization",
        formula="share * layer_norm(x) + (1 - share) * repbn(x), share from 1 to 0 in training",
        over="channels at each position; batch and positions, for each channel",
        batch_statistics=True,
        paper="Guo et al. 2024",
        smallest_batch=2,
        differs="300,000 steps in the authors' code",
    )
    layer_weight: nn.Parameter | None
    layer_bias: nn.Parameter | None

    def __init__(
        self,
        num_features: int,
        *,
        decay_steps: int = 400,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: Affine = "both",
    ) -> None:
        require(among("norm.affine", affine, get_args(Affine)), at_least("norm.decay_steps", decay_steps, 1))
        super().__init__(num_features, eps=eps, momentum=momentum, affine=affine)
        self.decay_steps, self.lanes = decay_steps, 1
        self.layer_weight = nn.Parameter(torch.ones(num_features)) if affine in ("both", "scale") else None
        self.layer_bias = nn.Parameter(torch.zeros(num_features)) if affine in ("both", "shift") else None

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x ``[N, C, *]``, or ``[N, K * C, *]`` of K lanes."""
        if not self.training:
            return super().forward(x)
        assert self.num_batches_tracked is not None
        full = full_precision(x)
        share = (1 - self.num_batches_tracked.to(full.dtype) / self.decay_steps).clamp(min=0)
        share = broadcast_number(share, x) if share.dim() else share
        x_NKC = torch.unflatten(full, 1, (self.lanes, -1)).movedim(2, -1)
        layer = F.layer_norm(x_NKC, x_NKC.shape[-1:], eps=self.eps).movedim(-1, 2).flatten(1, 2)
        layer = scale_and_shift(layer, self.layer_weight, self.layer_bias)
        return (share * layer + (1 - share) * super().forward(full)).to(x.dtype)

    @staticmethod
    def fold(lanes: Sequence[RepBatchNorm]) -> nn.Module:
        """K norms as one of ``K * C`` channels, with K numbers ``eta [K]``."""
        return stacked(lanes, "num_features", "lanes")
