"""Records that an engine yields: evaluations and readings while it trains, then one outcome. The store writes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from torch import nn

from bnbench.data import Data
from bnbench.spec import RunSpec


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
class Reading:
    """One number that a probe measured at a pause; a row of probes.csv.

    Attributes:
        layer: the path of a layer in the network, or ``network``.
        name: what was measured.
    """

    step: int
    probe: str
    layer: str
    name: str
    value: float


class Probe(Protocol):
    """Measures at a pause of training and leaves the network, and torch's random state, as they were."""

    def __call__(self, spec: RunSpec, network: nn.Module, data: Data, step: int) -> list[Reading]:
        """Readings of a network that has made ``step`` steps."""
        ...


Keep = Callable[[RunSpec, nn.Module], None]
"""Takes a network that has been trained to its end and did not diverge, and leaves it as it is."""


@dataclass(frozen=True, slots=True, eq=False)
class Halt:
    """A run at a pause: its network has made ``step`` steps."""

    spec: RunSpec
    network: nn.Module
    data: Data
    step: int


class JointProbe(Protocol):
    """Measures several runs at a pause of each; what holds for :class:`Probe` holds for each network."""

    def __call__(self, halts: Sequence[Halt]) -> list[list[Reading]]:
        """Readings of each of them."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a run; what it leaves empty was not reached.

    Attributes:
        status: ``stopped`` is a run that made all steps that it was to make for now, and was not tested.
        diverged_step: the first step, counted from 1, whose loss was not finite or too large.
        best_val_accuracy: over all evaluations.
        parameters: number of trained parameters.
    """

    status: Literal["completed", "diverged", "stopped"]
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


Record = Evaluation | Reading | Outcome


def row_of(record: Record) -> dict[str, Any]:
    """The fields of a record by name; there are many records, and ``dataclasses.asdict`` copies each value deeply."""
    return {name: getattr(record, name) for name in record.__slots__}


@dataclass(frozen=True, slots=True)
class Progress:
    """The point that a run has come to.

    Attributes:
        steps: of the optimizer.
        examples: that were trained on.
        per_epoch: steps of an epoch.
        best: best validation accuracy so far.
    """

    steps: int
    examples: int
    per_epoch: int
    best: float | None


def end_of_run(
    done: Progress,
    classes: int,
    parameters: int,
    diverged_step: int | None = None,
    final: Evaluation | None = None,
    test: tuple[float, float] | None = None,
) -> Outcome:
    """The outcome of a run.

    Args:
        done: when it ended.
        classes: of its data.
        parameters: number of trained ones.
        diverged_step: see :class:`Outcome`.
        final: the last evaluation of a run that did not diverge.
        test: loss and accuracy; without them, a run that did not diverge has stopped.
    """
    return Outcome(
        status="diverged" if diverged_step is not None else "stopped" if test is None else "completed",
        steps_done=done.steps,
        epochs_done=done.steps / done.per_epoch,
        examples_done=done.examples,
        train_loss=final.train_loss if final else None,
        train_accuracy=final.train_accuracy if final else None,
        val_loss=final.val_loss if final else None,
        val_accuracy=final.val_accuracy if final else None,
        best_val_accuracy=done.best,
        test_loss=test[0] if test else None,
        test_accuracy=test[1] if test else None,
        diverged_step=diverged_step,
        classes=classes,
        parameters=parameters,
    )
