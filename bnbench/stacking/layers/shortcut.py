"""The shortcut of residual networks for K lanes beside each other.

Legend: K lanes, N batch of a lane, C channels of a lane, H, W.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bnbench.models.resnet import SubsampleAndPad


class WideSubsampleAndPad(nn.Module):
    """``[N, K * C, H, W] -> [N, K * (C + channels), ceil(H / 2), ceil(W / 2)]``, channels last."""

    def __init__(self, lanes: int, layer: SubsampleAndPad) -> None:
        super().__init__()
        self.lanes, self.channels = lanes, layer.channels

    def forward(self, x: Tensor) -> Tensor:
        """Take every second row and column; each lane's new channels come behind its old ones."""
        x_NHWKC = torch.unflatten(x.permute(0, 2, 3, 1)[:, ::2, ::2], 3, (self.lanes, -1))
        return F.pad(x_NHWKC, (0, self.channels)).flatten(3).permute(0, 3, 1, 2)
