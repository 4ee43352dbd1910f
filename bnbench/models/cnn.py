"""A small convolutional network."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from torch import nn

from bnbench.models.initial import Init, Network, Scheme
from bnbench.models.layer_block import Activation, Bias, Placement, Pool, require_options, unit


def cnn(
    norm: Callable[[int], nn.Module],
    shape: tuple[int, int, int],
    classes: int,
    *,
    depth: int = 3,
    width: int = 16,
    activation: Activation = "relu",
    init: Init = "he",
    init_std: float = 0.1,
    placement: Placement = "before",
    bias: Bias = "auto",
    pool: Pool = "none",
) -> Network:
    """3x3 convolutions in three stages, optional global pooling, linear: ``[N, C, H, W] -> [N, classes]``.

    After three convolutions a feature sees 9 x 9 pixels; without pooling the linear layer still knows where it was.

    Layer i of ``depth`` is in stage floor(3 i / depth); stage s has ``width * 2^s`` channels, and the first layer of
    each stage but the first has stride 2.

    Args:
        norm: makes a normalization layer for a number of channels.
        shape: channels, height and width of an image.
        classes: number of outputs.
        depth: 3x3 convolutions, in three stages.
        width: channels of the first stage; doubled at each stage, which halves the image.
        activation: the non-linear function of each layer.
        init: how weights are drawn: after He et al. 2015, Glorot & Bengio 2010, or from one normal distribution.
        init_std: standard deviation for init=normal.
        placement: the norm before or after the activation.
        bias: of linear layers and convolutions; auto: unless a norm that shifts follows directly.
        pool: average: global average pooling before the linear layer.
    """
    require_options(depth, width, activation, init, init_std, placement, bias, pool)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    inputs, stage_before, size = shape[0], 0, shape[1:]
    for number in range(depth):
        stage = 3 * number // depth
        outputs, stride = width * 2**stage, 2 if stage > stage_before else 1
        layers[f"layer{number}"] = unit(
            partial(conv3x3, inputs, outputs, stride), "conv", norm(outputs), activation, placement, bias
        )
        inputs, stage_before = outputs, stage
        size = ((size[0] - 1) // stride + 1, (size[1] - 1) // stride + 1)
    if pool == "average":
        layers["pool"] = nn.AdaptiveAvgPool2d(1)
    positions = 1 if pool == "average" else math.prod(size)
    layers.update(flatten=nn.Flatten(), head=nn.Linear(inputs * positions, classes))
    return Network(layers, Scheme(init, init_std))


def conv3x3(inputs: int, outputs: int, stride: int, bias: bool) -> nn.Conv2d:
    """A 3x3 convolution with padding 1."""
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=bias)
