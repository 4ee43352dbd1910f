"""EvoNorm-B0: an evolved layer in place of batch normalization and its activation (Liu et al. 2020).

Legend: N batch, C channels, * any number of positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bnbench.norms.common.affine import Affine, broadcast_channels, full_precision, scale_and_shift
from bnbench.norms.common.checks import among, require, require_values
from bnbench.norms.common.fused_ops import center, divide, modulate
from bnbench.norms.common.moments import pooled, position_dims, unbiased
from bnbench.norms.common.running import RunningStatistics
from bnbench.norms.common.stacking import stacked
from bnbench.schema.facts import Facts


class EvoNormB0(RunningStatistics):
    """``x / max(sqrt(var_batch + eps), v * x + sqrt(var_instance + eps)) * weight + bias``.

    ``var_batch`` is over the batch and the positions, the running one at evaluation; ``var_instance`` is over the
    positions of the example; ``v`` is one number per channel, from 1 on. The layer normalizes and activates: no
    activation comes behind it. Where none is wanted, as before the addition of a residual block, only weight and bias
    are kept, as in timm.

    Args:
        num_features: channels C.
        eps: added to the variances.
        momentum: weight of the newest batch in the running variance, which is unbiased as that of batch normalization.
        affine: which of ``weight`` and ``bias`` there are.
    """

    facts = Facts(
        title="EvoNorm-B0, which holds its own activation",
        formula="x / max(sqrt(var_batch + eps), v * x + sqrt(var_instance + eps)) * weight + bias",
        over="batch and positions, and positions of each example, for each channel",
        batch_statistics=True,
        paper="Liu et al. 2020",
        vectors=False,
    )
    activates = True
    running = ("running_var",)
    v: nn.Parameter | None

    def __init__(self, num_features: int, *, eps: float = 1e-3, momentum: float = 0.1, affine: Affine = "both") -> None:
        require(among("norm.affine", affine, get_args(Affine)))
        super().__init__(num_features, eps, momentum, affine, track=True)
        self.v = nn.Parameter(torch.ones(num_features))

    def remove_activation(self) -> None:
        """Keep weight and bias only."""
        self.v, self.activates = None, False
        self.running_var, self.num_batches_tracked = None, None

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x ``[N, C, *]``; raises :class:`Impossible` for one position per channel."""
        full = full_precision(x)
        if self.v is None:
            return scale_and_shift(full, self.weight, self.bias).to(x.dtype)
        positions = x.shape[2:].numel()
        require_values(
            positions,
            "norm=evonorm_b0: each channel of an example",
            x.shape,
            "use a larger image, fewer strides or norm=evonorm_s0",
        )
        _, mean, var = center(full, position_dims(x))
        if self.training:
            _, batch_var = pooled(mean, var, 0)
            self.take_up(unbiased(batch_var.detach().view(1, -1), len(x) * positions))
        else:
            assert self.running_var is not None
            batch_var = broadcast_channels(self.running_var, x)
        batch_std = (batch_var + self.eps).sqrt()
        slope = broadcast_channels(self.v, x)
        divisor = F.relu(modulate(full, slope, (var + self.eps).sqrt() - batch_std)) + batch_std
        return scale_and_shift(divide(full, divisor), self.weight, self.bias).to(x.dtype)

    @staticmethod
    def fold(lanes: Sequence[EvoNormB0]) -> nn.Module:
        """K norms as one of ``K * C`` channels."""
        return stacked(lanes, "num_features")
