"""The view of convergence: how fast, and how surely, each row reaches a target validation accuracy."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from bnbench.analysis import Convergence, Options, analyze_convergence
from bnbench.analysis.baseline import baseline_text
from bnbench.analysis.convergence import RowTimes, TargetTimes
from bnbench.analysis.levels import Level, level_text
from bnbench.analysis.speed_up import SpeedUp
from bnbench.analysis.time_to_target import Times
from bnbench.reports.cells import (
    BASELINE_CELL,
    UNMATCHED_CELL,
    UNSTABLE,
    UNSTABLE_CELL,
    accuracy_cell,
    lr_cell,
    row_table,
)
from bnbench.reports.drawings import convergence_figures
from bnbench.reports.notes import (
    UNSTABLE_NOTE,
    edge_notes,
    incomparable_note,
    runs_notes,
    seeds_note,
    unmatched_notes,
    untuned_notes,
)
from bnbench.reports.results import results
from bnbench.reports.summary import convergence_sentences
from bnbench.reports.view import NOTHING, Cell, ReportView, Table, Unit
from bnbench.reports.where import NOWHERE, Sources, Where
from bnbench.reports.wording import target as target_text

TITLE = "Convergence"
MISS_NOTE = "A miss counts as infinity: the median is 'never' unless more than half of the seeds reach the target."
BOUND_NOTE = "'>': a lower bound, as the baseline never reached the target in the steps it spent; '-': neither did."
TEXTS = ("text",)
"""Datasets whose losses are shown as well, as those of language models are; by the loss of a character."""
LOSS_NOTE = "val nats: final validation loss, in nats per character: mean ± standard deviation."
UNITS: Mapping[str, Unit] = {"step": "count", "epoch": "count", "examples": "magnitude"}


def convergence(runs: pd.DataFrame, metrics: pd.DataFrame, options: Options) -> ReportView:
    """Time to target, final accuracy and speed-up; one table per dataset and target.

    Args:
        runs: one line per run.
        metrics: one line per evaluation.
        options: targets, baseline, and whether rows are shown at their best learning rate.

    Raises:
        InvalidRequest: the baseline matches several rows with equal other factors.
    """
    trials = results(TITLE, runs, options)
    if isinstance(trials, ReportView):
        return trials
    if metrics.empty:
        return ReportView(TITLE, notes=("The runs have no evaluations on record.",))
    numbers = analyze_convergence(trials, metrics, options)
    if not numbers.targets:
        untrained = "No row's mean validation accuracy is above chance, so there is no target."
        return ReportView(TITLE, notes=(untrained,), figures=convergence_figures(numbers, metrics))
    tables = tuple(_table(numbers, times) for times in numbers.targets)
    sentences, figures = tuple(convergence_sentences(numbers)), convergence_figures(numbers, metrics)
    return ReportView(TITLE, tables, _notes(numbers, options), figures, sentences)


def _table(numbers: Convergence, times: TargetTimes) -> Table:
    rows = numbers.rows
    optional = any(name.startswith("dataset.") for name in rows.factors)
    without = [] if optional else ["dataset"]  # which the title tells
    sources = Sources(rows, () if numbers.choices is None else ("lr",))
    cells = {row.row: _cells(numbers, row, times, sources) for row in times.rows}
    place = f"{level_text(times.dataset)}: " if len(rows.trials.levels["dataset"]) > 1 else ""
    title = f"{place}to {target_text(times.target)} validation accuracy"
    return row_table(title, rows, _titles(numbers, times.dataset), cells, without=without)


def _titles(numbers: Convergence, dataset: Level) -> list[str]:
    tuned = ["lr"] if numbers.choices is not None else []
    compared = ["speed-up"] if numbers.compared else []
    loss = ["val nats"] if dataset in TEXTS else []
    return [*tuned, "reached", "steps", *compared, "val %", "test %", *loss, "epochs", "examples"]


def _cells(numbers: Convergence, row: RowTimes, times: TargetTimes, sources: Sources) -> list[Cell]:
    codes = [row.lr.code] if row.lr else []
    here = numbers.choices is None or row.lr is not None
    every, where = (sources.of_all(row.row, *codes), sources.of_mean(row.row, *codes)) if here else (NOWHERE, NOWHERE)
    levels = numbers.rows.trials.levels["lr"]
    lr = [] if numbers.choices is None else [lr_cell(levels, row.lr, where) if row.lr else NOTHING]
    speed_up = [] if row.speed_up is None else [_speed_up(row.speed_up)]
    final = [accuracy_cell(accuracy, times.seeds, where=where) for accuracy in (row.val, row.test)]
    if times.dataset in TEXTS:
        final.append(accuracy_cell(row.loss, times.seeds, where=where, unit="nats"))
    step, epoch, examples = (_time(row, axis, where) for axis in ("step", "epoch", "examples"))
    return [*lr, _reached(row.reached, every), step, *speed_up, *final, epoch, examples]


def _reached(times: Times | None, where: Where) -> Cell:
    if times is None:
        return Cell(words="no result", n=0, mark="bad")
    return Cell(times.hits / times.n, "share", n=times.n, mark="bad" if times.hits < times.n else "", where=where)


def _time(row: RowTimes, axis: str, where: Where) -> Cell:
    times = row.times
    if times is None:
        return NOTHING
    median = times.median[axis]
    return Cell(
        median,
        UNITS[axis],
        low=times.low[axis],
        high=times.high[axis],
        n=times.n,
        remarks=(f"n={times.n}", UNSTABLE) if row.unstable else (),
        mark="bad" if math.isinf(median) or row.unstable else "best" if row.fastest and axis == "step" else "",
        where=where,
    )


def _speed_up(speed_up: SpeedUp) -> Cell:
    match speed_up.reading:
        case "ratio":
            return Cell(speed_up.value, "ratio")
        case "above":
            return Cell(speed_up.value, "ratio", low=speed_up.value, high=math.inf, bound=">")
        case "never":
            return Cell(0.0, "ratio", words="never", mark="bad")
        case "neither":
            return NOTHING
        case "baseline":
            return BASELINE_CELL
        case "unstable":
            return UNSTABLE_CELL
        case "unmatched" | "unknown":
            return UNMATCHED_CELL


def _notes(numbers: Convergence, options: Options) -> tuple[str, ...]:
    usual = int(numbers.divergence["seeds"].max())
    notes = [f"Median [fastest-slowest] over seeds. {MISS_NOTE}", seeds_note(usual, "Final accuracy in percent")]
    if any(times.dataset in TEXTS for times in numbers.targets):
        notes.append(LOSS_NOTE)
    unstable = numbers.divergence["unstable"]
    if (~unstable & (numbers.divergence["diverged"] > 0)).any():
        notes.append("A diverged run keeps what it reached before, and its final accuracy is chance (1 / classes).")
    if unstable.any():
        notes.append(UNSTABLE_NOTE)
    if not options.targets:
        aside = " (unstable rows aside)" if unstable.any() and not unstable.all() else ""
        notes.append(
            f"Targets derived from the results: 95% and 99% of the best row's mean final validation accuracy{aside},"
            " rounded down to a whole percent."
        )
    return (*notes, *_lr_notes(numbers), *_baseline_notes(numbers, options), *runs_notes(numbers.rows))


def _lr_notes(numbers: Convergence) -> list[str]:
    if numbers.choices is None:
        return untuned_notes(numbers.rows)
    text = "lr: each row at its own best learning rate, by mean final validation accuracy over the same seeds."
    return [text, *edge_notes(numbers.choices.values())]


def _baseline_notes(numbers: Convergence, options: Options) -> list[str]:
    baseline = options.baseline
    if not baseline:
        return []
    if not numbers.compared:
        return [incomparable_note(baseline)]
    others = "the same values of the other factors"
    text = f"speed-up: median steps of {baseline_text(baseline)} / median steps of the row, at {others}."
    return [text, BOUND_NOTE, *unmatched_notes(numbers.rows, baseline, numbers.compared)]
