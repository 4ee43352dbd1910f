"""Successive halving: all trials begin, and at each rung the best of them go on.

K. Jamieson and A. Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization", 2016.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean

from bnbench import store
from bnbench.search.trial import WORST
from bnbench.spec import RunSpec
from bnbench.text import listing


@dataclass(frozen=True)
class Rung:
    """A part of successive halving.

    Attributes:
        trials: that train in it.
        epochs: that each of them has trained for at its end, those of earlier rungs among them.
    """

    trials: int
    epochs: int


@dataclass(frozen=True)
class Standing:
    """The state of a trial at the end of a rung.

    Attributes:
        value: the mean validation accuracy of its runs then, from 0 to 1; None if one of them has none.
        diverged: True if some of its runs did.
        is_over: True if all of them did: nothing can go on.
    """

    value: float | None
    diverged: bool = False
    is_over: bool = False


def rungs(trials: int, epochs: int, reduction: int) -> tuple[Rung, ...]:
    """As many rungs as there are epochs and trials for: each has ``reduction`` times the epochs of the one before.

    The last one ends with the last epoch. One of ``reduction`` trials goes on to the next, rounded down, as the epochs
    of a rung are.
    """
    last = 0
    while reduction ** (last + 1) <= min(trials, epochs):
        last += 1
    return tuple(Rung(trials // reduction**place, epochs // reduction ** (last - place)) for place in range(last + 1))


def best_of(standings: Mapping[int, Standing], count: int) -> set[int]:
    """The numbers of the trials that go on: of equals those with the lowest.

    A trial with a run that diverged goes on only where all others have one as well, one without a value never.
    """
    values = {number: one.value for number, one in standings.items() if one.value is not None and not one.is_over}
    sound = {number: value for number, value in values.items() if not standings[number].diverged}
    ranked = sorted((-value, number) for number, value in (sound or values).items())
    return {number for _, number in ranked[:count]}


def standing_of(rows: Collection[Mapping[str, str]], epochs: int, accuracy: Callable[[str], float | None]) -> Standing:
    """The state of a trial after so many epochs.

    Args:
        rows: of its runs.
        accuracy: the validation accuracy of a run then, by its run_id, of one that has trained for longer.
    """
    accuracies: list[float] = []
    for row in rows:
        trained = float(row["epochs_done"] or 0)
        if row["status"] not in {*store.RESULTS, store.STOPPED} or (
            row["status"] == store.STOPPED and trained < epochs
        ):
            return Standing(None)
        ended_there = trained <= epochs
        if row["status"] == "diverged" and ended_there:
            accuracies.append(WORST)
            continue
        value = float(row["val_accuracy"] or "nan") if ended_there else accuracy(row["run_id"])
        if value is None:
            return Standing(None)
        accuracies.append(value)
    diverged = [row["status"] == "diverged" and float(row["epochs_done"] or 0) <= epochs for row in rows]
    return Standing(fmean(accuracies), any(diverged), all(diverged)) if accuracies else Standing(None)


def problems_of(specs: Iterable[RunSpec], trials: int, reduction: int) -> Iterator[str]:
    """All that is wrong with runs whose trials are to be halved."""
    specs = [*specs]
    if devices := sorted({spec.devices for spec in specs if spec.devices > 1}):
        yield f"devices={devices[0]}: runs on several devices have no checkpoints, from which --halving goes on"
        return
    if steps := sorted({spec.steps for spec in specs if spec.steps is not None}):
        yield f"steps={steps[0]}: --halving compares trials after epochs; write epochs=... instead"
        return
    epochs = sorted({spec.epochs for spec in specs if spec.epochs is not None})
    if len(epochs) > 1:
        yield f"epochs={','.join(map(str, epochs))}: with --halving it must be one number for all runs"
        return
    if epochs[0] < reduction:
        yield f"epochs={epochs[0]}: must be at least {reduction} with --halving {reduction}, for a first rung of one"
        return
    ends = [rung.epochs for rung in rungs(trials, epochs[0], reduction)[:-1]]
    if any(spec.evaluate.unit != "epochs" for spec in specs):
        yield "evaluate.unit=steps: must be epochs with --halving, as each rung ends with an evaluation"
        return
    for every in sorted({spec.evaluate.every for spec in specs}):
        if any(end % every for end in ends):
            yield f"evaluate.every={every}: must divide the epochs at which a rung ends ({listing([*map(str, ends)])})"
