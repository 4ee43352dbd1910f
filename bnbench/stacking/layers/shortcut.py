"""The shortcut of residual networks for K lanes beside each other.

Legend: K lanes, N batch of a lane, C channels of a lane, H, W.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from bnbench.models.resnet import SubsampleAndPad


class WideSubsampleAndPad(nn.Module):
    """``[N, K * C, H, W] -> [N, K * (C + channels), ceil(H / 2), ceil(W / 2)]``, channels last."""

    def __init__(self, lanes: int, layer: SubsampleAndPad) -> None:
        super().__init__()
        self.lanes, self.channels = lanes, layer.channels

    def forward(self, x: Tensor) -> Tensor:
        """Take every second row and column; each lane's new channels come behind its old ones."""
        x_NHWKC = torch.unflatten(x.permute(0, 2, 3, 1), 3, (self.lanes, -1))
        y_NHWKC: Tensor = SecondPositions.apply(x_NHWKC, self.channels)
        return y_NHWKC.flatten(3).permute(0, 3, 1, 2)


class SecondPositions(torch.autograd.Function):
    """Every second row and column of x ``[N, H, W, K, C]``, with zeros for new channels behind each lane's old ones.

    In fewer passes than by indexing and padding, whose ways back write zeros twice.
    """

    @staticmethod
    def forward(ctx: Any, x_NHWKC: Tensor, channels: int) -> Tensor:
        """Map x to ``[N, ceil(H / 2), ceil(W / 2), K, C + channels]``."""
        ctx.shape = x_NHWKC.shape
        taken = x_NHWKC[:, ::2, ::2]
        y = x_NHWKC.new_zeros(*taken.shape[:-1], taken.shape[-1] + channels)
        y[..., : taken.shape[-1]] = taken
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None]:
        """The gradients of what was taken, and zeros."""
        if not ctx.needs_input_grad[0]:
            return None, None
        x_gradient = gradients[0].new_zeros(ctx.shape)
        x_gradient[:, ::2, ::2] = gradients[0][..., : ctx.shape[-1]]
        return x_gradient, None
