"""Root-mean-square normalization (Zhang & Sennrich 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import torch.nn.functional as F
from torch import Tensor, nn

from bnbench.limits import above
from bnbench.norms.common.affine import Affine, AffineNorm, broadcast_channels, full_precision, scale_and_shift
from bnbench.norms.common.checks import among, require
from bnbench.norms.common.fused_ops import mean_square, modulate
from bnbench.norms.common.stacking import PerExample
from bnbench.norms.layer import Over
from bnbench.schema.facts import Facts


class RMSNorm(AffineNorm):
    """``weight * x / sqrt(mean(x^2) + eps)`` per example (equation 4), with an affine part per channel.

    Args:
        num_features: channels C.
        over: ``all`` takes the mean over channels and positions, ``channels`` over the channels at each position.
        eps: added to the mean square.
        affine: which of ``weight`` and ``bias`` there are; the paper has the scale only.
    """

    facts = Facts(
        title="Root-mean-square normalization",
        formula="x / sqrt(mean(x^2) + eps) * weight",
        over="channels and positions of each example, or channels at each position",
        batch_statistics=False,
        paper="Zhang & Sennrich 2019",
    )
    per_token = True

    def __init__(self, num_features: int, *, over: Over = "all", eps: float = 1e-5, affine: Affine = "scale") -> None:
        require(
            among("norm.affine", affine, get_args(Affine)),
            among("norm.over", over, get_args(Over)),
            above("norm.eps", eps, 0),
        )
        super().__init__(num_features, eps, affine)
        self.over = over

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x ``[N, C, *]``."""
        return rms_norm(x, self.over, self.weight, self.bias, self.eps)

    @staticmethod
    def fold(lanes: Sequence[RMSNorm]) -> nn.Module:
        """K norms as one; the affine part is per lane."""
        first = lanes[0]
        return PerExample(lanes, RMSNorm(first.num_features, over=first.over, eps=first.eps, affine="none"))


def rms_norm(x: Tensor, over: Over, weight_C: Tensor | None, bias_C: Tensor | None, eps: float) -> Tensor:
    """Divide x ``[N, C, *]`` by its root mean square, in float32 or better; the result has the type of x."""
    full = full_precision(x)
    if over == "all":
        inverse = (mean_square(full, tuple(range(1, x.dim()))) + eps).rsqrt()
        shift = None if bias_C is None else broadcast_channels(bias_C, x)
        return modulate(full, scale_and_shift(inverse, weight_C, None), shift).to(x.dtype)
    y = F.rms_norm(full.movedim(1, -1), x.shape[1:2], eps=eps).movedim(-1, 1)
    return scale_and_shift(y, weight_C, bias_C).to(x.dtype)
