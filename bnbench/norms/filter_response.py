"""Filter response normalization with the thresholded linear unit (Singh & Krishnan 2020).

Legend: N batch, C channels, * any number of positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bnbench.limits import above
from bnbench.norms.common.affine import Affine, AffineNorm, broadcast_channels, full_precision, scale_and_shift
from bnbench.norms.common.checks import among, require, require_values
from bnbench.norms.common.fused_ops import mean_square, modulate
from bnbench.norms.common.moments import position_dims
from bnbench.norms.common.stacking import stacked
from bnbench.schema.facts import Facts

LEARNED_EPS = 1e-4
"""The initial value of the learned part of eps."""


class FilterResponseNorm(AffineNorm):
    """Each channel of each example is divided by its root mean square, then meets a learned threshold.

    ``max(weight * x / sqrt(nu2 + |eps|) + bias, tau)`` with ``nu2`` the mean of ``x^2`` over the positions and one
    threshold ``tau`` per channel, from 0 on: it takes the place of the ReLU behind it. Where none is wanted, as before
    the addition of a residual block, there is no threshold, as in timm.

    Where a channel has one position, ``x / sqrt(x^2 + eps)`` is little more than the sign of x. There the paper learns
    eps.

    Args:
        num_features: channels C.
        eps: added to the mean square.
        learn_eps: add to eps the absolute value of a parameter per channel as well, from 1e-4 on.
        affine: which of ``weight`` and ``bias`` there are.
    """

    facts = Facts(
        title="Filter response normalization with its thresholded linear unit as activation",
        formula="max(weight * x / sqrt(mean(x^2) + eps) + bias, tau)",
        over="positions, for each channel of each example",
        batch_statistics=False,
        paper="Singh & Krishnan 2020",
        vectors=False,
    )
    activates = True
    tau: nn.Parameter | None
    learned_eps: nn.Parameter | None

    def __init__(
        self, num_features: int, *, eps: float = 1e-6, learn_eps: bool = False, affine: Affine = "both"
    ) -> None:
        require(among("norm.affine", affine, get_args(Affine)), above("norm.eps", eps, 0))
        super().__init__(num_features, eps, affine)
        self.learned_eps = nn.Parameter(torch.full((num_features,), LEARNED_EPS)) if learn_eps else None
        self.tau = nn.Parameter(torch.zeros(num_features))

    def remove_activation(self) -> None:
        """Leave the threshold out."""
        self.tau, self.activates = None, False

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x ``[N, C, *]``; raises :class:`Impossible` for one position per channel unless eps is learned."""
        if self.learned_eps is None:
            require_values(
                x.shape[2:].numel(),
                "norm=frn: each channel of an example",
                x.shape,
                "use a larger image, fewer strides or norm.learn_eps=true",
            )
        full = full_precision(x)
        eps = self.eps if self.learned_eps is None else self.eps + broadcast_channels(self.learned_eps, x).abs()
        scale = scale_and_shift((mean_square(full, position_dims(x)) + eps).rsqrt(), self.weight, None)
        shift = None if self.bias is None else broadcast_channels(self.bias, x)
        if self.tau is None:
            return modulate(full, scale, shift).to(x.dtype)
        tau = broadcast_channels(self.tau, x)
        return (F.relu(modulate(full, scale, -tau if shift is None else shift - tau)) + tau).to(x.dtype)

    @staticmethod
    def fold(lanes: Sequence[FilterResponseNorm]) -> nn.Module:
        """K norms as one of ``K * C`` channels."""
        return stacked(lanes, "num_features")
