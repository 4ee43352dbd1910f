"""Ghost noise injection (Kosson, Fan & Jaggi 2024).

Legend: N batch, C channels, * any number of positions, M examples that are drawn.
"""

from __future__ import annotations

from typing import get_args

import torch
from torch import Tensor

from bnbench.limits import at_least
from bnbench.norms.common.affine import Affine, full_precision, scale_and_shift
from bnbench.norms.common.checks import among, require
from bnbench.norms.common.running import RunningStatistics
from bnbench.schema.facts import Facts


class GhostNoise(RunningStatistics):
    """Batch normalization, then the noise that ghost batches would bring, without their statistics at evaluation.

    In training, ``(y - mean_g) / sqrt((var_g + eps) / (1 + eps)) * weight + bias``, with y from batch normalization
    without affine part, and the mean and variance of y over ``chunk`` examples that each example draws for itself, with
    replacement; both take no gradient. No noise is drawn at evaluation, nor where no gradient is recorded, as when
    statistics are recomputed. The numbers come from torch's global generators, as dropout's.

    Args:
        num_features: channels C.
        chunk: examples that are drawn for each example.
        eps: added to variances.
        momentum: weight of the newest batch in the running statistics.
        affine: which of ``weight`` and ``bias`` there are.
    """

    facts = Facts(
        title="Batch normalization with the noise of ghost batches",
        formula="(batch_norm(x) - mean_g) / sqrt((var_g + eps) / (1 + eps)) * weight + bias, g drawn for each example",
        over="batch and positions, for each channel; g: chunk examples and their positions",
        batch_statistics=True,
        paper="Kosson, Fan & Jaggi 2024",
        smallest_batch=2,
        differs="the authors' noise is a layer by itself, with eps 1e-3; here it stands between normalizing and weight",
    )

    def __init__(
        self,
        num_features: int,
        *,
        chunk: int = 32,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: Affine = "both",
    ) -> None:
        require(among("norm.affine", affine, get_args(Affine)), at_least("norm.chunk", chunk, 1))
        super().__init__(num_features, eps, momentum, affine, track=True)
        self.chunk = chunk

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x ``[N, C, *]``; raises :class:`Impossible` in training for one value per channel."""
        if not self.training:
            return self.normalize_with_running(x)
        y = self.normalize_with_batch(full_precision(x), None, None)
        if torch.is_grad_enabled():
            shift_NC, scale_NC = self._noise(y)
            shape = (*y.shape[:2], *[1] * (y.dim() - 2))
            y = (y - shift_NC.view(shape)) * scale_NC.view(shape)
        return scale_and_shift(y, self.weight, self.bias).to(x.dtype)

    @torch.no_grad()
    def _noise(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """What each channel of an example loses, and by what it is then multiplied: both ``[N, C]``.

        Variances are taken in float64: those of small chunks are the difference of two numbers that are nearly equal.
        """
        drawn_NM = torch.randint(len(y), (len(y), self.chunk), device=y.device)
        values = (y.flatten(2) if y.dim() > 2 else y[..., None]).double()
        mean_NC, square_NC = values.mean(2), values.square().mean(2)
        ghost_mean_NC, ghost_square_NC = mean_NC[drawn_NM].mean(1), square_NC[drawn_NM].mean(1)
        ghost_var_NC = (ghost_square_NC - ghost_mean_NC.square()).clamp(min=0)
        scale_NC = ((1 + self.eps) / (ghost_var_NC + self.eps)).sqrt()
        return ghost_mean_NC.to(y.dtype), scale_NC.to(y.dtype)
