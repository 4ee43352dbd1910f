"""``nn.LayerNorm`` of K lanes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bnbench.norms.lanes import take_tensors


class FoldedLayerNorm(nn.Module):
    """Layer normalization over the last axes, where the lanes are in the first of these, or else in axis 1."""

    weight: Tensor | None
    bias: Tensor | None

    def __init__(self, lanes: Sequence[nn.LayerNorm]) -> None:
        super().__init__()
        take_tensors(self, lanes)
        self.lanes = len(lanes)
        self.normalized_shape = tuple(lanes[0].normalized_shape)
        self.eps = lanes[0].eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x: ``[*, K * C, ...]`` for a shape ``[C, ...]``, ``[N, K * C, *, ...]`` for a shape ``[...]``."""
        shape = self.normalized_shape
        inside = x.shape[-len(shape)] == self.lanes * shape[0]
        axis = x.dim() - len(shape) if inside else 1
        y = F.layer_norm(torch.unflatten(x, axis, (self.lanes, -1)), shape, eps=self.eps)
        affine_shape = (self.lanes, *[1] * (x.dim() - axis - len(shape)), *shape)
        if self.weight is not None:
            y = y * self.weight.view(affine_shape)
        if self.bias is not None:
            y = y + self.bias.view(affine_shape)
        return y.flatten(axis, axis + 1)
