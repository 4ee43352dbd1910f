"""Putting a chosen norm in the place of the normalization layers of a given network."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bnbench.norms.common.bias import wants_bias
from bnbench.norms.common.tokens import is_per_token


class LastAxisNorm(nn.Module):
    """A norm on tokens ``[N, *, C]``, whose channels come last.

    Args:
        norm: takes ``[N, C, *]``.
        each_token: give it every token as an example of its own, ``[N * positions, C]``.
    """

    def __init__(self, norm: nn.Module, *, each_token: bool = False) -> None:
        super().__init__()
        self.norm = norm
        self.each_token = each_token

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x ``[N, *, C]`` over its last axis as channels and the others as positions, or as examples."""
        if self.each_token:
            tokens: Tensor = self.norm(x.flatten(0, -2))
            return tokens.view(x.shape)
        y: Tensor = self.norm(x.movedim(-1, 1))
        return y.movedim(1, -1).contiguous()


def replace_norms(
    network: nn.Module, norm: Callable[[int], nn.Module], channels_first: type[nn.LayerNorm]
) -> list[nn.Module]:
    """Replace every normalization layer in place and return the new ones; options such as eps are the new layer's own.

    Args:
        network: a network with ``nn.BatchNorm`` or ``nn.LayerNorm`` layers.
        norm: makes the new layer for a number of channels.
        channels_first: the subclass of ``nn.LayerNorm`` that works on ``[N, C, H, W]``; others work on the last axis.
    """
    norms = []
    for path, old in list(network.named_modules()):
        if isinstance(old, _BatchNorm):
            new = place = norm(old.num_features)
        elif isinstance(old, nn.LayerNorm):
            new = norm(old.normalized_shape[0])
            place = new if isinstance(old, channels_first) else LastAxisNorm(new, each_token=is_per_token(new))
        else:
            continue
        network.set_submodule(path, place)
        norms.append(new)
    return norms


def add_biases(network: nn.Module, norms: list[nn.Module]) -> None:
    """Give every convolution without a bias one of zeros, unless all norms shift, or cancel it."""
    if not any(wants_bias(norm) for norm in norms):
        return
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and layer.bias is None:
            layer.bias = nn.Parameter(torch.zeros(layer.out_channels, device=layer.weight.device))
