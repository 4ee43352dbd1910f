"""A normalization layer as its inventor writes it: a plugin for bnbench, a layer of their own for its peers."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Own(nn.Module):
    """Batch normalization in single operations, over all dimensions of ``[N, C, *]`` but the channels."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, num_features: int, *, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x."""
        over, shape = (0, *range(2, x.dim())), (-1, *[1] * (x.dim() - 2))
        mean, var = self.running_mean, self.running_var
        if self.training:
            mean = x.mean(over)
            var = (x - mean.view(shape)).square().mean(over)
            with torch.no_grad():
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(var, self.momentum)
        y = (x - mean.view(shape)) / torch.sqrt(var.view(shape) + self.eps)
        return y * self.weight.view(shape) + self.bias.view(shape)


NORMS = {"own": Own}
