"""Dynamic inverse square root unit, a layer in place of a normalization (Stollenwerk 2025).

Legend: N batch, C channels, * any number of positions, K lanes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import torch
from torch import Tensor, nn

from bnbench.limits import above
from bnbench.norms.common.affine import Affine, AffineNorm, full_precision, scale_and_shift
from bnbench.norms.common.checks import among, require
from bnbench.norms.common.running import broadcast_number
from bnbench.norms.common.stacking import stacked
from bnbench.schema.facts import Facts


class InverseSquareRootUnit(AffineNorm):
    """``weight * alpha * x / sqrt(1 + (alpha * x)^2) + bias`` with one learned number ``alpha`` for all channels.

    Value by value it is what root-mean-square normalization is for an outlier (arXiv 2503.21708), with
    ``beta = 1 / alpha^2`` there; the unit itself is of Carlile et al. 2017. No statistics are taken.

    Args:
        num_features: channels C.
        alpha: what ``alpha`` starts from.
        affine: which of ``weight`` and ``bias`` there are.
    """

    facts = Facts(
        title="Dynamic inverse square root unit, a layer in place of a normalization",
        formula="weight * alpha * x / sqrt(1 + (alpha * x)^2) + bias",
        over="nothing: each value on its own",
        batch_statistics=False,
        paper="Stollenwerk 2025",
        differs="the paper learns beta = 1 / alpha^2 in sqrt(beta + x^2); alpha starts as that of dyt does",
    )

    def __init__(self, num_features: int, *, alpha: float = 0.5, affine: Affine = "both") -> None:
        require(among("norm.affine", affine, get_args(Affine)), above("norm.alpha", alpha, 0))
        super().__init__(num_features, 0.0, affine)
        self.alpha = nn.Parameter(torch.tensor(alpha))

    def forward(self, x: Tensor) -> Tensor:
        """Squash x ``[N, C, *]``."""
        z = broadcast_number(self.alpha, x) * full_precision(x)
        return scale_and_shift(z * (1 + z * z).rsqrt(), self.weight, self.bias).to(x.dtype)

    @staticmethod
    def fold(lanes: Sequence[InverseSquareRootUnit]) -> nn.Module:
        """K norms as one of ``K * C`` channels, with K numbers ``alpha [K]``."""
        return stacked(lanes, "num_features")
