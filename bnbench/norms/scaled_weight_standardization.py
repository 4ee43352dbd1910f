"""Scaled weight standardization of normalizer-free networks (Brock, De & Smith 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from bnbench.limits import above
from bnbench.norms.common.affine import full_precision
from bnbench.norms.common.branch import Branch
from bnbench.norms.common.checks import require
from bnbench.norms.common.reparametrization import (
    Reparametrization,
    WeightOnlyNorm,
    per_output,
    reparametrize,
    require_inputs,
)
from bnbench.norms.weight_standardization import standardized
from bnbench.schema.facts import Facts


class ScaledWeightStandardization(WeightOnlyNorm):
    """``activation_gain * gain * (W - mean) / sqrt((var + weight_eps) * fan_in)``, and no norm of the activations.

    ``gain`` starts at one and is trained per output (section 4.3). The activation's own gain is put into the weights of
    all layers but the classifier. The default is the ReLU's in the authors' code and in timm, 1.71396; exactly,
    ``sqrt(2 / (1 - 1 / pi))`` = 1.71286 keeps the variance behind a ReLU. Others of that code are 1.702 for GELU, 1.594
    for tanh, 4.804 for the sigmoid and 1 for none. Residual blocks stay as the model has them:
    the paper's ``x + alpha * f(x / beta)``, which holds the variance of very deep networks, is not part of it.

    Args:
        num_features: channels C.
        activation_gain: what the weights are multiplied by to make up for the activation before them.
        weight_eps: added to the biased variance of an output's weights.
    """

    facts = Facts(
        title="Scaled weight standardization, without a norm of the activations",
        formula="W' = activation_gain * weight * (W - mean(W)) / (std(W) * sqrt(fan_in))",
        over="the weights of each output",
        batch_statistics=False,
        paper="Brock et al. 2021",
        differs="the gain is timm's and the authors'; exactly, sqrt(2 / (1 - 1 / pi)) = 1.71286 belongs to a ReLU",
    )

    def __init__(
        self, num_features: int, *, activation_gain: float = 1.7139588594436646, weight_eps: float = 1e-6
    ) -> None:
        require(above("norm.activation_gain", activation_gain, 0), above("norm.weight_eps", weight_eps, 0))
        super().__init__(num_features)
        self.activation_gain = activation_gain
        self.weight_eps = weight_eps

    def prepare(self, network: nn.Module, branches: Sequence[Branch]) -> None:
        """Standardize and scale the weights of all layers of a network but its classifier."""
        reparametrize(network, ScaledStandardizedWeight(self.activation_gain, self.weight_eps), classifier=False)


@dataclass(frozen=True)
class ScaledStandardizedWeight(Reparametrization):
    """Weights of mean 0 and variance ``(activation_gain * gain)^2 / fan_in`` per output."""

    activation_gain: float
    eps: float

    def extend(self, layer: nn.Module) -> None:
        """Register ``gain [O]``, all ones."""
        require_inputs(layer, "scaled_ws")
        weight = layer.get_parameter("weight").detach()
        layer.register_parameter("gain", nn.Parameter(weight.new_ones(len(weight))))

    def weight_of(self, layer: Any, lanes: int = 1) -> Tensor:
        """See :class:`Reparametrization`."""
        weight = full_precision(layer.weight)
        scale_O = full_precision(layer.gain) * (self.activation_gain * weight[0].numel() ** -0.5)
        return (standardized(weight, self.eps) * per_output(scale_O, weight)).to(layer.weight.dtype)
