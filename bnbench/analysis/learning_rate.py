"""Numbers on learning rates: the curve of each row, its best and largest rate, and the width of the usable range."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from bnbench.analysis.accuracy import Accuracy, summarize
from bnbench.analysis.levels import Level
from bnbench.analysis.lr_choice import LearningRateChoice, best_lr
from bnbench.analysis.lr_range import LearningRateRange, usable_range
from bnbench.analysis.rows import Rows, sort_into_rows
from bnbench.analysis.trials import Trials


@dataclass(frozen=True, slots=True)
class LearningRateCurve:
    """Validation accuracy of a row over the learning rates of its grid, which may be part of the table's.

    Attributes:
        accuracies: by code of the learning rate, ascending.
        choice: the best one.
        range: positions in this grid.
    """

    accuracies: dict[int, Accuracy]
    choice: LearningRateChoice
    range: LearningRateRange

    @property
    def best(self) -> Accuracy:
        """The accuracy at the best learning rate."""
        return self.accuracies[self.choice.code]

    @property
    def diverged(self) -> int:
        """Runs that diverged at any learning rate."""
        return sum(accuracy.diverged for accuracy in self.accuracies.values())

    @property
    def runs(self) -> int:
        """Runs at all learning rates."""
        return sum(accuracy.seeds for accuracy in self.accuracies.values())

    @property
    def unstable_above(self) -> list[int]:
        """Codes of the learning rates beyond the largest that trains at which the seeds disagree."""
        first = 0 if self.range.largest is None else self.range.largest + 1
        return [code for code, accuracy in list(self.accuracies.items())[first:] if accuracy.unstable]


@dataclass(frozen=True, slots=True)
class UsableWidth:
    """The usable range in learning rates.

    Attributes:
        low: its lowest learning rate.
        high: its highest.
        open_ended: it touches an end of the row's grid and may go on beyond.
    """

    low: float
    high: float
    open_ended: bool

    @property
    def decades(self) -> float:
        """Factors of ten from the lowest to the highest."""
        return math.log10(self.high / self.low)


@dataclass(frozen=True, slots=True)
class LearningRateCurves:
    """The learning-rate curves of a table of runs.

    Attributes:
        curves: by row; a row without results has none.
        seeds: the most that a row has at one learning rate.
    """

    rows: Rows
    curves: Mapping[int, LearningRateCurve]
    seeds: int

    @property
    def levels(self) -> tuple[Level, ...]:
        """The learning rates of the table, by code."""
        return self.rows.trials.levels["lr"]

    def usable(self, row: int) -> UsableWidth | None:
        """The usable range of a row; None if it has none, the seeds disagree at its best rate, or one of it is none."""
        curve = self.curves[row]
        low, high = curve.range.low, curve.range.high
        if curve.choice.unstable or low is None or high is None:
            return None
        rates = [float(self.levels[code] or 0) for code in curve.accuracies]
        if min(rates[low], rates[high]) <= 0:  # a table of another origin, or with a cell that was emptied
            return None
        return UsableWidth(rates[low], rates[high], low == 0 or high == len(rates) - 1)


def analyze_learning_rate(trials: Trials) -> LearningRateCurves:
    """The curve of every row, and what follows from it; at least one of the trials must be a result."""
    rows = sort_into_rows(trials, aside=("lr",))
    counted = rows.trials.counted
    choices = best_lr(counted, ["row"], stable_first=True)
    accuracies: dict[int, dict[int, Accuracy]] = {}
    for (row, code), accuracy in summarize(counted, ["row", "lr"], "val").items():
        accuracies.setdefault(row, {})[code] = accuracy
    curves = {row: _curve(curve, choices[row], float(rows.keys["chance"][row])) for row, curve in accuracies.items()}
    return LearningRateCurves(rows, curves, max(one.seeds for curve in accuracies.values() for one in curve.values()))


def _curve(accuracies: dict[int, Accuracy], choice: LearningRateChoice, chance: float) -> LearningRateCurve:
    means = [accuracy.mean for accuracy in accuracies.values()]
    diverged = [accuracy.diverged / accuracy.seeds for accuracy in accuracies.values()]
    at = list(accuracies).index(choice.code)
    return LearningRateCurve(accuracies, choice, usable_range(means, diverged, at, chance))
