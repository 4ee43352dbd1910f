"""Global response normalization (Woo et al. 2023).

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
from bnbench.norms.common.moments import position_dims
from bnbench.norms.common.stacking import stacked
from bnbench.schema.facts import Facts


class GlobalResponseNorm(AffineNorm):
    """``weight * (x * G / (mean(G) + eps)) + bias + x``, with G the 2-norm of each channel of an example.

    The mean is over the channels of the example (ConvNeXt V2, algorithm 1). ``weight`` and ``bias`` start at zero, so
    that the layer starts as the identity.

    Args:
        num_features: channels C.
        eps: added to the mean of the norms.
        affine: which of ``weight`` and ``bias`` there are; without a weight the response has weight one.
    """

    facts = Facts(
        title="Global response normalization",
        formula="weight * x * G / (mean(G) + eps) + bias + x, G the 2-norm of a channel",
        over="positions of each channel, then channels, for each example",
        batch_statistics=False,
        paper="Woo et al. 2023",
    )

    def __init__(self, num_features: int, *, eps: float = 1e-6, affine: Affine = "both") -> None:
        require(among("norm.affine", affine, get_args(Affine)), above("norm.eps", eps, 0))
        super().__init__(num_features, eps, affine)
        self.lanes = 1
        if self.weight is not None:
            nn.init.zeros_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh the channels of x ``[N, C, *]``, or ``[N, K * C, *]`` of K lanes."""
        full = full_precision(x)
        norm_NC = torch.linalg.vector_norm(full, dim=position_dims(x), keepdim=True) if x.dim() > 2 else full.abs()
        norm_NKC = torch.unflatten(norm_NC, 1, (self.lanes, -1))
        response = (norm_NKC / (norm_NKC.mean(2, keepdim=True) + self.eps)).flatten(1, 2)
        return (scale_and_shift(full * response, self.weight, self.bias) + full).to(x.dtype)

    @staticmethod
    def fold(lanes: Sequence[GlobalResponseNorm]) -> nn.Module:
        """K norms as one of ``K * C`` channels."""
        return stacked(lanes, "num_features", "lanes")
