"""Losses and right answers of a stack between two pauses, reckoned for many steps at once.

N batch of a lane, K lanes, M = K * N, O classes, S steps.
"""

from __future__ import annotations

import torch
from torch import Tensor

TOGETHER = 32
"""Steps that are kept before their answers are reckoned."""


class LaneTally:
    """Takes every step's losses and logits.

    Attributes:
        sizes: N of each step.
    """

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self._losses_SK: list[Tensor] = []
        self._right_K: Tensor | None = None
        self._kept: list[tuple[Tensor, Tensor, Tensor]] = []

    def add(self, loss_M: Tensor, logits_MO: Tensor, y_KN: Tensor) -> None:
        """Take a step."""
        if self._kept and (len(self._kept) == TOGETHER or self._kept[0][2].shape != y_KN.shape):
            self._reckon()
        self._kept.append((loss_M.detach(), logits_MO.detach(), y_KN))
        self.sizes.append(y_KN.shape[1])

    def losses(self) -> Tensor:
        """The mean loss of every step and lane, [S, K]."""
        self._reckon()
        return torch.cat(self._losses_SK)

    def mean_losses(self) -> list[float]:
        """The mean loss of every lane's examples."""
        losses_SK = self.losses()
        weights_S1 = torch.tensor(self.sizes, dtype=torch.float64, device=losses_SK.device)[:, None] / sum(self.sizes)
        mean: list[float] = (losses_SK.double() * weights_S1).sum(0).tolist()
        return mean

    def accuracies(self) -> list[float]:
        """The share of every lane's examples that were right, as they were trained on."""
        self._reckon()
        assert self._right_K is not None, "a tally is asked after a step at least"
        return [right / sum(self.sizes) for right in self._right_K.tolist()]

    def _reckon(self) -> None:
        if not self._kept:
            return
        losses, logits, targets = zip(*self._kept, strict=True)
        self._kept = []
        y_SKN = torch.stack(targets)
        self._losses_SK.append(torch.stack(losses).view_as(y_SKN).mean(2))
        right_K = (torch.stack(logits).argmax(2).view_as(y_SKN) == y_SKN).sum((0, 2))
        self._right_K = right_K if self._right_K is None else self._right_K + right_K
