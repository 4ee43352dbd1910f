"""A learned scale of each channel at the end of a residual branch (Touvron et al. 2021, CaiT, LayerScale)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LayerScale(nn.Module):
    """Multiplies each channel by a number that is learned.

    Args:
        channels: C.
        start: all C numbers before training.
    """

    def __init__(self, channels: int, start: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((channels,), start))

    def forward(self, x: Tensor) -> Tensor:
        """Map x ``[N, C, H, W]``."""
        return x * self.scale.view(-1, 1, 1)
