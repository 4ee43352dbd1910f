"""Convergence: how fast, and how surely, each row reaches a target validation accuracy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pandas as pd

from bnbench.reports.accuracy import (
    NOTHING,
    UNSTABLE,
    UNSTABLE_NOTE,
    accuracy_cell,
    divergence,
    seeds_note,
    summarize,
    without_unstable_divergence,
)
from bnbench.reports.baseline import baseline_rows, baseline_text, incomparable, is_comparable, unmatched
from bnbench.reports.levels import level_text
from bnbench.reports.options import Options
from bnbench.reports.rows import Rows, following, key_columns, labels, section_starts, sort_into_rows
from bnbench.reports.targets import derive_targets
from bnbench.reports.time_to_target import Times, times_to_target
from bnbench.reports.trials import read_trials, uncounted
from bnbench.reports.tuning import EDGE_NOTE, best_lr, keep_best, lr_cell
from bnbench.reports.view import Cell, Column, ReportView, Table
from bnbench.reports.wording import count, magnitude, ratio
from bnbench.reports.wording import target as target_text
from bnbench.stats import ratio_of_medians

TITLE = "Convergence"
MISS_NOTE = "A miss counts as infinity: the median is 'never' unless more than half of the seeds reach the target."
BOUND_NOTE = "'>': a lower bound, as the baseline never reached the target in the steps it spent; '-': neither did."


@dataclass(frozen=True, slots=True)
class _Material:
    """What all tables of the view are made of.

    Attributes:
        runs: those at the shown learning rate, with their row.
        divergence: of every row at that learning rate.
    """

    rows: Rows
    runs: pd.DataFrame
    divergence: pd.DataFrame
    metrics: pd.DataFrame
    best: pd.DataFrame | None
    compared: dict[int, int]
    options: Options


def convergence(runs: pd.DataFrame, metrics: pd.DataFrame, options: Options) -> ReportView:
    """Time to target, final accuracy and speed-up; one table per dataset and target.

    Args:
        runs: one line per run.
        metrics: one line per evaluation.
        options: targets, baseline, and whether rows are shown at their best learning rate.

    Raises:
        InvalidRequest: the baseline matches several rows with equal other factors.
    """
    if runs.empty:
        return ReportView(TITLE, notes=("There are no runs.",))
    trials = read_trials(runs, options.baseline)
    if trials.counted.empty:
        return ReportView(TITLE, notes=("No run has finished.", *uncounted(trials)))
    if metrics.empty:
        return ReportView(TITLE, notes=("The runs have no evaluations on record.",))
    material = _gather(sort_into_rows(trials, aside=() if options.lr == "all" else ("lr",)), metrics, options)
    tables = [table for dataset in sorted(trials.frame["dataset"].unique()) for table in _tables(material, dataset)]
    if not tables:
        return ReportView(TITLE, notes=("No row's mean validation accuracy is above chance, so there is no target.",))
    return ReportView(TITLE, tuple(tables), _notes(material))


def _gather(rows: Rows, metrics: pd.DataFrame, options: Options) -> _Material:
    counted = rows.trials.counted
    tuned = options.lr == "best" and len(rows.trials.levels["lr"]) > 1
    best = best_lr(counted, ["row"], stable_first=True) if tuned else None
    compared = baseline_rows(rows, options.baseline) if is_comparable(rows, options.baseline) else {}
    chosen = counted if best is None else keep_best(counted, best, ["row"])
    return _Material(rows, chosen, divergence(chosen, ["row"]), metrics, best, compared, options)


def _tables(material: _Material, dataset: int) -> Iterator[Table]:
    rows = material.rows
    here = rows.keys.index[rows.keys["dataset"] == dataset]
    runs = material.runs[material.runs["row"].isin(here)]
    if runs.empty:
        return
    targets = material.options.targets or _derived(runs)
    several = len(rows.trials.levels["dataset"]) > 1
    place = f"{level_text(rows.trials.levels['dataset'][dataset])}: " if several else ""
    for target in targets:
        yield _table(material, runs, [int(row) for row in here], target, place)


def _derived(runs: pd.DataFrame) -> tuple[float, ...]:
    chance = float(runs["chance"].max())
    rows = summarize(runs, ["row"], "val")
    # What a target is may hang on rounding only where no row is stable and above chance.
    trained = rows[~rows["unstable"] & (rows["mean"] > chance)]
    return derive_targets(float((rows if trained.empty else trained)["mean"].max()), chance)


def _table(material: _Material, runs: pd.DataFrame, here: list[int], target: float, place: str) -> Table:
    every = times_to_target(runs, material.metrics, target)
    times = times_to_target(without_unstable_divergence(runs, ["row"]), material.metrics, target)
    unstable = material.divergence["unstable"].to_dict()
    val = _accuracies(runs, "val")
    test = _accuracies(runs, "test")
    optional = any(name.startswith("dataset.") for name in material.rows.factors)
    without = [] if optional else ["dataset"]  # which the title tells
    names = labels(material.rows, without)
    stable = (time.median["step"] for row, time in times.items() if not unstable[row])
    fastest = min(stable, default=float("inf"))
    lines = [
        (
            *names[row],
            *_lr(material, row),
            _reached(every.get(row)),
            _steps(times.get(row), fastest, unstable.get(row, False)),
            *_speed_up(material, row, times),
            val.get(row, NOTHING),
            test.get(row, NOTHING),
            *_epochs(times.get(row), unstable.get(row, False)),
        )
        for row in here
    ]
    keys = key_columns(material.rows, without)
    columns = (*keys, *map(Column, _titles(material)))
    sections = section_starts([names[row] for row in here])
    return Table(f"{place}to {target_text(target)} validation accuracy", columns, tuple(lines), (), sections)


def _titles(material: _Material) -> list[str]:
    tuned = ["lr"] if material.best is not None else []
    compared = ["speed-up"] if material.compared else []
    return [*tuned, "reached", "steps", *compared, "val %", "test %", "epochs", "examples"]


def _accuracies(runs: pd.DataFrame, score: str) -> dict[int, Cell]:
    table = summarize(runs, ["row"], score)
    usual = int(table["seeds"].max())
    return {row: accuracy_cell(summary, usual=usual) for row, *summary in table.itertuples()}


def _lr(material: _Material, row: int) -> tuple[Cell, ...]:
    best = material.best
    if best is None:
        return ()
    if row not in best.index:
        return (NOTHING,)
    lr, edge, unstable = int(best["lr"][row]), bool(best["edge"][row]), bool(best["unstable"][row])
    return (lr_cell(material.rows.trials.levels["lr"], lr, edge, unstable),)


def _reached(times: Times | None) -> Cell:
    if times is None:
        return Cell("no result", n=0, mark="bad")
    share = times.hits / times.n
    return Cell(f"{times.hits}/{times.n}", value=share, n=times.n, mark="bad" if times.hits < times.n else "")


def _steps(times: Times | None, fastest: float, unstable: bool) -> Cell:
    if times is None:
        return NOTHING
    steps = _time(times, "step", unstable)
    is_fastest = times.median["step"] == fastest < float("inf") and not unstable
    return replace(steps, mark="best") if is_fastest else steps


def _epochs(times: Times | None, unstable: bool) -> tuple[Cell, Cell]:
    if times is None:
        return NOTHING, NOTHING
    return _time(times, "epoch", unstable), _time(times, "examples", unstable)


def _time(times: Times, unit: str, unstable: bool) -> Cell:
    write = magnitude if unit == "examples" else count
    median, low, high = times.median[unit], times.low[unit], times.high[unit]
    text = write(median) if low == high else f"{write(median)} [{write(low)}-{write(high)}]"
    text += f" n={times.n} {UNSTABLE}" if unstable else ""
    return Cell(text, median, low=low, high=high, n=times.n, mark="bad" if median == float("inf") or unstable else "")


def _speed_up(material: _Material, row: int, times: dict[int, Times]) -> tuple[Cell, ...]:
    if not material.compared:
        return ()
    other = material.compared.get(row)
    if other is None or row not in times or other not in times:
        return (Cell("n/a"),)
    if other == row:
        return (Cell("baseline", mark="baseline"),)
    if material.divergence["unstable"][[row, other]].any():
        return (Cell(UNSTABLE, mark="bad"),)
    ours, theirs = times[row], times[other]
    reading, value = ratio_of_medians(ours.median["step"], theirs.median["step"], theirs.spent)
    match reading:
        case "ratio":
            return (Cell(ratio(value), value=value),)
        case "above":
            return (Cell(f"> {ratio(value)}", value=value, low=value, high=float("inf")),)
        case "never":
            return (Cell("never", value=0.0, mark="bad"),)
        case "neither":
            return (NOTHING,)
        case _:
            return (Cell("n/a"),)


def _notes(material: _Material) -> tuple[str, ...]:
    usual = int(material.runs.groupby("row").size().max())
    notes = [f"Median [fastest-slowest] over seeds. {MISS_NOTE}", seeds_note(usual, "Final accuracy in percent")]
    unstable = material.divergence["unstable"]
    if (~unstable & (material.divergence["diverged"] > 0)).any():
        notes.append("A diverged run keeps what it reached before, and its final accuracy is chance (1 / classes).")
    if unstable.any():
        notes.append(UNSTABLE_NOTE)
    if not material.options.targets:
        aside = " (unstable rows aside)" if unstable.any() and not unstable.all() else ""
        notes.append(
            f"Targets derived from the results: 95% and 99% of the best row's mean final validation accuracy{aside},"
            " rounded down to a whole percent."
        )
    return (
        *notes,
        *_lr_notes(material),
        *_baseline_notes(material),
        *following(material.rows),
        *uncounted(material.rows.trials),
    )


def _lr_notes(material: _Material) -> list[str]:
    levels = material.rows.trials.levels["lr"]
    if material.best is not None:
        chosen = "lr: each row at its own best learning rate, by mean final validation accuracy over the same seeds."
        return [chosen, *([EDGE_NOTE] if material.best["edge"].any() else [])]
    return [f"lr is {level_text(levels[0])} in every run: it was not tuned."] if len(levels) == 1 else []


def _baseline_notes(material: _Material) -> list[str]:
    baseline = material.options.baseline
    if not baseline:
        return []
    if not material.compared:
        return [incomparable(baseline)]
    others = "the same values of the other factors"
    said = f"speed-up: median steps of {baseline_text(baseline)} / median steps of the row, at {others}."
    return [said, BOUND_NOTE, *unmatched(material.rows, baseline, material.compared)]
