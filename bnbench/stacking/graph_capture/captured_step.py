"""A step that is recorded once and played back without Python.

N batch of a lane, K lanes, M = K * N, C channels, H, W, O classes, S steps of a block, L most steps of a block.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from traceback import clear_frames
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from bnbench.error_origin import is_bug
from bnbench.stacking.layers.windows import shared_zeros
from bnbench.stacking.step import LaneStep
from bnbench.training.device import brief

T = TypeVar("T")


class Recorder(Protocol):
    """Records what a function does to tensors; a playback does the same to the same tensors, as they are then."""

    def stream(self) -> AbstractContextManager[None]:
        """The stream on which steps are warmed up, recorded and played back."""
        ...

    def rehearsal(self) -> AbstractContextManager[list[str]]:
        """Around a step that is made as it comes: when it is over, the list says why it cannot be recorded."""
        ...

    def record(self, body: Callable[[], object]) -> Callable[[], None]:
        """Call ``body`` to learn what it does, which may not be done yet, and return the playback.

        Raises:
            Exception: ``body`` does something that cannot be recorded.
        """
        ...


@dataclass(frozen=True)
class Refusal:
    """Why something cannot be recorded."""

    reason: str


def attempted(record: Callable[[], T]) -> T | Refusal:
    """What ``record`` returns, or why nothing was recorded. Raises what is a bug of bnbench, or is about memory."""
    try:
        return record()
    except torch.OutOfMemoryError:
        raise
    except (Exception, SystemExit) as error:  # a plugin's layer may raise anything
        if is_bug(error):
            raise
        clear_frames(error.__traceback__)  # they hold its tensors
        return Refusal(brief(error.__context__ or error))  # the end of such a recording has an error of its own


class Recording:
    """A recorded step for one size of batch, with the tables that it reads and writes.

    It finds its batch at a place of the tables that it counts itself, and leaves its losses and logits there.

    Args:
        step: what is recorded; it has run a few times, so that nothing is made for the first time.
        block: a block like those to come, x [S, M, C, H, W], y [S, K, N] and lr [S, K, 1].
        longest: L.
        classes: O.
    """

    def __init__(
        self, step: LaneStep, recorder: Recorder, block: tuple[Tensor, Tensor, Tensor], longest: int, classes: int
    ) -> None:
        x_SMCHW, y_SKN, lr_SK1 = block
        lanes, size, *positions = y_SKN.shape[1:]
        self._step = step
        self._inputs = [part.new_zeros(longest, *part.shape[1:]) for part in block]
        self._losses_LM = lr_SK1.new_zeros(longest, lanes * size)
        self._logits_LMO = lr_SK1.new_zeros(longest, lanes * size, classes, *positions)
        self._place_1 = torch.zeros(1, dtype=torch.int64, device=x_SMCHW.device)
        with shared_zeros():
            self._play = recorder.record(self._run)

    def run_block(self, x_SMCHW: Tensor, y_SKN: Tensor, lr_SK1: Tensor) -> tuple[Tensor, Tensor]:
        """See :meth:`LaneStep.run_block`; S is at most L."""
        steps = len(y_SKN)
        for table, part in zip(self._inputs, (x_SMCHW, y_SKN, lr_SK1), strict=True):
            table[:steps].copy_(part)
        self._place_1.zero_()
        for _ in range(steps):
            self._play()
        return self._losses_LM[:steps].clone(), self._logits_LMO[:steps].clone()

    def _run(self) -> None:
        x_MCHW, y_KN, lr_K1 = (table.index_select(0, self._place_1).squeeze(0) for table in self._inputs)
        loss_M, logits_MO = self._step.run(x_MCHW, y_KN, lr_K1)
        self._losses_LM.index_copy_(0, self._place_1, loss_M[None])
        self._logits_LMO.index_copy_(0, self._place_1, logits_MO[None])
        self._place_1.add_(1)
