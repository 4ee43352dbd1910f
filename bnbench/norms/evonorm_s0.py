"""EvoNorm-S0: an evolved layer in place of group normalization and its activation (Liu et al. 2020).

Legend: N batch, C channels, * any number of positions, G groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import torch
from torch import Tensor, nn

from bnbench.limits import above, at_least
from bnbench.norms.common.affine import Affine, AffineNorm, broadcast_channels, full_precision, scale_and_shift
from bnbench.norms.common.checks import among, require
from bnbench.norms.common.fused_ops import center, modulate, swish
from bnbench.norms.common.moments import pooled, position_dims
from bnbench.norms.common.stacking import stacked
from bnbench.norms.group import require_group_values, require_groups
from bnbench.schema.facts import Facts


class EvoNormS0(AffineNorm):
    """``x * sigmoid(v * x) / sqrt(var_group + eps) * weight + bias``.

    ``var_group`` is an example's variance over the channels of a group and all positions; ``v`` is one number per
    channel, from 1 on. The layer normalizes and activates: no activation comes behind it. Where none is wanted, as
    before the addition of a residual block, only weight and bias are kept, as in timm.

    Args:
        num_features: channels C.
        groups: number of groups; divides C. The paper has 32, in layers of 64 channels or more.
        eps: added to the biased variance.
        affine: which of ``weight`` and ``bias`` there are.

    Raises:
        Impossible: ``groups`` does not divide ``num_features``.
    """

    facts = Facts(
        title="EvoNorm-S0, which holds its own activation",
        formula="x * sigmoid(v * x) / sqrt(var_group + eps) * weight + bias",
        over="channels of a group and positions, for each example",
        batch_statistics=False,
        paper="Liu et al. 2020",
        differs="32 groups in the paper, in layers of 64 channels or more",
    )
    activates = True
    v: nn.Parameter | None

    def __init__(self, num_features: int, *, groups: int = 4, eps: float = 1e-5, affine: Affine = "both") -> None:
        require(
            among("norm.affine", affine, get_args(Affine)),
            above("norm.eps", eps, 0),
            at_least("norm.groups", groups, 1),
        )
        require_groups(num_features, groups)
        super().__init__(num_features, eps, affine)
        self.groups = groups
        self.v = nn.Parameter(torch.ones(num_features))

    def remove_activation(self) -> None:
        """Keep weight and bias only."""
        self.v, self.activates = None, False

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x ``[N, C, *]``; raises :class:`Impossible` for a group of one value."""
        full = full_precision(x)
        if self.v is None:
            return scale_and_shift(full, self.weight, self.bias).to(x.dtype)
        require_group_values(self.groups, x)
        _, mean, var = center(full, position_dims(x))
        shape = (len(x), self.groups, -1)
        _, var = pooled(mean.reshape(shape), var.reshape(shape), 2)
        scale = (var + self.eps).rsqrt().expand(*shape[:2], self.num_features // self.groups).reshape(mean.shape)
        bias = None if self.bias is None else broadcast_channels(self.bias, x)
        activation = swish(full, broadcast_channels(self.v, x))
        return modulate(activation, scale_and_shift(scale, self.weight, None), bias).to(x.dtype)

    @staticmethod
    def fold(lanes: Sequence[EvoNormS0]) -> nn.Module:
        """K norms as one of ``K * C`` channels in K times the groups."""
        return stacked(lanes, "num_features", "groups")
