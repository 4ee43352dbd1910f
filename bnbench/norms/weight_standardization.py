"""Weight standardization (Qiao et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from bnbench.limits import above, at_least
from bnbench.norms.common.affine import Affine, full_precision
from bnbench.norms.common.branch import Branch
from bnbench.norms.common.checks import among, require
from bnbench.norms.common.reparametrization import Reparametrization, inner_axes, reparametrize, require_inputs
from bnbench.norms.common.running import RunningStatistics
from bnbench.norms.common.stacking import stacked
from bnbench.norms.group import group_norm, require_groups
from bnbench.schema.facts import Facts

Statistics = Literal["group", "batch"]
"""The norm of the activations that stands beside the standardized weights."""


class WeightStandardization(RunningStatistics):
    """Standardized weights ``(W - mean) / sqrt(var + weight_eps)``, and group or batch normalization of activations.

    The weights of every output are standardized (equation 9), in all layers but the classifier, which the paper leaves
    as it is. Where norms go stands group normalization, the paper's companion, or batch normalization.

    Args:
        num_features: channels C.
        statistics: norm of the activations, ``group`` or ``batch``.
        groups: number of groups for ``group``; divides C.
        weight_eps: added to the biased variance of an output's weights.
        eps: added to the variance of activations.
        momentum: weight of the newest batch in the running statistics of ``batch``; None averages all batches.
        affine: which of ``weight`` and ``bias`` the norm of the activations has.

    Raises:
        Impossible: ``groups`` does not divide ``num_features``.
    """

    facts = Facts(
        title="Weight standardization, with group or batch normalization of the activations",
        formula="W' = (W - mean(W)) / sqrt(var(W) + weight_eps), and the norm of the activations",
        over="the weights of each output, and what the norm of the activations is over",
        batch_statistics="norm.statistics=batch",
        paper="Qiao et al. 2019",
        differs="32 groups in the paper, in layers of 64 channels or more",
    )

    def __init__(
        self,
        num_features: int,
        *,
        statistics: Statistics = "group",
        groups: int = 4,
        weight_eps: float = 1e-6,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: Affine = "both",
    ) -> None:
        require(
            among("norm.affine", affine, get_args(Affine)),
            among("norm.statistics", statistics, get_args(Statistics)),
            above("norm.weight_eps", weight_eps, 0),
            at_least("norm.groups", groups, 1),
        )
        if statistics == "group":
            require_groups(num_features, groups)
        super().__init__(num_features, eps, momentum, affine, track=statistics == "batch")
        self.statistics = statistics
        self.groups = groups
        self.weight_eps = weight_eps
        self.per_token = statistics == "group"

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x ``[N, C, *]``; raises :class:`Impossible` for statistics of one value."""
        if self.statistics == "group":
            return group_norm(x, self.groups, self.weight, self.bias, self.eps)
        return self.normalize_with_batch(x, self.weight, self.bias) if self.training else self.normalize_with_running(x)

    def prepare(self, network: nn.Module, branches: Sequence[Branch]) -> None:
        """Standardize the weights of all layers of a network but its classifier."""
        reparametrize(network, StandardizedWeight(self.weight_eps), classifier=False)

    @staticmethod
    def fold(lanes: Sequence[WeightStandardization]) -> nn.Module:
        """K norms as one of ``K * C`` channels."""
        return stacked(lanes, "num_features", "groups")


@dataclass(frozen=True)
class StandardizedWeight(Reparametrization):
    """Weights of mean 0 and variance 1 per output."""

    eps: float

    def extend(self, layer: nn.Module) -> None:
        """Need nothing beside the weight."""
        require_inputs(layer, "ws")

    def weight_of(self, layer: Any, lanes: int = 1) -> Tensor:
        """See :class:`Reparametrization`."""
        return standardized(full_precision(layer.weight), self.eps).to(layer.weight.dtype)


def standardized(weight: Tensor, eps: float) -> Tensor:
    """``(W - mean) / sqrt(var + eps)`` per output of a weight ``[O, F...]``, with the biased variance."""
    var, mean = torch.var_mean(weight, inner_axes(weight), correction=0, keepdim=True)
    return (weight - mean) * torch.rsqrt(var + eps)
