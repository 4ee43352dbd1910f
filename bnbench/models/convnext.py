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

    See :func:`block` for these. Between two stages are a norm and a convolution of 2x2 pixels, which halves the image
    and doubles the channels. Weights are drawn from N(0, 0.02^2), biases are zero at first. No stochastic depth.

    Args:
        norm: makes a normalization layer for a number of channels; that of the paper is layer with over=channels.
        shape: channels, height and width of an image.
        classes: number of outputs.
        patch: side of a patch in pixels; it divides height and width.
        dim: channels of the first stage; each other one has twice as many as the one before.
        stages: each other one has half the height and width of the one before.
        depth: blocks of a stage.
        kernel: side of the depthwise convolutions, an odd number; zeros are around the image.
        layer_scale: of each channel of a block at the start, learned from there on.

    Raises:
        InvalidRequest: an option is out of range.
        Impossible: patch and stages do not divide the image, or the norm holds its own activation or needs several
            positions.
    """
    require_options(patch, dim, stages, depth, kernel, layer_scale)
    require_whole_stages(shape, patch, stages)
    layers = embedding(norm, shape[0], dim, patch)
    for stage in range(stages):
        layers |= stage_layers(norm, stage, dim * 2**stage, depth, kernel, layer_scale)
    return Network(layers | classifier(norm, dim * 2 ** (stages - 1), classes), NORMAL)


def embedding(norm: Callable[[int], nn.Module], inputs: int, channels: int, patch: int) -> OrderedDict[str, nn.Module]:
    """Patches of an image as pixels of channels, and a norm."""
    layer = placed(norm, channels)
    convolution = nn.Conv2d(inputs, channels, patch, stride=patch, bias=wants_bias(layer))
    return OrderedDict(embed=convolution, norm=layer)


def stage_layers(
    norm: Callable[[int], nn.Module], stage: int, channels: int, depth: int, kernel: int, layer_scale: float
) -> OrderedDict[str, nn.Module]:
    """The blocks of a stage and, but for the first one, what halves the image before them."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if stage:
        layers[f"norm{stage}"] = placed(norm, channels // 2)
        layers[f"halve{stage}"] = nn.Conv2d(channels // 2, channels, 2, stride=2)
    for number in range(depth):
        layers[f"stage{stage}_block{number}"] = block(norm, channels, kernel, layer_scale)
    return layers


def classifier(norm: Callable[[int], nn.Module], channels: int, classes: int) -> OrderedDict[str, nn.Module]:
    """From the last stage to logits. Raises :class:`Impossible` if the norm needs several positions."""
    layer = placed(norm, channels)
    require_vectors(layer)
    head = nn.Linear(channels, classes)
    return OrderedDict(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), last_norm=layer, head=head)


def block(norm: Callable[[int], nn.Module], channels: int, kernel: int, layer_scale: float) -> Residual:
    """``x + s * f(x)`` with a learned scale s of each channel: ``[N, C, H, W]`` to the same.

    f is a depthwise convolution, a norm, a 1x1 convolution to four times the channels, a GELU and a 1x1 convolution
    back.
    """
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


def require_options(patch: int, dim: int, stages: int, depth: int, kernel: int, layer_scale: float) -> None:
    """Raise :class:`InvalidRequest` with all the options that are out of range."""
    require(
        *sizes_out_of_range(patch=patch, dim=dim, stages=stages, depth=depth, kernel=kernel),
        at_most("model.stages", stages, MOST_STAGES),
        even_problems(kernel),
        above("model.layer_scale", layer_scale, 0),
    )


def require_whole_stages(shape: tuple[int, int, int], patch: int, stages: int) -> None:
    """Raise :class:`Impossible` unless patches and the stages behind the first one divide an image."""
    _, height, width = shape
    side = patch * 2 ** (stages - 1)
    if height % side or width % side:
        raise Impossible(
            f"model.patch={patch} model.stages={stages} need images whose sides {side} divides, and this one is "
            f"{height}x{width}: choose fewer stages or another patch"
        )
