"""Dynamic tanh, a layer in place of a normalization (Zhu et al. 2025).

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


class DynamicTanh(AffineNorm):
    """``weight * tanh(alpha * x) + bias`` with one learned number ``alpha`` for all channels.

    No statistics are taken. An activation comes behind it as behind any norm.

    Args:
        num_features: channels C.
        alpha: what ``alpha`` starts from.
        affine: which of ``weight`` and ``bias`` there are.
    """

    facts = Facts(
        title="Dynamic tanh, a layer in place of a normalization",
        formula="weight * tanh(alpha * x) + bias",
        over="nothing: each value on its own",
        batch_statistics=False,
        paper="Zhu et al. 2025",
    )

    def __init__(self, num_features: int, *, alpha: float = 0.5, affine: Affine = "both") -> None:
        require(among("norm.affine", affine, get_args(Affine)), above("norm.alpha", alpha, 0))
        super().__init__(num_features, 0.0, affine)
        self.alpha = nn.Parameter(torch.tensor(alpha))

    def forward(self, x: Tensor) -> Tensor:
        """Squash x ``[N, C, *]``."""
        squashed = (broadcast_number(self.alpha, x) * full_precision(x)).tanh()
        return scale_and_shift(squashed, self.weight, self.bias).to(x.dtype)

    @staticmethod
    def fold(lanes: Sequence[DynamicTanh]) -> nn.Module:
        """K norms as one of ``K * C`` channels, with K numbers ``alpha [K]``."""
        return stacked(lanes, "num_features")
