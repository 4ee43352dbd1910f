"""Numbers on small batches: test accuracy by batch size, each at its best learning rate, and what they cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from bnbench.analysis.accuracy import Accuracy, summarize
from bnbench.analysis.baseline import compared_rows
from bnbench.analysis.levels import Level
from bnbench.analysis.lr_choice import LearningRateChoice, best_lr, keep_best
from bnbench.analysis.options import Options
from bnbench.analysis.rows import Rows, sort_into_rows
from bnbench.analysis.trials import Trials

CELL = ("row", "batch_size")
NoNumber = Literal["nothing", "unstable", "unmatched", "baseline"]


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference of accuracies, paired by seed.

    Attributes:
        mean: as a fraction.
        sd: standard deviation over seeds (n - 1 in the denominator); None for one seed.
        n: seeds.
    """

    mean: float
    sd: float | None
    n: int


@dataclass(frozen=True, slots=True)
class SmallBatch:
    """Test accuracy by batch size.

    Attributes:
        accuracies: by row and code of the batch size, at the learning rate of the cell.
        choices: the learning rate of each cell; None where none was chosen.
        compared: the row that each row is compared with; empty without a comparison.
        ends: codes of the smallest and the largest batch size.
        drops: by row, accuracy at the largest batch size less that at the smallest: over the seeds that have both.
        excess: by row, its drop less the baseline's: over the seeds that have both; empty without a comparison.
    """

    rows: Rows
    accuracies: dict[Any, Accuracy]
    choices: dict[Any, LearningRateChoice] | None
    compared: dict[int, int]
    ends: tuple[int, int]
    drops: Mapping[int, Difference | NoNumber]
    excess: Mapping[int, Difference | NoNumber]

    @property
    def batches(self) -> tuple[Level, ...]:
        """The batch sizes of the table, by code."""
        return self.rows.trials.levels["batch_size"]

    @property
    def seeds(self) -> int:
        """The most that a cell has."""
        return max(accuracy.seeds for accuracy in self.accuracies.values())


def analyze_small_batch(trials: Trials, options: Options) -> SmallBatch:
    """Test accuracy by batch size and the drop from the largest to the smallest.

    Args:
        trials: at least one of them a result.
        options: with a baseline, each row's drop is compared with the baseline's.

    Raises:
        InvalidRequest: the baseline matches several rows with equal other factors.
    """
    tuned = options.lr == "best" and len(trials.levels["lr"]) > 1
    rows = sort_into_rows(trials, aside=("batch_size", "lr") if options.lr == "best" else ("batch_size",))
    counted = rows.trials.counted
    choices = best_lr(counted, CELL, stable_first=True) if tuned else None
    compared = compared_rows(rows, options.baseline)
    runs = counted if choices is None else keep_best(counted, choices, CELL)
    ends = int(counted["batch_size"].min()), int(counted["batch_size"].max())
    accuracies = summarize(runs, CELL, "test")
    unstable = {row for (row, batch), accuracy in accuracies.items() if accuracy.unstable and batch in ends}
    by_seed = _drops_by_seed(runs, ends)
    names = [int(row) for row in rows.keys.index]
    drops = {row: _mean(list(by_seed.get(row, {}).values()), row in unstable) for row in names}
    excess = {row: _excess(row, compared.get(row), by_seed, unstable) for row in names} if compared else {}
    return SmallBatch(rows, accuracies, choices, compared, ends, drops, excess)


def _drops_by_seed(runs: pd.DataFrame, ends: tuple[int, int]) -> dict[int, dict[int, float]]:
    """Test accuracy at the largest batch minus that at the smallest, per row and seed that has both."""
    by_seed = runs.groupby(["row", "seed", "batch_size"])["test"].mean().unstack()
    small, large = ends
    differences = (by_seed[large] - by_seed[small]).dropna()
    drops: dict[int, dict[int, float]] = {}
    for row, seed, drop in differences.rename("drop").reset_index().itertuples(index=False):
        drops.setdefault(row, {})[seed] = float(drop)
    return drops


def _mean(differences: Sequence[float], unstable: bool) -> Difference | NoNumber:
    if not differences:
        return "nothing"
    if unstable:
        return "unstable"
    values = pd.Series(differences, dtype=float)
    sd = float(values.std())
    return Difference(float(values.mean()), None if math.isnan(sd) else sd, len(values))


def _excess(
    row: int, other: int | None, drops: dict[int, dict[int, float]], unstable: set[int]
) -> Difference | NoNumber:
    if other == row:
        return "baseline"
    ours, theirs = drops.get(row, {}), drops.get(other, {}) if other is not None else {}
    differences = _mean([ours[seed] - theirs[seed] for seed in ours if seed in theirs], bool(unstable & {row, other}))
    return "unmatched" if differences == "nothing" else differences
