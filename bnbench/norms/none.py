"""No normalization: the arm to compare with."""

from __future__ import annotations

from torch import Tensor, nn


class NoNorm(nn.Module):
    """The identity. It does not shift, so the layer before it keeps its bias."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, x: Tensor) -> Tensor:
        """Return x ``[N, C, *]`` as it is."""
        return x
