"""A small ConvNeXt (Liu et al. 2022): depthwise convolutions and two 1x1 convolutions, in stages of halved images."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from torch import nn

from bnbench.errors import Impossible
from bnbench.limits import above, at_most
from bnbench.models.convmixer import Residual, even_problems
from bnbench.models.information import require_vectors
from bnbench.models.initial import Network, Scheme
from bnbench.models.layer_block import sizes_out_of_range
from bnbench.models.layer_scale import LayerScale
from bnbench.norms.common.activation import require_no_activation
from bnbench.norms.common.bias import wants_bias
from bnbench.norms.common.checks import require

NORMAL = Scheme("normal", 0.02)
WIDER = 4
"""Hidden channels of a block, as a multiple of its own."""
MOST_STAGES = 8
"""Beyond, an image of 1024 pixels has none left."""


def convnext(
    norm: Callable[[int], nn.Module],
    shape: tuple[int, int, int],
    classes: int,
    *,
    patch: int = 2,
    dim: int = 32,
    stages: int = 2,
    depth: int = 2,
    kernel: int = 7,
    layer_scale: float = 1e-6,
) -> Network:
    """Patch embedding and norm, stages of blocks, average pooling, norm, linear: ``[N, C, H, W] -> [N, classes]``.

    A block is ``x + s * f(x)`` with a learned scale s of each channel, and f a depthwise convolution, a norm, a 1x1
    convolution to four times the channels, a GELU and a 1x1 convolution back. Between two stages are a norm and a
    convolution of 2x2 pixels, which halves the image and doubles the channels. Weights are drawn from N(0, 0.02^2),
    biases start at zero. There is no stochastic depth.

    Args:
        norm: makes a normalization layer for a number of channels; that of the paper is layer with over=channels.
        shape: channels, height and width of an image.
        classes: number of outputs.
        patch: side of a patch in pixels; it divides height and width.
        dim: channels of the first stage; each other one has twice as many as the one before.
        stages: each other one has half the height and width of the one before.
        depth: blocks of a stage.
        kernel: side of the depthwise convolutions, an odd number; zeros are around the image.
        layer_scale: s at the start.

    Raises:
        InvalidRequest: an option is out of range.
        Impossible: patch and stages do not divide the image, or the norm holds its own activation or needs several
            positions.
    """
    require(
        *sizes_out_of_range(patch=patch, dim=dim, stages=stages, depth=depth, kernel=kernel),
        at_most("model.stages", stages, MOST_STAGES),
        even_problems(kernel),
        above("model.layer_scale", layer_scale, 0),
    )
    require_whole_stages(shape, patch, stages)
    stem = placed(norm, dim)
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        embed=nn.Conv2d(shape[0], dim, patch, stride=patch, bias=wants_bias(stem)), norm=stem
    )
    for stage in range(stages):
        channels = dim * 2**stage
        if stage:
            layers[f"norm{stage}"] = placed(norm, channels // 2)
            layers[f"halve{stage}"] = nn.Conv2d(channels // 2, channels, 2, stride=2)
        for number in range(depth):
            layers[f"stage{stage}_block{number}"] = block(norm, channels, kernel, layer_scale)
    layers.update(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten())
    layers["last_norm"] = last_norm = placed(norm, channels)
    require_vectors(last_norm)
    layers["head"] = nn.Linear(channels, classes)
    return Network(layers, NORMAL)


def block(norm: Callable[[int], nn.Module], channels: int, kernel: int, layer_scale: float) -> Residual:
    """A block: ``[N, C, H, W]`` to the same."""
    layer = placed(norm, channels)
    pixels = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels, bias=wants_bias(layer))
    return Residual(
        nn.Sequential(
            OrderedDict(
                pixels=pixels,
                norm=layer,
                expand=nn.Conv2d(channels, WIDER * channels, 1),
                activation=nn.GELU(),
                contract=nn.Conv2d(WIDER * channels, channels, 1),
                scale=LayerScale(channels, layer_scale),
            )
        )
    )


def placed(norm: Callable[[int], nn.Module], channels: int) -> nn.Module:
    """A norm that no activation is right behind. Raises :class:`Impossible` if it holds one."""
    layer = norm(channels)
    require_no_activation(layer, "a ConvNeXt")
    return layer


def require_whole_stages(shape: tuple[int, int, int], patch: int, stages: int) -> None:
    """Raise :class:`Impossible` unless patches and the stages behind the first one divide an image."""
    _, height, width = shape
    side = patch * 2 ** (stages - 1)
    if height % side or width % side:
        raise Impossible(
            f"model.patch={patch} model.stages={stages} need images whose sides {side} divides, and this one is "
            f"{height}x{width}: choose fewer stages or another patch"
        )
