"""Numbers on convergence: how fast, and how surely, each row reaches a target validation accuracy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bnbench.analysis.accuracy import Accuracy, divergence, summarize, without_unstable_divergence
from bnbench.analysis.baseline import compared_rows
from bnbench.analysis.best_runs import rows_at_best
from bnbench.analysis.fastest import fastest_rows
from bnbench.analysis.levels import Level
from bnbench.analysis.lr_choice import LearningRateChoice
from bnbench.analysis.options import Options
from bnbench.analysis.rows import Rows
from bnbench.analysis.speed_up import SpeedUp, row_speed_up
from bnbench.analysis.targets import derive_targets
from bnbench.analysis.time_to_target import Times, times_to_target
from bnbench.analysis.trials import Trials


@dataclass(frozen=True, slots=True)
class RowTimes:
    """One row on its way to a target; None where it has no results.

    Attributes:
        row: its number in ``Rows``.
        lr: the learning rate at which it is shown, where one was chosen.
        reached: times of all its seeds.
        times: those of an unstable row are of the seeds that did not diverge.
        unstable: the seeds disagree on whether it diverges.
        fastest: it has the fewest median steps of the stable rows with its model, data and batch size, and company.
        speed_up: over its baseline, where there is one to compare with.
        val: final validation accuracy.
        test: final test accuracy.
        loss: final validation loss.
    """

    row: int
    lr: LearningRateChoice | None
    reached: Times | None
    times: Times | None
    unstable: bool
    fastest: bool
    speed_up: SpeedUp | None
    val: Accuracy | None
    test: Accuracy | None
    loss: Accuracy | None


@dataclass(frozen=True, slots=True)
class TargetTimes:
    """All rows of a dataset on their way to one target.

    Attributes:
        dataset: the level of the dataset.
        target: validation accuracy, as a fraction.
        seeds: the most that a row has.
    """

    dataset: Level
    target: float
    seeds: int
    rows: tuple[RowTimes, ...]


@dataclass(frozen=True, slots=True)
class Convergence:
    """Times to targets of a table of runs.

    Attributes:
        rows: the rows of all datasets.
        choices: the learning rate of each row; None where none was chosen.
        compared: the row that each row is compared with; empty without a comparison.
        runs: the results at the learning rate of their row.
        divergence: of each row at its learning rate: ``diverged``, ``seeds`` and ``unstable``.
        targets: one per dataset and target.
    """

    rows: Rows
    choices: dict[Any, LearningRateChoice] | None
    compared: dict[int, int]
    runs: pd.DataFrame
    divergence: pd.DataFrame
    targets: tuple[TargetTimes, ...]


def analyze_convergence(trials: Trials, metrics: pd.DataFrame, options: Options) -> Convergence:
    """Time to target, final accuracy and speed-up of every row.

    Args:
        trials: at least one of them a result.
        metrics: one line per evaluation.
        options: targets, baseline, and whether rows are shown at their best learning rate.

    Raises:
        InvalidRequest: the baseline matches several rows with equal other factors.
    """
    rows, choices, runs = rows_at_best(trials, options)
    compared = compared_rows(rows, options.baseline)
    material = _Material(rows, choices, compared, runs, divergence(runs, ["row"]), metrics)
    datasets = sorted(trials.frame["dataset"].unique())
    targets = tuple(times for dataset in datasets for times in _dataset_times(material, dataset, options.targets))
    return Convergence(rows, choices, compared, runs, material.divergence, targets)


@dataclass(frozen=True, slots=True)
class _Material:
    """All that the targets share; ``runs`` are those at the learning rate of their row."""

    rows: Rows
    choices: dict[Any, LearningRateChoice] | None
    compared: dict[int, int]
    runs: pd.DataFrame
    divergence: pd.DataFrame
    metrics: pd.DataFrame


def _dataset_times(material: _Material, dataset: int, targets: tuple[float, ...]) -> Iterator[TargetTimes]:
    keys = material.rows.keys
    here = [int(row) for row in keys.index[keys["dataset"] == dataset]]
    runs = material.runs[material.runs["row"].isin(here)]
    if runs.empty:
        return
    level = material.rows.trials.levels["dataset"][dataset]
    val, test, loss = (summarize(runs, ["row"], score) for score in ("val", "test", "val_loss"))
    seeds = max(accuracy.seeds for accuracy in val.values())
    for target in targets or _derived(runs, val):
        times = _target_times(material, runs, target)
        rows = tuple(_row(material, row, times, val.get(row), test.get(row), loss.get(row)) for row in here)
        yield TargetTimes(level, target, seeds, rows)


def _derived(runs: pd.DataFrame, val: dict[Any, Accuracy]) -> tuple[float, ...]:
    chance = float(runs["chance"].max())
    # Which target it is may hang on rounding only where no row is stable and above chance.
    trained = [row.mean for row in val.values() if not row.unstable and row.mean > chance]
    return derive_targets(max(trained or [row.mean for row in val.values()]), chance)


@dataclass(frozen=True, slots=True)
class _RowsTimes:
    """Times of all rows: of ``every`` seed, and of those that count; ``fastest`` rows."""

    every: dict[int, Times]
    counted: dict[int, Times]
    fastest: set[int]


def _target_times(material: _Material, runs: pd.DataFrame, target: float) -> _RowsTimes:
    every = times_to_target(runs, material.metrics, target)
    counted = times_to_target(without_unstable_divergence(runs, ["row"]), material.metrics, target)
    return _RowsTimes(every, counted, fastest_rows(material.rows, counted, material.divergence["unstable"]))


def _row(material: _Material, row: int, times: _RowsTimes, *final: Accuracy | None) -> RowTimes:
    return RowTimes(
        row,
        material.choices.get(row) if material.choices is not None else None,
        times.every.get(row),
        times.counted.get(row),
        bool(material.divergence["unstable"].get(row, False)),
        row in times.fastest,
        row_speed_up(row, material.compared, times.counted, material.divergence["unstable"]),
        *final,
    )
