"""Linear layers of K lanes as one batched product."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from bnbench.norms.common.stacking import take_tensors
from bnbench.stacking.errors import CannotFold
from bnbench.stacking.layers.batched_matmul import FactoredLayer, lane_product, wide_product


class FoldedLinear(FactoredLayer):
    """``[K * N, *, F] -> [K * N, *, O]`` with ``weight [K * O, F]`` and ``bias [K * O]``.

    Attributes:
        factors: takes the gradient of the weight if it is a list.
        reparametrization: computes the weight that is applied from the trained one, if the lanes do so.
        wide: whether it maps ``[N, K * F] -> [N, K * O]``.
    """

    bias: Tensor | None

    def __init__(self, lanes: Sequence[nn.Linear]) -> None:
        super().__init__()
        take_tensors(self, lanes)
        self.lanes = len(lanes)
        self.in_features, self.out_features = lanes[0].in_features, lanes[0].out_features
        self.reparametrization = getattr(lanes[0], "reparametrization", None)
        self.wide = False

    def forward(self, x: Tensor) -> Tensor:
        """Map x ``[K * N, *, F]``."""
        rule = self.reparametrization
        weight = self.weight if rule is None else rule.weight_of(self, self.lanes)
        weight_KOF = weight.view(self.lanes, self.out_features, self.in_features)
        if self.wide:
            if x.dim() != 2:
                raise CannotFold(f"a linear layer on {x.dim()} axes, which has its lanes in the first")
            y = wide_product(x.view(len(x), self.lanes, self.in_features), weight_KOF).flatten(1)
            return y if self.bias is None else y + self.bias
        y_KMO = lane_product(x.reshape(self.lanes, -1, self.in_features), weight_KOF, self.factors)
        if self.bias is not None:
            y_KMO = y_KMO + self.bias.view(self.lanes, 1, self.out_features)
        return y_KMO.view(*x.shape[:-1], self.out_features)
