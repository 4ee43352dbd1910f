"""Dynamic erf, a layer in place of a normalization (Chen et al. 2025).

Legend: N batch, C channels, * any number of positions, K lanes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import torch
from torch import Tensor, nn

from bnbench.limits import above, finite
from bnbench.norms.common.affine import Affine, AffineNorm, full_precision, scale_and_shift
from bnbench.norms.common.checks import among, require
from bnbench.norms.common.running import broadcast_number
from bnbench.norms.common.stacking import stacked
from bnbench.schema.facts import Facts


class DynamicErf(AffineNorm):
    """``weight * erf(alpha * x + s) + bias`` with two learned numbers, ``alpha`` and ``s``, for all channels.

    No statistics are taken (arXiv 2512.10938, equation 10). An activation comes behind it as behind any norm.

    Args:
        num_features: channels C.
        alpha: what ``alpha`` starts from.
        s: what ``s`` starts from.
        affine: which of ``weight`` and ``bias`` there are.
    """

    facts = Facts(
        title="Dynamic erf, a layer in place of a normalization",
        formula="weight * erf(alpha * x + s) + bias",
        over="nothing: each value on its own",
        batch_statistics=False,
        paper="Chen et al. 2025",
    )

    def __init__(self, num_features: int, *, alpha: float = 0.5, s: float = 0.0, affine: Affine = "both") -> None:
        require(among("norm.affine", affine, get_args(Affine)), above("norm.alpha", alpha, 0), finite("norm.s", s))
        super().__init__(num_features, 0.0, affine)
        self.alpha = nn.Parameter(torch.tensor(alpha))
        self.s = nn.Parameter(torch.tensor(s))

    def forward(self, x: Tensor) -> Tensor:
        """Squash x ``[N, C, *]``."""
        alpha, s = (broadcast_number(number, x) for number in (self.alpha, self.s))
        return scale_and_shift((alpha * full_precision(x) + s).erf(), self.weight, self.bias).to(x.dtype)

    @staticmethod
    def fold(lanes: Sequence[DynamicErf]) -> nn.Module:
        """K norms as one of ``K * C`` channels, with K numbers ``alpha [K]`` and ``s [K]``."""
        return stacked(lanes, "num_features")
