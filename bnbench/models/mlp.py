"""A fully connected network."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from math import prod

from torch import nn

from bnbench.models.initial import Init, Network, Scheme
from bnbench.models.unit import Activation, Bias, Placement, require_options, unit


def mlp(
    norm: Callable[[int], nn.Module],
    shape: tuple[int, int, int],
    classes: int,
    *,
    depth: int = 3,
    width: int = 100,
    activation: Activation = "relu",
    init: Init = "he",
    init_std: float = 0.1,
    placement: Placement = "before",
    bias: Bias = "auto",
) -> Network:
    """``depth`` hidden layers of ``width`` units, each with a norm, and a linear one: ``[N, C, H, W] -> [N, classes]``.

    ``depth=3 width=100 activation=sigmoid init=normal`` is the network of Ioffe & Szegedy 2015, section 4.1.
    """
    require_options(depth, width, activation, init, init_std, placement, bias)
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    inputs = prod(shape)
    for number in range(depth):
        linear = partial(nn.Linear, inputs, width)
        layers[f"layer{number}"] = unit(linear, "linear", norm(width), activation, placement, bias)
        inputs = width
    layers["head"] = nn.Linear(inputs, classes)
    return Network(layers, Scheme(init, init_std))
