"""Instance normalization (Ulyanov, Vedaldi & Lempitsky 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import torch.nn.functional as F
from torch import Tensor, nn

from bnbench.limits import above
from bnbench.norms.common.affine import Affine, AffineNorm, full_precision
from bnbench.norms.common.checks import among, require, require_values
from bnbench.norms.common.running import by_positions
from bnbench.norms.common.stacking import PerExample
from bnbench.schema.facts import Facts


class InstanceNorm(AffineNorm):
    """Each channel of each example is normalized over its positions, the same at evaluation.

    Args:
        num_features: channels C.
        eps: added to the biased variance.
        affine: which of ``weight`` and ``bias`` there are.
    """

    facts = Facts(
        title="Instance normalization",
        formula="(x - mean) / sqrt(var + eps) * weight + bias",
        over="positions, for each channel of each example",
        batch_statistics=False,
        paper="Ulyanov, Vedaldi & Lempitsky 2016",
        vectors=False,
    )

    def __init__(self, num_features: int, *, eps: float = 1e-5, affine: Affine = "none") -> None:
        require(among("norm.affine", affine, get_args(Affine)), above("norm.eps", eps, 0))
        super().__init__(num_features, eps, affine)

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x ``[N, C, *]``; raises :class:`Impossible` for one position per channel."""
        require_values(
            x.shape[2:].numel(),
            "norm=instance: each channel of an example",
            x.shape,
            "use a larger image, fewer strides or norm=layer",
        )
        return instance_norm(x, self.weight, self.bias, self.eps)

    @staticmethod
    def fold(lanes: Sequence[InstanceNorm]) -> nn.Module:
        """K norms as one; the affine part is per lane."""
        return PerExample(lanes, InstanceNorm(lanes[0].num_features, eps=lanes[0].eps))


def instance_norm(x: Tensor, weight_C: Tensor | None, bias_C: Tensor | None, eps: float) -> Tensor:
    """``F.instance_norm`` of x ``[N, C, *]``, computed in float32 or better, returned in the type of x.

    To torch it is batch normalization of one image, of which :func:`in_any_order` tells.
    """
    weight_C, bias_C = full_precision(weight_C), full_precision(bias_C)
    y = by_positions(full_precision(x), lambda x: F.instance_norm(x, weight=weight_C, bias=bias_C, eps=eps))
    return y.to(x.dtype)
