"""ConvMixer (Trockman & Kolter 2022, section 2 and figure 3): patches, mixed by convolutions over space or channels."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from torch import Tensor, nn

from bnbench.errors import Impossible
from bnbench.models.divisors import patch_problems
from bnbench.models.information import require_information
from bnbench.models.initial import HE, Network
from bnbench.models.layer_block import sizes_out_of_range
from bnbench.norms.common.activation import require_no_activation
from bnbench.norms.common.checks import require


class Residual(nn.Module):
    """A layer in a residual sum: ``x + layer(x)``.

    Args:
        layer: what comes out of it has the shape of what goes in.
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """Map x ``[N, C, H, W]``."""
        y: Tensor = x + self.layer(x)
        return y


def even_problems(kernel: int) -> list[str]:
    """The problem of a depthwise convolution without a middle; else nothing."""
    return [] if kernel % 2 else [f"model.kernel={kernel}: must be odd"]


def convmixer(
    norm: Callable[[int], nn.Module],
    shape: tuple[int, int, int],
    classes: int,
    *,
    patch: int = 2,
    dim: int = 64,
    depth: int = 4,
    kernel: int = 3,
) -> Network:
    """Patch embedding, blocks, average pooling, linear: ``[N, C, H, W] -> [N, classes]``.

    A block is a depthwise convolution in a residual sum, then a 1x1 convolution. Behind each convolution, that of the
    patches as well, come a GELU and then a norm, so that every convolution has a bias. Weights are drawn after He et
    al. 2015, where the authors take torch's own; biases start at zero.

    Args:
        norm: makes a normalization layer for a number of channels.
        shape: channels, height and width of an image.
        classes: number of outputs.
        patch: side of a patch in pixels; it divides height and width.
        dim: channels of all convolutions.
        depth: blocks.
        kernel: side of the depthwise convolutions in patches, an odd number; zeros are around the image.

    Raises:
        InvalidRequest: an option is out of range.
        Impossible: the patch does not divide the image, the norm holds an activation of its own, or nothing of an image
            is left in the mean behind it.
    """
    require(*sizes_out_of_range(patch=patch, dim=dim, depth=depth, kernel=kernel), even_problems(kernel))
    if problems := patch_problems(shape, patch):
        raise Impossible(problems[0])
    embedding = nn.Conv2d(shape[0], dim, patch, stride=patch)
    layers: OrderedDict[str, nn.Module] = OrderedDict(embed=activated(embedding, norm))
    for number in range(depth):
        layers[f"block{number}"] = block(norm, dim, kernel)
    layers.update(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), head=nn.Linear(dim, classes))
    return Network(layers, HE)


def block(norm: Callable[[int], nn.Module], dim: int, kernel: int) -> nn.Sequential:
    """A depthwise convolution in a residual sum and a 1x1 convolution: ``[N, C, H, W]`` to the same."""
    depthwise = nn.Conv2d(dim, dim, kernel, padding=kernel // 2, groups=dim)
    mix_pixels, mix_channels = Residual(activated(depthwise, norm)), activated(nn.Conv2d(dim, dim, 1), norm)
    return nn.Sequential(OrderedDict(pixels=mix_pixels, channels=mix_channels))


def activated(convolution: nn.Conv2d, norm: Callable[[int], nn.Module]) -> nn.Sequential:
    """A convolution, a GELU and a norm.

    Raises:
        Impossible: the norm holds its own activation, or makes the mean of a channel the same for every image.
    """
    layer = norm(convolution.out_channels)
    require_no_activation(layer, "a ConvMixer")
    require_information(layer)
    return nn.Sequential(OrderedDict(conv=convolution, activation=nn.GELU(), norm=layer))
