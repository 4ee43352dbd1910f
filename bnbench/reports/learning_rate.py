"""Learning rate: the whole curve of each row, its best and largest learning rate, and how wide the usable range is."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from bnbench.reports.accuracy import NOTHING, UNSTABLE, accuracy_cell, divergence_notes, seeds_note, summarize
from bnbench.reports.levels import Level, level_text, level_texts
from bnbench.reports.options import Options
from bnbench.reports.rows import Rows, following, key_columns, labels, section_starts, sort_into_rows
from bnbench.reports.trials import read_trials, uncounted
from bnbench.reports.tuning import EDGE_NOTE, TRAINS, best_lr, lr_cell
from bnbench.reports.view import Cell, Column, Mark, ReportView, Table

TITLE = "Learning rate"
USABLE = 0.95
TRAINS_NOTE = (
    "largest lr: the largest that trains. Trains: no seed diverged, and the mean is above chance and at least halfway"
    " from chance to the row's best mean."
)
USABLE_NOTE = (
    "usable range: the unbroken block of tried learning rates around the best one that train, with a mean at least"
    " 95% of the way from chance to the row's best mean; its width is in decades (factors of ten)."
)
OPEN_NOTE = ">=: the range touches the edge of the grid and may go on beyond it."


@dataclass(frozen=True, slots=True)
class LearningRateRange:
    """What a row's curve says; positions are indices into the row's own grid, lowest learning rate first.

    Attributes:
        largest: the largest learning rate that trains; None if none does.
        low: first learning rate of the usable range; None if nothing trains.
        high: last learning rate of the usable range; None if nothing trains.
    """

    largest: int | None
    low: int | None
    high: int | None


def usable_range(means: list[float], diverged: list[float], best: int, chance: float) -> LearningRateRange:
    """Find what trains and what is usable.

    Args:
        means: mean validation accuracy per learning rate of the row's grid, ascending.
        diverged: share of the seeds that diverged, in the same order.
        best: position of the best learning rate.
        chance: accuracy of a uniform guess.
    """
    above = [(mean - chance) / (means[best] - chance) if means[best] > chance else 0.0 for mean in means]
    alive = [share == 0 for share in diverged]
    trains = [ok and share >= TRAINS - 1e-9 for ok, share in zip(alive, above, strict=True)]
    usable = [ok and share >= USABLE - 1e-9 for ok, share in zip(alive, above, strict=True)]
    largest = max((at for at, yes in enumerate(trains) if yes), default=None)
    if not usable[best]:
        return LearningRateRange(largest, None, None)
    low = high = best
    while low > 0 and usable[low - 1]:
        low -= 1
    while high + 1 < len(usable) and usable[high + 1]:
        high += 1
    return LearningRateRange(largest, low, high)


def learning_rate(runs: pd.DataFrame, metrics: pd.DataFrame, options: Options) -> ReportView:
    """The learning-rate curve of every row, and what follows from it. Needs no metrics.

    Args:
        runs: one line per run.
        metrics: not used.
        options: the baseline comes first among the rows.
    """
    if runs.empty:
        return ReportView(TITLE, notes=("There are no runs.",))
    trials = read_trials(runs, options.baseline)
    if trials.counted.empty:
        return ReportView(TITLE, notes=("No run has finished.", *uncounted(trials)))
    if trials.counted["lr"].nunique() < 2:
        only = level_text(trials.levels["lr"][int(trials.counted["lr"].iloc[0])])
        return ReportView(TITLE, notes=(f"All finished runs have lr={only}; sweep lr to see its effect.",))
    rows = sort_into_rows(trials, aside=("lr",))
    curves = summarize(rows.trials.counted, ["row", "lr"], "val")
    best = best_lr(rows.trials.counted, ["row"], stable_first=True)
    return ReportView(TITLE, (_curve_table(rows, curves, best), _range_table(rows, curves, best)), _notes(rows))


def _notes(rows: Rows) -> tuple[str, ...]:
    scaling = rows.trials.levels.get("lr_scaling", ("none",))
    scaled = () if scaling == ("none",) else ("lr is the value before scaling with the batch size.",)
    return (*scaled, *following(rows), *uncounted(rows.trials))


def _curve_table(rows: Rows, curves: pd.DataFrame, best: pd.DataFrame) -> Table:
    levels = rows.trials.levels["lr"]
    usual = int(curves["seeds"].max())
    cells: dict[int, dict[int, Cell]] = {}
    for (row, lr), *summary in curves.itertuples():
        mark: Mark = "best" if best["lr"][row] == lr else ""
        cells.setdefault(row, {})[lr] = accuracy_cell(summary, usual=usual, mark=mark)
    names = labels(rows)
    lines = [(*names[row], *(cells.get(row, {}).get(lr, NOTHING) for lr in range(len(levels)))) for row in names]
    columns = (*key_columns(rows), *(Column(f"lr {text}") for text in level_texts(levels)))
    notes = [seeds_note(usual, "Final validation accuracy in percent"), *divergence_notes(curves)]
    title = "Validation accuracy by learning rate"
    return Table(title, columns, tuple(lines), tuple(notes), section_starts(list(names.values())))


def _range_table(rows: Rows, curves: pd.DataFrame, best: pd.DataFrame) -> Table:
    names = labels(rows)
    by_row: dict[Any, pd.DataFrame] = {row: curve.droplevel("row") for row, curve in curves.groupby(level="row")}
    lines = [
        (*names[row], *(_range_cells(rows, row, by_row[row], best) if row in by_row else [NOTHING] * 6))
        for row in names
    ]
    titles = ["best lr", "val % at best", "largest lr", "usable range", "decades", "diverged"]
    columns = (*key_columns(rows), *(Column(title) for title in titles))
    open_ended = any(line[-2].text.startswith(">=") for line in lines)
    notes = [
        TRAINS_NOTE,
        USABLE_NOTE,
        *([OPEN_NOTE] if open_ended else []),
        *([EDGE_NOTE] if best["edge"].any() else []),
    ]
    title = "Best, largest and usable learning rate"
    return Table(title, columns, tuple(lines), tuple(notes), section_starts(list(names.values())))


def _range_cells(rows: Rows, row: int, curve: pd.DataFrame, best: pd.DataFrame) -> list[Cell]:
    levels = [rows.trials.levels["lr"][code] for code in curve.index]
    chosen = int(best["lr"][row])
    at = curve.index.get_loc(chosen)
    seeds, diverged = curve["seeds"], curve["diverged"]
    assert isinstance(at, int)
    found = usable_range(curve["mean"].tolist(), (diverged / seeds).tolist(), at, float(rows.keys["chance"][row]))
    unstable = curve["unstable"].tolist()
    return [
        lr_cell(rows.trials.levels["lr"], chosen, bool(best["edge"][row]), unstable[at]),
        accuracy_cell(curve.iloc[at].tolist()),
        _largest_cell(levels, found, unstable),
        *(_width_cells(levels, found) if not unstable[at] else [Cell(UNSTABLE, mark="bad")] * 2),
        _diverged_cell(int(diverged.sum()), int(seeds.sum())),
    ]


def _largest_cell(levels: list[Level], found: LearningRateRange, unstable: list[bool]) -> Cell:
    cell = Cell("none", mark="bad") if found.largest is None else lr_cell(levels, found.largest)
    if found.largest == len(levels) - 1:
        return replace(cell, text=f">= {cell.text}")
    first = 0 if found.largest is None else found.largest + 1
    above = [text for text, wavers in zip(level_texts(levels)[first:], unstable[first:], strict=True) if wavers]
    return replace(cell, text=f"{cell.text} ({UNSTABLE} at {', '.join(above)})") if above else cell


def _width_cells(levels: list[Level], found: LearningRateRange) -> tuple[Cell, Cell]:
    if found.low is None or found.high is None:
        return Cell("none", mark="bad"), NOTHING
    low, high = float(levels[found.low] or 0), float(levels[found.high] or 0)
    width = math.log10(high / low)
    texts = level_texts(levels)
    text = texts[found.low] if low == high else f"{texts[found.low]} to {texts[found.high]}"
    open_ended = found.low == 0 or found.high == len(levels) - 1
    sign = ">= " if open_ended else ""
    upper = math.inf if open_ended else width
    return Cell(text, value=text, low=low, high=high), Cell(f"{sign}{width:.1f}", value=width, low=width, high=upper)


def _diverged_cell(diverged: int, n: int) -> Cell:
    return Cell(f"{diverged}/{n}", value=diverged / n, n=n, mark="bad" if diverged else "")
