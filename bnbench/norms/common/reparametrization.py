"""Layers whose weight is computed from what is trained, and the norms that put them into a network.

Legend: K lanes, O output channels and F inputs of an output (channels times kernel) of a lane.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bnbench.errors import Impossible
from bnbench.norms.common.branch import Branch
from bnbench.norms.common.replacement_layers import SucceedingConv2d, SucceedingLinear


class Reparametrization(ABC):
    """Abstract: how the weight that a layer applies comes from its trained ``weight [O, F...]`` and tensors beside it.

    It holds numbers only, so that one serves all layers, and K lanes of a layer whose tensors are joined.
    """

    @abstractmethod
    def extend(self, layer: nn.Module) -> None:
        """Register the tensors beside ``weight`` that a layer needs, from its initial weight."""

    @abstractmethod
    def weight_of(self, layer: Any, lanes: int = 1) -> Tensor:
        """The weight ``[K * O, F...]`` that a layer applies, in the type of its trained ``weight [K * O, F...]``."""


class ReparametrizedConv2d(SucceedingConv2d):
    """A two-dimensional convolution whose weight is computed."""

    def __init__(self, layer: nn.Conv2d, reparametrization: Reparametrization) -> None:
        super().__init__(layer)
        self.reparametrization = reparametrization
        reparametrization.extend(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map x ``[N, C, H, W]``."""
        y: Tensor = self._conv_forward(x, self.reparametrization.weight_of(self), self.bias)
        return y


class ReparametrizedLinear(SucceedingLinear):
    """A linear layer whose weight is computed."""

    def __init__(self, layer: nn.Linear, reparametrization: Reparametrization) -> None:
        super().__init__(layer)
        self.reparametrization = reparametrization
        reparametrization.extend(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map x ``[N, *, F]``."""
        return F.linear(x, self.reparametrization.weight_of(self), self.bias)


def with_applied_weight(layer: ReparametrizedConv2d | ReparametrizedLinear) -> nn.Conv2d | nn.Linear:
    """The ordinary layer whose weight is the one that a layer in evaluation mode applies."""
    with torch.no_grad():
        weight = nn.Parameter(layer.reparametrization.weight_of(layer), layer.weight.requires_grad)
    plain: nn.Conv2d | nn.Linear
    if isinstance(layer, nn.Linear):
        plain = nn.Linear(layer.in_features, layer.out_features, device="meta")
    else:
        plain = nn.Conv2d(
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,  # type: ignore[arg-type]
            layer.stride,  # type: ignore[arg-type]
            layer.padding,  # type: ignore[arg-type]
            layer.dilation,  # type: ignore[arg-type]
            layer.groups,
            padding_mode=layer.padding_mode,
            device="meta",  # nothing is drawn or stored for the weight that is replaced at once
        )
    plain.weight, plain.bias = weight, layer.bias
    return plain.train(layer.training)


class WeightOnlyNorm(nn.Module, ABC):
    """Abstract base of the variants that act on weights and do nothing where an activation norm would be."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, x: Tensor) -> Tensor:
        """Return x ``[N, C, *]`` as it is."""
        return x

    @abstractmethod
    def prepare(self, network: nn.Module, branches: Sequence[Branch]) -> None:
        """Change the layers of a network that is built and initialized."""


def reparametrize(network: nn.Module, reparametrization: Reparametrization, *, classifier: bool) -> None:
    """Compute the weight of every convolution and linear layer of a network, of the last one if ``classifier``."""
    layers = weighted_layers(network)
    for path, layer in layers.items() if classifier else list(layers.items())[:-1]:
        new = ReparametrizedConv2d if isinstance(layer, nn.Conv2d) else ReparametrizedLinear
        network.set_submodule(path, new(layer, reparametrization))  # type: ignore[arg-type]


def weighted_layers(network: nn.Module) -> dict[str, nn.Linear | nn.Conv2d]:
    """The linear and convolution layers by path, in the order of the network; the last one is its classifier."""
    return {path: layer for path, layer in network.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)}


def inner_axes(weight: Tensor) -> tuple[int, ...]:
    """The axes of a weight ``[O, F...]`` that belong to one output."""
    return tuple(range(1, weight.dim()))


def per_output(vector_O: Tensor, weight: Tensor) -> Tensor:
    """A vector beside a weight ``[O, F...]``."""
    return vector_O.view(-1, *[1] * (weight.dim() - 1))


def require_inputs(layer: nn.Module, name: str) -> None:
    """Raise :class:`Impossible` unless each output of a layer has at least two weights."""
    count = layer.get_parameter("weight")[0].numel()
    if count < 2:
        raise Impossible(
            f"norm={name}: standardization needs at least two weights per output, and a {type(layer).__name__} has "
            f"{count}: use images of more channels or pixels, wider layers or norm=weight"
        )
