"""A fully connected network."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from math import prod

from torch import nn

from bnbench.models.initial import Init, Network, Scheme
from bnbench.models.layer_block import Activation, Bias, Placement, layer_block, require_options


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

    Args:
        norm: makes a normalization layer for a number of channels.
        shape: channels, height and width of an image.
        classes: number of outputs.
        depth: hidden layers.
        width: units of a hidden layer.
        activation: the non-linear function of each layer.
        init: how weights are drawn: after He et al. 2015, Glorot & Bengio 2010, or from one normal distribution.
        init_std: standard deviation for init=normal.
        placement: the norm before or after the activation.
        bias: of linear layers and convolutions; auto: unless a norm that shifts follows directly.
    """
    require_options(depth, width, activation, init, init_std, placement, bias)
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    inputs = prod(shape)
    for number in range(depth):
        linear = partial(nn.Linear, inputs, width)
        layers[f"layer{number}"] = layer_block(linear, "linear", norm(width), activation, placement, bias)
        inputs = width
    layers["head"] = nn.Linear(inputs, classes)
    return Network(layers, Scheme(init, init_std))
