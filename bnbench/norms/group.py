"""Group normalization (Wu & He 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import torch.nn.functional as F
from torch import Tensor, nn

from bnbench.errors import Impossible
from bnbench.limits import above, at_least
from bnbench.norms.common.affine import Affine, AffineNorm, full_precision
from bnbench.norms.common.checks import among, require, require_values
from bnbench.norms.common.stacking import PerExample
from bnbench.schema.facts import Facts


class GroupNorm(AffineNorm):
    """Each example's channels are normalized in groups, over the channels of a group and all positions (equation 7).

    Args:
        num_features: channels C.
        groups: number of groups; divides C.
        eps: added to the biased variance.
        affine: which of ``weight`` and ``bias`` there are.

    Raises:
        Impossible: ``groups`` does not divide ``num_features``.
    """

    facts = Facts(
        title="Group normalization",
        formula="(x - mean) / sqrt(var + eps) * weight + bias",
        over="channels of a group and positions, for each example",
        batch_statistics=False,
        paper="Wu & He 2018",
        differs="32 groups in the paper, whose narrowest layers have 64 channels; ours have 16",
    )
    per_token = True

    def __init__(self, num_features: int, *, groups: int = 4, eps: float = 1e-5, affine: Affine = "both") -> None:
        require(
            among("norm.affine", affine, get_args(Affine)),
            above("norm.eps", eps, 0),
            at_least("norm.groups", groups, 1),
        )
        require_groups(num_features, groups)
        super().__init__(num_features, eps, affine)
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x ``[N, C, *]``; raises :class:`Impossible` for a group of one value."""
        return group_norm(x, self.groups, self.weight, self.bias, self.eps)

    @staticmethod
    def fold(lanes: Sequence[GroupNorm]) -> nn.Module:
        """K norms as one; the affine part is per lane."""
        first = lanes[0]
        return PerExample(lanes, GroupNorm(first.num_features, groups=first.groups, eps=first.eps, affine="none"))


def require_groups(num_features: int, groups: int) -> None:
    """Raise :class:`Impossible` unless ``groups`` divides ``num_features``."""
    if num_features % groups:
        divisors = [str(number) for number in range(1, num_features + 1) if num_features % number == 0]
        raise Impossible(
            f"norm.groups={groups} must divide the channels of every layer, and one has {num_features}: "
            f"choose one of {', '.join(divisors)}"
        )


def require_group_values(groups: int, x: Tensor) -> None:
    """Raise :class:`Impossible` if a group of an example x ``[N, C, *]`` has one value."""
    require_values(
        x[0].numel() // groups if len(x) else 2,
        f"norm.groups={groups}: each group of an example",
        x.shape,
        "use fewer groups, a wider layer or a larger image",
    )


def group_norm(x: Tensor, groups: int, weight_C: Tensor | None, bias_C: Tensor | None, eps: float) -> Tensor:
    """``F.group_norm`` of x ``[N, C, *]``, computed in float32 or better, returned in the type of x.

    Raises:
        Impossible: a group of an example has one value.
    """
    require_group_values(groups, x)
    weight_C, bias_C = full_precision(weight_C), full_precision(bias_C)
    return F.group_norm(full_precision(x), groups, weight_C, bias_C, eps).to(x.dtype)
