"""Layers of K lanes that add a scalar to their input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn


def shifted(rule: Callable[[Sequence[Any]], nn.Module]) -> Callable[[Sequence[Any]], nn.Module]:
    """A rule's layer that takes the lanes' ``input_bias [K]`` too, with the scalars added before it."""

    def fold(lanes: Sequence[Any]) -> nn.Module:
        layer = rule(lanes)
        layer.register_forward_pre_hook(_shift)
        return layer

    return fold


def _shift(layer: Any, inputs: tuple[Tensor, ...]) -> Tensor:
    x_KN = torch.unflatten(inputs[0], 0, (layer.lanes, -1))
    shifted_KN: Tensor = x_KN + layer.input_bias.view(-1, *[1] * (x_KN.dim() - 1))
    return shifted_KN.flatten(0, 1)
