"""The place of the lanes: in the batch, lane k owning examples ``k * N`` to ``(k + 1) * N``, or in the channels.

Legend: K lanes, N batch of a lane, C channels of a lane, * any number of positions.
"""

from __future__ import annotations

from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

Layer = TypeVar("Layer", bound=nn.Module)


def lanes_in_channels(x: Tensor, lanes: int) -> Tensor:
    """``[K * N, C, *]`` as ``[N, K * C, *]``."""
    return torch.unflatten(x, 0, (lanes, -1)).transpose(0, 1).flatten(1, 2)


def lanes_in_batch(x: Tensor, lanes: int) -> Tensor:
    """``[N, K * C, *]`` as ``[K * N, C, *]``."""
    return torch.unflatten(x, 1, (lanes, -1)).transpose(0, 1).flatten(0, 1)


def lanes_in_last_channels(x: Tensor, lanes: int) -> Tensor:
    """:func:`lanes_in_channels`; images with the channels last in memory keep them there."""
    if not channels_last(x) or x.is_contiguous():
        return lanes_in_channels(x, lanes)
    x_KNHWC = torch.unflatten(x.permute(0, 2, 3, 1), 0, (lanes, -1))
    return x_KNHWC.permute(1, 2, 3, 0, 4).flatten(3).permute(0, 3, 1, 2)


def last_lanes_in_batch(x: Tensor, lanes: int) -> Tensor:
    """:func:`lanes_in_batch`; images with the channels last in memory keep them there."""
    if not channels_last(x) or x.is_contiguous():
        return lanes_in_batch(x, lanes)
    x_NHWKC = torch.unflatten(x.permute(0, 2, 3, 1), 3, (lanes, -1))
    return x_NHWKC.permute(3, 0, 1, 2, 4).flatten(0, 1).permute(0, 3, 1, 2)


def on_the_batch(layer: Layer, lanes: int) -> Layer:
    """Let a layer that works on ``[N, K * C, *]`` work on ``[K * N, C, *]``."""
    layer.register_forward_pre_hook(partial(_before, lanes))
    layer.register_forward_hook(partial(_after, lanes))
    return layer


def has_lanes_in_channels(layer: nn.Module) -> bool:
    """True if a layer works on ``[N, K * C, *]`` within a network that has ``[K * N, C, *]``: :func:`on_the_batch`."""
    return any(isinstance(hook, partial) and hook.func is _before for hook in layer._forward_pre_hooks.values())


def on_the_channels(layer: Layer, lanes: int) -> Layer:
    """Let a layer that works on ``[K * N, C, *]`` work on ``[N, K * C, *]``, or take back :func:`on_the_batch`."""
    if not has_lanes_in_channels(layer):
        layer.register_forward_pre_hook(partial(_to_batch, lanes), prepend=True)
        layer.register_forward_hook(partial(_to_channels, lanes))
        return layer
    for hooks in (layer._forward_pre_hooks, layer._forward_hooks):
        keys = [key for key, hook in hooks.items() if isinstance(hook, partial) and hook.func in (_before, _after)]
        for key in keys:
            del hooks[key]
    return layer


def _to_batch(lanes: int, layer: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
    return last_lanes_in_batch(inputs[0], lanes)


def _to_channels(lanes: int, layer: nn.Module, inputs: Any, output: Tensor) -> Tensor:
    return lanes_in_last_channels(output, lanes)


def _before(lanes: int, layer: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
    return lanes_in_channels(inputs[0], lanes)


def _after(lanes: int, layer: nn.Module, inputs: Any, output: Tensor) -> Tensor:
    return lanes_in_batch(output, lanes)


def channels_last(tensor: Tensor) -> bool:
    """True if the values of an image tensor lie in memory with the channels innermost."""
    return tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last)


def lanes_of(tensor: Tensor, lanes: int) -> Tensor:
    """A parameter, gradient or buffer of a folded network as ``[K, numbers of a lane]``, a view in the order of memory.

    The tensor is contiguous, or has its channels last.
    """
    return (tensor.permute(0, 2, 3, 1) if channels_last(tensor) else tensor).view(lanes, -1)
