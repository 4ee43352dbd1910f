"""A small convolutional network."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import partial
from math import prod

from torch import nn

from bnbench.models.information import require_information
from bnbench.models.initial import Init, Network, Scheme
from bnbench.models.layer_block import Activation, Bias, Placement, Pool, layer_block, require_options


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

    Raises:
        InvalidRequest: an option is out of range.
        Impossible: the norm cannot have this place, or pooling sees nothing of an image behind it.
    """
    require_options(depth, width, activation, init, init_std, placement, bias, pool)
    layers, size = stages(norm, shape, depth, width, activation, placement, bias)
    if pool == "average":
        if placement == "after" or activation == "none":
            require_information(layers[f"layer{depth - 1}"].get_submodule("norm"), "model.pool=none")
        layers["pool"], size = nn.AdaptiveAvgPool2d(1), (size[0], 1, 1)
    return Network(layers | {"flatten": nn.Flatten(), "head": nn.Linear(prod(size), classes)}, Scheme(init, init_std))


def stages(
    norm: Callable[[int], nn.Module],
    shape: tuple[int, int, int],
    depth: int,
    width: int,
    activation: Activation,
    placement: Placement,
    bias: Bias,
) -> tuple[OrderedDict[str, nn.Module], tuple[int, int, int]]:
    """The convolutions with their norms and activations, and channels, height and width behind them."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    inputs, rows, columns = shape
    for number, (outputs, stride) in enumerate(channels_and_strides(depth, width)):
        convolution = partial(conv3x3, inputs, outputs, stride)
        layers[f"layer{number}"] = layer_block(convolution, "conv", norm(outputs), activation, placement, bias)
        inputs, rows, columns = outputs, (rows - 1) // stride + 1, (columns - 1) // stride + 1
    return layers, (inputs, rows, columns)


def channels_and_strides(depth: int, width: int) -> Iterator[tuple[int, int]]:
    """Output channels and stride of each layer.

    Layer i of ``depth`` is in stage floor(3 i / depth); stage s has ``width * 2^s`` channels, and the first layer of
    each stage but the first has stride 2. After three layers a feature sees 9 x 9 pixels.
    """
    stages = [3 * number // depth for number in range(depth)]
    for before, stage in zip([0, *stages], stages, strict=False):
        yield width * 2**stage, 2 if stage > before else 1


def conv3x3(inputs: int, outputs: int, stride: int, bias: bool) -> nn.Conv2d:
    """A 3x3 convolution with padding 1."""
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=bias)
