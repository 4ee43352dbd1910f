"""``nn.LayerNorm`` of K lanes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bnbench.norms.common.stacking import take_tensors


class FoldedLayerNorm(nn.Module):
    """Layer normalization of ``[K * N, *]`` over the last axes, with ``weight`` and ``bias`` per lane."""

    weight: Tensor | None
    bias: Tensor | None

    def __init__(self, lanes: Sequence[nn.LayerNorm]) -> None:
        super().__init__()
        self.register_parameter("weight", None)
        self.register_parameter("bias", None)
        take_tensors(self, lanes)
        self.lanes = len(lanes)
        self.normalized_shape = tuple(lanes[0].normalized_shape)
        self.eps = lanes[0].eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x ``[K * N, *]``."""
        shape = self.normalized_shape
        y = torch.unflatten(F.layer_norm(x, shape, eps=self.eps), 0, (self.lanes, -1))
        affine_shape = (self.lanes, *[1] * (y.dim() - 1 - len(shape)), *shape)
        if self.weight is not None:
            y = y * self.weight.view(affine_shape)
        if self.bias is not None:
            y = y + self.bias.view(affine_shape)
        return y.flatten(0, 1)
