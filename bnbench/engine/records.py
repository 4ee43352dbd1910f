"""What an engine yields: evaluations while it trains, then one outcome. Plain values; the store writes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One evaluation during training; a row of metrics.csv.

    Attributes:
        epoch: passes over the training examples so far, with fraction.
        examples: training examples seen so far.
        lr: learning rate of the last step.
        train_loss: mean over the steps since the last evaluation, of the batches as they were trained on.
        train_accuracy: share from 0 to 1, as train_loss.
    """

    step: int
    epoch: float
    examples: int
    lr: float
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a run; what it leaves empty was not reached.

    Attributes:
        diverged_step: the first step, counted from 1, whose loss was not finite or too large.
        best_val_accuracy: over all evaluations.
        parameters: number of trained parameters.
    """

    status: Literal["completed", "diverged"]
    steps_done: int
    epochs_done: float
    examples_done: int
    train_loss: float | None
    train_accuracy: float | None
    val_loss: float | None
    val_accuracy: float | None
    best_val_accuracy: float | None
    test_loss: float | None
    test_accuracy: float | None
    diverged_step: int | None
    classes: int
    parameters: int


Record = Evaluation | Outcome
