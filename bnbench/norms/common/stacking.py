"""Layers of K lanes as one layer, which takes the lanes' channels ``[N, K * C, *]`` or examples ``[K * N, C, *]``.

Legend: K lanes, N batch, C channels of a lane, * any number of positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from bnbench.norms.common.affine import full_precision
from bnbench.norms.common.copying import copied

Layer = TypeVar("Layer", bound=nn.Module)


def joined(tensors: Sequence[Tensor]) -> Tensor:
    """K tensors of one shape ``[D, ...]`` as one contiguous ``[K * D, ...]``; K scalars as ``[K]``."""
    values = [tensor.detach() for tensor in tensors]
    return (torch.cat(values) if values[0].dim() else torch.stack(values)).contiguous()


def take_tensors(folded: nn.Module, lanes: Sequence[nn.Module]) -> None:
    """Give a folded layer the parameters and buffers of its lanes, joined, under their own names, and no others."""
    first = lanes[0]
    folded._parameters.update(dict.fromkeys(folded._parameters))
    folded._buffers.update(dict.fromkeys(folded._buffers))
    for name, parameter in first._parameters.items():
        values = [lane._parameters[name] for lane in lanes]
        joint = None if parameter is None else joined([value for value in values if value is not None])
        requires_grad = parameter is not None and parameter.requires_grad
        folded.register_parameter(name, None if joint is None else nn.Parameter(joint, requires_grad=requires_grad))
    for name, buffer in first._buffers.items():
        tensors = [lane._buffers[name] for lane in lanes]
        joint = None if buffer is None else joined([tensor for tensor in tensors if tensor is not None])
        folded.register_buffer(name, joint, persistent=name not in first._non_persistent_buffers_set)


def stacked(lanes: Sequence[Layer], *sizes: str) -> Layer:
    """The first lane's layer over K times the channels, with the tensors of all lanes.

    Args:
        lanes: layers of one kind with the same options.
        sizes: names of the integer attributes that grow by a factor K.
    """
    folded = copied(lanes[0])
    take_tensors(folded, lanes)
    for size in sizes:
        setattr(folded, size, getattr(folded, size) * len(lanes))
    return folded


class PerExample(nn.Module):
    """K lanes of a norm whose statistics are per example, on ``[K * N, C, *]``, lane k owning examples ``k * N`` on.

    Args:
        lanes: norms of one kind.
        normalize: the same norm without affine part.
    """

    weight: nn.Parameter | None
    bias: nn.Parameter | None

    def __init__(self, lanes: Sequence[nn.Module], normalize: nn.Module) -> None:
        super().__init__()
        self.register_parameter("weight", None)
        self.register_parameter("bias", None)
        take_tensors(self, lanes)
        self.normalize = normalize
        self.lanes = len(lanes)

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x ``[K * N, C, *]``."""
        y = self.normalize(full_precision(x))
        y_KNC = torch.unflatten(y, 0, (self.lanes, -1))
        shape = (self.lanes, 1, -1) + (1,) * (x.dim() - 2)
        if self.weight is not None:
            y_KNC = y_KNC * full_precision(self.weight).view(shape)
        if self.bias is not None:
            y_KNC = y_KNC + full_precision(self.bias).view(shape)
        return y_KNC.flatten(0, 1).to(x.dtype)
