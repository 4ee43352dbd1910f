"""Batch renormalization (Ioffe 2017).

Legend: N batch, C channels, or K lanes of as many each, * any number of positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor

from bnbench.limits import at_least
from bnbench.norms.common.affine import Affine, full_precision
from bnbench.norms.common.checks import among, require
from bnbench.norms.common.fused_ops import center
from bnbench.norms.common.moments import channel_dims
from bnbench.norms.common.running import RunningStatistics, per_channel
from bnbench.schema.facts import Facts


@dataclass(frozen=True, slots=True)
class Corrections:
    """The scale r and the shift d towards the running statistics, and when they are in force; see BatchRenorm."""

    r_max: float
    d_max: float
    warmup_steps: int
    ramp_steps: int
    eps: float

    @torch.no_grad()
    def scale_and_shift(
        self, batch_C: tuple[Tensor, Tensor], running_C: tuple[Tensor, Tensor], count: Tensor
    ) -> tuple[Tensor, Tensor]:
        """r and d from a batch's mean and biased variance and the running ones, without gradient.

        Args:
            count: batches before this one, a scalar, or ``[K]`` for lanes.
        """
        (batch_mean_C, batch_var_C), (mean_C, var_C) = batch_C, running_C
        step = per_channel(count + 1, len(mean_C)).to(mean_C.dtype)
        share = ((step - self.warmup_steps) / max(self.ramp_steps, 1)).clamp(0, 1)
        r_max, d_max = 1 + share * (self.r_max - 1), share * self.d_max
        std_C = (var_C + self.eps).sqrt()
        r_C = ((batch_var_C + self.eps).sqrt() / std_C).clamp(1 / r_max, r_max)
        d_C = ((batch_mean_C - mean_C) / std_C).clamp(-d_max, d_max)
        return r_C, d_C

    def affine(
        self,
        batch_C: tuple[Tensor, Tensor],
        running_C: tuple[Tensor, Tensor],
        count: Tensor,
        weight_C: Tensor | None,
        bias_C: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """The scale and shift of ``x_hat`` in ``(x_hat * r + d) * weight + bias``."""
        r_C, d_C = self.scale_and_shift(batch_C, running_C, count)
        if weight_C is not None:
            r_C, d_C = r_C * weight_C, d_C * weight_C
        return r_C, d_C if bias_C is None else d_C + bias_C


class BatchRenorm(RunningStatistics):
    """Batch normalization, corrected towards the running statistics: ``(x_hat * r + d) * weight + bias`` (algorithm 1).

    ``r = clip(std_B / std, 1 / r_max, r_max)`` and ``d = clip((mean_B - mean) / std, -d_max, d_max)`` take no gradient;
    mean and ``std = sqrt(running_var + eps)`` are the running statistics before this batch. The limits are 1 and 0
    for ``warmup_steps`` training steps of this layer, then rise linearly to ``r_max`` and ``d_max`` within
    ``ramp_steps`` (section 3 of the paper). At evaluation the running statistics normalize.

    The paper averages the biased standard deviation; here the running variance is that of batch normalization, so the
    two layers differ in r and d only and are equal, at evaluation too, with ``r_max=1`` and ``d_max=0``.

    Args:
        num_features: channels C.
        r_max: limit of the scale correction, at least 1.
        d_max: limit of the shift correction, at least 0.
        warmup_steps: training steps of plain batch normalization.
        ramp_steps: training steps in which the limits rise.
        eps: added to the variance.
        momentum: weight of the newest batch in the running statistics.
        affine: which of ``weight`` and ``bias`` there are.
    """

    facts = Facts(
        title="Batch renormalization",
        formula="((x - mean) / sqrt(var + eps) * r + d) * weight + bias",
        over="batch and positions, for each channel, corrected by r and d towards the running statistics",
        batch_statistics=True,
        paper="Ioffe 2017",
        smallest_batch=2,
    )

    def __init__(
        self,
        num_features: int,
        *,
        r_max: float = 3.0,
        d_max: float = 5.0,
        warmup_steps: int = 100,
        ramp_steps: int = 400,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: Affine = "both",
    ) -> None:
        require(
            among("norm.affine", affine, get_args(Affine)),
            at_least("norm.r_max", r_max, 1),
            at_least("norm.d_max", d_max, 0),
            at_least("norm.warmup_steps", warmup_steps, 0),
            at_least("norm.ramp_steps", ramp_steps, 0),
        )
        super().__init__(num_features, eps, momentum, affine, track=True)
        self.corrections = Corrections(r_max, d_max, warmup_steps, ramp_steps, eps)

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x ``[N, C, *]``; raises :class:`Impossible` in training for one value per channel."""
        if not self.training:
            return self.normalize_with_running(x)
        assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
        _, *moments = center(full_precision(x.detach()), channel_dims(x))
        mean_C, var_C = (value.flatten() for value in moments)
        running_C = self.running_mean, self.running_var
        affine_C = full_precision(self.weight), full_precision(self.bias)
        corrected_C = self.corrections.affine((mean_C, var_C), running_C, self.num_batches_tracked, *affine_C)
        return self.normalize_with_batch(x, *corrected_C)
