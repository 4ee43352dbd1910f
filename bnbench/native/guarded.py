"""Steps in compiled code, some of which are made by torch as well, and compared."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bnbench.native.guard import SHARE, Guard
from bnbench.native.predictions import NativePredictions
from bnbench.native.steps import NativeSteps
from bnbench.spec import RunSpec
from bnbench.stacking import Folded
from bnbench.stacking.optimizers import LaneOptimizer
from bnbench.training.statistics import tracks_statistics


class GuardedSteps:
    """Makes the steps of a stack as :class:`NativeSteps` does; see :class:`Guard`.

    Args:
        specs: one per lane.
        network: of the steps.
        optimizer: of the network.
        steps: in compiled code.
        share: of the time of training that comparisons may take.
    """

    def __init__(
        self,
        specs: Sequence[RunSpec],
        network: Folded,
        optimizer: LaneOptimizer,
        steps: NativeSteps,
        share: float = SHARE,
    ) -> None:
        self._guard = Guard(specs, share)
        self._network, self._optimizer, self._steps = network, optimizer, steps

    def run(self, x_SMCHW: Tensor, y_SKN: Tensor, lr_SK1: Tensor) -> tuple[Tensor, Tensor]:
        """Make S steps with x [S, M, C, H, W], y [S, K, N], lr [S, K, 1]: losses [S, M] and logits [S, M, O].

        Raises:
            Mismatch: one of them was otherwise than torch's.
        """
        answers = []
        while len(y_SKN) and self._guard.is_due():
            block = x_SMCHW, y_SKN, lr_SK1
            expected = self._guard.expect(self._network, self._optimizer, block, self._is_frozen())
            answers.append(self._steps.run(x_SMCHW[:1], y_SKN[:1], lr_SK1[:1]))
            self._guard.compare(expected, self._network, self._optimizer)
            x_SMCHW, y_SKN, lr_SK1 = x_SMCHW[1:], y_SKN[1:], lr_SK1[1:]
        if len(y_SKN):
            with self._guard.training(len(y_SKN) * self._network.lanes):
                answers.append(self._steps.run(x_SMCHW, y_SKN, lr_SK1))
        if len(answers) == 1:
            return answers[0]
        losses, logits = zip(*answers, strict=True)
        return torch.cat(losses), torch.cat(logits)

    def select(self, network: Folded, longest: int) -> None:
        """Go on with some lanes only, which are this network; or with the same, whose statistics are frozen."""
        self._network = network
        self._steps.select(network, longest)

    def settle(self) -> None:
        """Raise :class:`Mismatch` if the last comparison has found a difference that no other has confirmed."""
        self._guard.settle()

    @property
    def is_settled(self) -> bool:
        """True if the last comparison has found no difference."""
        return self._guard.is_settled

    @property
    def predictions(self) -> NativePredictions | None:
        """What puts out the network's logits at evaluation; None where torch does."""
        return self._steps.predictions

    def _is_frozen(self) -> bool:
        return any(tracks_statistics(layer) and not layer.training for layer in self._network.modules())
