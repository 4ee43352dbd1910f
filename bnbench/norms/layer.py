"""Layer normalization (Ba, Kiros & Hinton 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch.nn.functional as F
from torch import Tensor, nn

from bnbench.limits import above
from bnbench.norms.common.affine import Affine, AffineNorm, full_precision
from bnbench.norms.common.checks import among, require, require_values
from bnbench.norms.common.stacking import PerExample
from bnbench.norms.group import group_norm
from bnbench.schema.facts import Facts

Over = Literal["all", "channels"]
"""The axes of an example's statistics: channels and positions together, or channels at each position."""


class LayerNorm(AffineNorm):
    """Each example is normalized by its own mean and biased variance (equation 3), with an affine part per channel.

    Args:
        num_features: channels C.
        over: ``all`` takes statistics over channels and positions, which is group normalization with one group;
            ``channels`` takes them over the channels at each position, as transformers and ConvNeXt do.
        eps: added to the variance.
        affine: which of ``weight`` and ``bias`` there are.
    """

    facts = Facts(
        title="Layer normalization",
        formula="(x - mean) / sqrt(var + eps) * weight + bias",
        over="channels and positions of each example, or channels at each position",
        batch_statistics=False,
        paper="Ba, Kiros & Hinton 2016",
    )
    per_token = True

    def __init__(self, num_features: int, *, over: Over = "all", eps: float = 1e-5, affine: Affine = "both") -> None:
        require(
            among("norm.affine", affine, get_args(Affine)),
            among("norm.over", over, get_args(Over)),
            above("norm.eps", eps, 0),
        )
        super().__init__(num_features, eps, affine)
        self.over = over

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x ``[N, C, *]``; raises :class:`Impossible` for statistics of one value."""
        everything = self.over == "all" and len(x) > 0
        require_values(
            x[0].numel() if everything else self.num_features,
            f"norm.over={self.over}: each mean",
            x.shape,
            "use a wider layer" + (" or a larger image" if everything else ""),
        )
        if self.over == "all":
            return group_norm(x, 1, self.weight, self.bias, self.eps)
        return channel_layer_norm(x, self.weight, self.bias, self.eps)

    @staticmethod
    def fold(lanes: Sequence[LayerNorm]) -> nn.Module:
        """K norms as one; the affine part is per lane."""
        first = lanes[0]
        return PerExample(lanes, LayerNorm(first.num_features, over=first.over, eps=first.eps, affine="none"))


def channel_layer_norm(x: Tensor, weight_C: Tensor | None, bias_C: Tensor | None, eps: float) -> Tensor:
    """``F.layer_norm`` over the channels of x ``[N, C, *]`` at each position, in float32 or better."""
    weight_C, bias_C = full_precision(weight_C), full_precision(bias_C)
    y = F.layer_norm(full_precision(x).movedim(1, -1), x.shape[1:2], weight_C, bias_C, eps)
    return y.movedim(-1, 1).to(x.dtype)
