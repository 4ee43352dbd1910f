"""Independent layers with a computed weight: torch's parametrizations and timm's convolutions."""

import torch
from timm.layers import ScaledStdConv2d, StdConv2d
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from bnbench.norms.common.branch import Branch


class Standardized(nn.Module):
    """A linear layer with (W - mean) / sqrt(var + 1e-6) per output, times gain * scale where there is a gain."""

    def __init__(self, layer, scale=None):
        super().__init__()
        self.weight, self.bias = nn.Parameter(layer.weight.detach().clone()), nn.Parameter(layer.bias.detach().clone())
        self.gain = None if scale is None else nn.Parameter(torch.ones(len(self.weight), 1, dtype=self.weight.dtype))
        self.scale = scale

    def forward(self, x):
        centered = self.weight - self.weight.sum(1, keepdim=True) / self.weight.shape[1]
        weight = centered / ((centered**2).sum(1, keepdim=True) / self.weight.shape[1] + 1e-6) ** 0.5
        return F.linear(x, weight if self.gain is None else weight * self.gain * self.scale, self.bias)


def standardized(layer):
    return Standardized(layer) if isinstance(layer, nn.Linear) else like(StdConv2d, layer)


def scaled(layer):
    if isinstance(layer, nn.Linear):
        return Standardized(layer, 1.7139588594436646 / layer.in_features**0.5)
    return like(ScaledStdConv2d, layer, gamma=1.7139588594436646)


def like(kind, layer, **options):
    """A convolution of timm with the shape and the parameters of a given one."""
    made = kind(
        layer.in_channels, layer.out_channels, layer.kernel_size, stride=layer.stride, padding=layer.padding,
        dilation=layer.dilation, groups=layer.groups, bias=True, dtype=layer.weight.dtype, **options,
    )  # fmt: skip
    made.load_state_dict(layer.state_dict(), strict=False)
    return made


def normalized(layer):
    return parametrizations.weight_norm(layer)


def spectral(layer):
    return parametrizations.spectral_norm(layer)


def tensors(oracle):
    """An oracle's trained tensors and its singular vectors, by the names that ours have."""
    names = {
        "parametrizations.weight.original": "weight",
        "parametrizations.weight.original0": "gain",
        "parametrizations.weight.original1": "weight",
        "parametrizations.weight.0._u": "left",
        "parametrizations.weight.0._v": "right",
    }
    return {names.get(path, path): tensor for path, tensor in oracle.state_dict(keep_vars=True).items()}


def branch(network):
    """A convolution and its norm as a residual branch."""
    return Branch((network[0],), (network[1],))
