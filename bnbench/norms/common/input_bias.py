"""Layers that add a trained scalar to their input, as in Fixup (Zhang, Dauphin & Ma 2019, section 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bnbench.norms.common.replacement_layers import SucceedingConv2d, SucceedingLinear


class ShiftedConv2d(SucceedingConv2d):
    """``conv(x + input_bias)``; zeros are put around the sum."""

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__(layer)
        self.input_bias = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Map x ``[N, C, H, W]``."""
        y: Tensor = self._conv_forward(x + self.input_bias, self.weight, self.bias)
        return y


class ShiftedLinear(SucceedingLinear):
    """``linear(x + input_bias)``."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__(layer)
        self.input_bias = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Map x ``[N, *, F]``."""
        return F.linear(x + self.input_bias, self.weight, self.bias)
