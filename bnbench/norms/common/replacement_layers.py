"""Layers that take the place and the parameters of a given convolution or linear layer."""

from __future__ import annotations

from torch import nn


class SucceedingConv2d(nn.Conv2d):
    """Abstract base of two-dimensional convolutions with the shape and the parameters of a given one."""

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__(
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
        self.weight, self.bias = layer.weight, layer.bias


class SucceedingLinear(nn.Linear):
    """Abstract base of linear layers with the shape and the parameters of a given one."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__(layer.in_features, layer.out_features, device="meta")
        self.weight, self.bias = layer.weight, layer.bias
