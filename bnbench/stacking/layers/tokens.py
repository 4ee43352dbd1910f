"""What is added to tokens, for K lanes.

Legend: K lanes, N batch of a lane, L tokens, D features of a token.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bnbench.models.tokens import ClassToken, FixedPositions, LearnedPositions
from bnbench.norms.common.stacking import take_tensors


class FoldedPositions(nn.Module):
    """Adds ``table [K * L, D]`` to tokens ``[K * N, L, D]``."""

    table: Tensor

    def __init__(self, lanes: Sequence[FixedPositions | LearnedPositions]) -> None:
        super().__init__()
        take_tensors(self, lanes)
        self.lanes = len(lanes)

    def forward(self, x: Tensor) -> Tensor:
        """Map x ``[K * N, L, D]``."""
        table_KLD = torch.unflatten(self.table, 0, (self.lanes, -1))
        return (torch.unflatten(x, 0, (self.lanes, -1)) + table_KLD[:, None]).flatten(0, 1)


class FoldedClassToken(nn.Module):
    """Puts ``token [K * D]`` before tokens ``[K * N, L, D]``."""

    token: Tensor

    def __init__(self, lanes: Sequence[ClassToken]) -> None:
        super().__init__()
        take_tensors(self, lanes)
        self.lanes = len(lanes)

    def forward(self, x: Tensor) -> Tensor:
        """Map x ``[K * N, L, D]`` to ``[K * N, 1 + L, D]``."""
        x_KNLD = torch.unflatten(x, 0, (self.lanes, -1))
        token_KNLD = self.token.view(self.lanes, 1, 1, -1).expand(-1, x_KNLD.shape[1], -1, -1)
        return torch.cat([token_KNLD, x_KNLD], 2).flatten(0, 1)
