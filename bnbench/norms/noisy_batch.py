"""Batch normalization followed by noise that changes with time (Santurkar et al. 2018).

Legend: N batch, C channels, * any number of positions.
"""

from __future__ import annotations

from typing import get_args

import torch
from torch import Tensor

from bnbench.limits import at_least
from bnbench.norms.common.affine import Affine, full_precision
from bnbench.norms.common.checks import among, require
from bnbench.norms.common.running import RunningStatistics
from bnbench.schema.facts import Facts


class NoisyBatchNorm(RunningStatistics):
    """``s * y + m`` with y from batch normalization: a covariate shift on purpose.

    At every training step each channel draws a mean from ``U(-shift, shift)`` and a scale from ``U(1, scale)``; around
    them each example draws its own ``m``, uniformly within ``shift_spread``, and ``s``, normally with the standard
    deviation ``scale_spread``, for all positions of a channel. No noise is drawn at evaluation, nor where no gradient
    is recorded, as when statistics are recomputed. The numbers come from torch's global generators, as dropout's.

    Args:
        num_features: channels C.
        shift: limit of the mean of the shifts.
        scale: limit of the mean of the scales, at least 1.
        shift_spread: half the width of the shifts around their mean.
        scale_spread: standard deviation of the scales around their mean.
        eps: added to the variance.
        momentum: weight of the newest batch in the running statistics.
        affine: which of ``weight`` and ``bias`` there are.
    """

    facts = Facts(
        title="Batch normalization followed by noise that changes with time",
        formula="s * batch_norm(x) + m, s and m drawn for each channel and example of each step",
        over="batch and positions, for each channel",
        batch_statistics=True,
        paper="Santurkar et al. 2018",
        smallest_batch=2,
    )

    def __init__(
        self,
        num_features: int,
        *,
        shift: float = 0.5,
        scale: float = 1.25,
        shift_spread: float = 0.1,
        scale_spread: float = 0.1,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: Affine = "both",
    ) -> None:
        require(
            among("norm.affine", affine, get_args(Affine)),
            at_least("norm.shift", shift, 0),
            at_least("norm.scale", scale, 1),
            at_least("norm.shift_spread", shift_spread, 0),
            at_least("norm.scale_spread", scale_spread, 0),
        )
        super().__init__(num_features, eps, momentum, affine, track=True)
        self.shift, self.scale = shift, scale
        self.shift_spread, self.scale_spread = shift_spread, scale_spread

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x ``[N, C, *]``; raises :class:`Impossible` in training for one value per channel."""
        if not self.training:
            return self.normalize_with_running(x)
        y = self.normalize_with_batch(full_precision(x), self.weight, self.bias)
        if torch.is_grad_enabled():
            scale_NC, shift_NC = self._noise(y)
            shape = (*y.shape[:2], *[1] * (y.dim() - 2))
            y = scale_NC.view(shape) * y + shift_NC.view(shape)
        return y.to(x.dtype)

    def _noise(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Scales and shifts ``[N, C]`` of one step; the draws are float32, the same for any type of y ``[N, C, *]``."""
        mean_C, scale_C = torch.rand(2, y.shape[1], dtype=torch.float32, device=y.device).to(y.dtype)
        uniform_NC = torch.rand(y.shape[:2], dtype=torch.float32, device=y.device).to(y.dtype)
        normal_NC = torch.randn(y.shape[:2], dtype=torch.float32, device=y.device).to(y.dtype)
        shift_NC = self.shift * (2 * mean_C - 1) + self.shift_spread * (2 * uniform_NC - 1)
        return 1 + (self.scale - 1) * scale_C + self.scale_spread * normal_NC, shift_NC
