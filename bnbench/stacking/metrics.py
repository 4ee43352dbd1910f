"""Losses and right answers of a stack between two pauses, reckoned for a block of steps at once.

N batch of a lane, K lanes, M = K * N, O classes, S steps. Where positions have labels, labels and logits have them as
their last axis.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bnbench.training.loss import is_right


class LaneMetrics:
    """Takes the losses and logits of every step.

    Attributes:
        sizes: N of each step.
    """

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self._losses_SK: list[Tensor] = []
        self._right_K: Tensor | None = None
        self._positions = 1

    def add(self, losses_SM: Tensor, logits_SMO: Tensor, y_SKN: Tensor) -> None:
        """Take the steps of a block."""
        self._losses_SK.append(losses_SM.view(y_SKN.shape[:3]).mean(2))
        right_SKN = is_right(logits_SMO.flatten(0, 1), y_SKN.flatten(0, 2)).view_as(y_SKN)
        right_K = right_SKN.sum((0, *range(2, y_SKN.ndim)))
        self._positions = y_SKN[0, 0, 0].numel()
        self._right_K = right_K if self._right_K is None else self._right_K + right_K
        self.sizes += [y_SKN.shape[2]] * len(y_SKN)

    def losses(self) -> Tensor:
        """The mean loss of every step and lane, [S, K]."""
        return torch.cat(self._losses_SK)

    def mean_losses(self) -> list[float]:
        """The mean loss of every lane's examples, summed in one order whatever the number of lanes."""
        losses_KS = self.losses().double().T.contiguous()
        weights_S = torch.tensor(self.sizes, dtype=torch.float64, device=losses_KS.device) / sum(self.sizes)
        mean: list[float] = (losses_KS * weights_S).sum(1).tolist()
        return mean

    def accuracies(self) -> list[float]:
        """The share of every lane's labels that were right, as they were trained on."""
        assert self._right_K is not None, "a tally is asked after a step at least"
        labels = sum(self.sizes) * self._positions
        return [right / labels for right in self._right_K.tolist()]
