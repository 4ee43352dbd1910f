"""The view of learning rates: the curve of each row, its best and largest rate, and the width of the usable range."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd

from bnbench.analysis import LearningRateCurves, Options, analyze_learning_rate
from bnbench.analysis.learning_rate import LearningRateCurve
from bnbench.analysis.levels import level_digits, level_texts
from bnbench.analysis.lr_choice import LearningRateChoice
from bnbench.reports.cells import UNSTABLE, UNSTABLE_CELL, accuracy_cell, lr_cell, row_table
from bnbench.reports.drawings import learning_rate_figures
from bnbench.reports.notes import divergence_notes, edge_notes, runs_notes, seeds_note
from bnbench.reports.results import results
from bnbench.reports.summary import learning_rate_sentences
from bnbench.reports.view import NOTHING, Cell, Mark, ReportView, Table
from bnbench.reports.where import Sources, Where

TITLE = "Learning rate"
TRAINS_NOTE = (
    "largest lr: the largest that trains. Trains: no seed diverged, and the mean is above chance and at least halfway"
    " from chance to the row's best mean."
)
USABLE_NOTE = (
    "usable range: the unbroken block of tried learning rates around the best one that train, with a mean at least"
    " 95% of the way from chance to the row's best mean; its width is in decades (factors of ten)."
)
OPEN_NOTE = ">=: the range touches the edge of the grid and may go on beyond it."
NONE = Cell(words="none", mark="bad")


def learning_rate(runs: pd.DataFrame, metrics: pd.DataFrame, options: Options) -> ReportView:
    """The learning-rate curve of every row, and what follows from it. Needs no metrics.

    Args:
        runs: one line per run.
        metrics: not used.
        options: the baseline comes first among the rows.
    """
    trials = results(TITLE, runs, options, swept="lr")
    if isinstance(trials, ReportView):
        return trials
    numbers = analyze_learning_rate(trials)
    tables = (_curve_table(numbers), _range_table(numbers))
    sentences = tuple(learning_rate_sentences(numbers))
    return ReportView(TITLE, tables, _notes(numbers), learning_rate_figures(numbers), sentences)


def _notes(numbers: LearningRateCurves) -> tuple[str, ...]:
    scaling = numbers.rows.trials.levels.get("lr_scaling", ("none",))
    scaled = () if scaling == ("none",) else ("lr is the value before scaling with the batch size.",)
    return (*scaled, *runs_notes(numbers.rows))


def _curve_table(numbers: LearningRateCurves) -> Table:
    sources = Sources(numbers.rows, ["lr"])
    cells = {row: _curve_cells(numbers, row, sources) for row in numbers.rows.keys.index}
    titles = [f"lr {text}" for text in level_texts(numbers.levels)]
    accuracies = [accuracy for curve in numbers.curves.values() for accuracy in curve.accuracies.values()]
    notes = (seeds_note(numbers.seeds, "Final validation accuracy in percent"), *divergence_notes(accuracies))
    return row_table("Validation accuracy by learning rate", numbers.rows, titles, cells, notes)


def _curve_cells(numbers: LearningRateCurves, row: int, sources: Sources) -> list[Cell]:
    codes, curve = range(len(numbers.levels)), numbers.curves.get(row)
    if curve is None:
        return [NOTHING for _ in codes]
    marks: list[Mark] = ["best" if code == curve.choice.code else "" for code in codes]
    return [
        accuracy_cell(curve.accuracies.get(code), numbers.seeds, marks[code], sources.of_mean(row, code))
        for code in codes
    ]


def _range_table(numbers: LearningRateCurves) -> Table:
    every, at_lr = Sources(numbers.rows), Sources(numbers.rows, ["lr"])
    cells = {row: _range_cells(numbers, row, every.of_all(row), at_lr) for row in numbers.rows.keys.index}
    titles = ["best lr", "val % at best", "largest lr", "usable range", "decades", "diverged"]
    usable = [numbers.usable(row) for row in numbers.curves]
    open_ended = any(width is not None and width.open_ended for width in usable)
    notes = [TRAINS_NOTE, USABLE_NOTE, *([OPEN_NOTE] if open_ended else [])]
    notes += edge_notes([curve.choice for curve in numbers.curves.values()])
    return row_table("Best, largest and usable learning rate", numbers.rows, titles, cells, notes)


def _range_cells(numbers: LearningRateCurves, row: int, every: Where, at_lr: Sources) -> list[Cell]:
    curve = numbers.curves.get(row)
    if curve is None:
        return [NOTHING] * 6
    where = at_lr.of_mean(row, curve.choice.code)
    mark: Mark = "bad" if curve.diverged else ""
    return [
        lr_cell(numbers.levels, curve.choice, where),
        accuracy_cell(curve.best, where=where),
        replace(_largest_cell(numbers, curve), where=every),
        *(replace(cell, where=every) if cell != NOTHING else cell for cell in _width_cells(numbers, row)),
        Cell(curve.diverged / curve.runs, "share", n=curve.runs, mark=mark, where=every),
    ]


def _largest_cell(numbers: LearningRateCurves, curve: LearningRateCurve) -> Cell:
    levels = [numbers.levels[code] for code in curve.accuracies]
    largest = curve.range.largest
    cell = NONE if largest is None else lr_cell(levels, LearningRateChoice(largest))
    if largest == len(levels) - 1:
        return replace(cell, bound=">=")
    texts = dict(zip(curve.accuracies, level_texts(levels), strict=True))
    above = [texts[code] for code in curve.unstable_above]
    return replace(cell, remarks=(f"({UNSTABLE} at {', '.join(above)})",)) if above else cell


def _width_cells(numbers: LearningRateCurves, row: int) -> tuple[Cell, Cell]:
    curve, width = numbers.curves[row], numbers.usable(row)
    if curve.choice.unstable:
        return UNSTABLE_CELL, UNSTABLE_CELL
    if width is None:
        return NONE, NOTHING
    decades, high = width.decades, math.inf if width.open_ended else width.decades
    digits = level_digits([numbers.levels[code] for code in curve.accuracies])
    return (
        Cell(unit="lr range", low=width.low, high=width.high, digits=digits),
        Cell(decades, "decades", low=decades, high=high, bound=">=" if width.open_ended else ""),
    )
