"""Initial weights that depend on the seed and on a layer's place in the network, and on nothing else."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal, assert_never

import torch
from torch import Tensor, nn

from bnbench.norms.common.reparametrization import weighted_layers
from bnbench.spec import stream

Init = Literal["he", "xavier", "normal"]
"""Names of the schemes by which weights are drawn, see :class:`Scheme`."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """A scheme by which weights of Linear and Conv2d layers are drawn; biases are zero.

    Attributes:
        init: ``he``: N(0, 2 / fan_in), and N(0, 1 / fan_in) for the last layer, which no ReLU follows (He et al. 2015,
            equation 10); ``xavier``: uniform within sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, equation 16);
            ``normal``: N(0, std^2).
        std: standard deviation for ``normal``.
    """

    init: Init = "he"
    std: float = 0.1


HE = Scheme()


class Drawn(nn.Module, ABC):
    """Abstract base of layers, other than linear ones and convolutions, whose first numbers a seed decides."""

    @abstractmethod
    def draw(self, generator: torch.Generator) -> None:
        """Draw all parameters of this layer, which is on the CPU."""


class Network(nn.Sequential):
    """A sequence of named layers whose weights are drawn by :func:`draw_weights` once it is built."""

    def __init__(self, layers: OrderedDict[str, nn.Module], scheme: Scheme = HE) -> None:
        super().__init__(layers)
        self.scheme = scheme


def draw_weights(network: nn.Module, scheme: Scheme, seed: int) -> None:
    """Draw the weights of all Linear and Conv2d layers, each from a generator of its own, and set biases to zero.

    Layers that are :class:`Drawn` draw their own numbers. A generator is seeded by the run's seed and the layer's path
    in the network. Nothing happens on the meta device.
    """
    layers = weighted_layers(network)
    last = next(reversed(layers), None)
    for path, layer in layers.items():
        if layer.weight.is_meta:
            continue
        generator = torch.Generator().manual_seed(stream(seed, "init", path))
        with torch.no_grad():
            draw(layer.weight, scheme, 1.0 if path == last else 2.0, generator)
            if layer.bias is not None:
                layer.bias.zero_()
    for path, drawn in drawn_layers(network).items():
        if not any(parameter.is_meta for parameter in drawn.parameters()):
            with torch.no_grad():
                drawn.draw(torch.Generator().manual_seed(stream(seed, "init", path)))


def drawn_layers(network: nn.Module) -> dict[str, Drawn]:
    """The layers by path that draw numbers of their own."""
    return {path: layer for path, layer in network.named_modules() if isinstance(layer, Drawn)}


def draw(weight: Tensor, scheme: Scheme, squared_gain: float, generator: torch.Generator) -> None:
    """Fill a weight ``[out, in]`` or ``[out, in, height, width]``; ``squared_gain`` is He's factor."""
    fan_in = weight[0].numel()
    fan_out = weight.numel() // weight.shape[1]
    match scheme.init:
        case "he":
            weight.normal_(0, math.sqrt(squared_gain / fan_in), generator=generator)
        case "xavier":
            bound = math.sqrt(6 / (fan_in + fan_out))
            weight.uniform_(-bound, bound, generator=generator)
        case "normal":
            weight.normal_(0, scheme.std, generator=generator)
        case _:
            assert_never(scheme.init)
