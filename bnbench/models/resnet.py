"""Residual networks for small images (He et al. 2016, section 4.2)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from bnbench.models.cnn import conv3x3
from bnbench.models.initial import HE, Network
from bnbench.models.layer_block import sizes_out_of_range
from bnbench.models.zero_gamma import zero_weight
from bnbench.norms.common.activation import activates, without_activation
from bnbench.norms.common.bias import wants_bias
from bnbench.norms.common.checks import require


class SubsampleAndPad(nn.Module):
    """Shortcut of option A: every second row and column, and zeros for the new channels, which come last.

    Args:
        channels: channels to add.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[N, C, H, W]`` to ``[N, C + channels, ceil(H / 2), ceil(W / 2)]``."""
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.channels))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut without parameters (figure 2 and section 3.3, option A).

    A norm that holds its own activation takes the place of the first ReLU. The second norm stands before the addition
    and is left without an activation; the ReLU after the addition stays, as in timm.
    """

    def __init__(self, norm: Callable[[int], nn.Module], inputs: int, outputs: int) -> None:
        super().__init__()
        stride = 1 if inputs == outputs else 2
        norm1, norm2 = norm(outputs), without_activation(norm(outputs))
        self.conv1 = conv3x3(inputs, outputs, stride, bias=wants_bias(norm1))
        self.norm1 = norm1
        self.relu1 = relu_behind(norm1)
        self.conv2 = conv3x3(outputs, outputs, 1, bias=wants_bias(norm2))
        self.norm2 = norm2
        self.shortcut = nn.Identity() if stride == 1 else SubsampleAndPad(outputs - inputs)
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[N, inputs, H, W]`` to ``[N, outputs, H / stride, W / stride]``."""
        y = self.relu1(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        out: Tensor = self.relu2(y + self.shortcut(x))
        return out


def relu_behind(norm: nn.Module) -> nn.Module:
    """A ReLU, or nothing behind a norm that holds its own activation."""
    return nn.Identity() if activates(norm) else nn.ReLU()


def resnet(depth: int) -> Callable[..., Network]:
    """The builder of a network with ``depth = 6 n + 2`` weighted layers: three stages of n blocks."""

    def build_resnet(
        norm: Callable[[int], nn.Module],
        shape: tuple[int, int, int],
        classes: int,
        *,
        width: int = 16,
        zero_init_last_gamma: bool = False,
    ) -> Network:
        """Stages of ``width * (1, 2, 4)`` channels, average pooling, linear: ``[N, C, H, W] -> [N, classes]``.

        Convolutions have a bias only where the norm after them neither shifts nor cancels it.

        Args:
            norm: makes a normalization layer for a number of channels.
            shape: channels, height and width of an image.
            classes: number of outputs.
            width: channels of the first stage; doubled at each stage, which halves the image.
            zero_init_last_gamma: start every residual block as the identity (Goyal et al. 2017, section 5.1).
        """
        require(*sizes_out_of_range(width=width))
        stem = norm(width)
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            conv=conv3x3(shape[0], width, 1, bias=wants_bias(stem)), norm=stem, relu=relu_behind(stem)
        )
        inputs = width
        for stage in range(3):
            for number in range((depth - 2) // 6):
                block = BasicBlock(norm, inputs, width * 2**stage)
                if zero_init_last_gamma:
                    zero_weight(block.norm2)
                layers[f"stage{stage}_block{number}"] = block
                inputs = width * 2**stage
        layers.update(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), head=nn.Linear(inputs, classes))
        return Network(layers, HE)

    return build_resnet
