"""The view of small batches: test accuracy by batch size, each at its best learning rate, and what they cost."""

from __future__ import annotations

import pandas as pd

from bnbench.analysis import Options, SmallBatch, analyze_small_batch
from bnbench.analysis.baseline import baseline_text
from bnbench.analysis.levels import level_text
from bnbench.analysis.small_batch import Difference, NoNumber
from bnbench.reports.cells import (
    BASELINE_CELL,
    UNMATCHED_CELL,
    UNSTABLE_CELL,
    accuracy_cell,
    lr_cell,
    row_table,
)
from bnbench.reports.drawings import small_batch_figures
from bnbench.reports.notes import (
    divergence_notes,
    edge_notes,
    incomparable_note,
    runs_notes,
    seeds_note,
    unmatched_notes,
    untuned_notes,
)
from bnbench.reports.results import results
from bnbench.reports.summary import small_batch_sentences
from bnbench.reports.view import NOTHING, Cell, ReportView, Table, Unit
from bnbench.reports.where import NOWHERE, Sources, Where

TITLE = "Small batch"
WORDS: dict[NoNumber, Cell] = {
    "nothing": NOTHING,
    "unstable": UNSTABLE_CELL,
    "unmatched": UNMATCHED_CELL,
    "baseline": BASELINE_CELL,
}


def small_batch(runs: pd.DataFrame, metrics: pd.DataFrame, options: Options) -> ReportView:
    """Test accuracy by batch size and the drop from the largest to the smallest. Needs no metrics.

    Args:
        runs: one line per run.
        metrics: not used.
        options: with a baseline, each row's drop is compared with the baseline's.

    Raises:
        InvalidRequest: the baseline matches several rows with equal other factors.
    """
    trials = results(TITLE, runs, options, swept="batch_size")
    if isinstance(trials, ReportView):
        return trials
    numbers = analyze_small_batch(trials, options)
    tables = (_accuracy_table(numbers, options), *([] if numbers.choices is None else [_lr_table(numbers)]))
    notes = (*untuned_notes(numbers.rows), *runs_notes(numbers.rows))
    return ReportView(TITLE, tables, notes, small_batch_figures(numbers), tuple(small_batch_sentences(numbers)))


def _accuracy_table(numbers: SmallBatch, options: Options) -> Table:
    sources = Sources(numbers.rows, _by(numbers))
    cells = {row: _cells(numbers, row, sources) for row in numbers.rows.keys.index}
    small, large = (level_text(numbers.batches[end]) for end in numbers.ends)
    titles = [*_titles(numbers), f"drop {large} to {small}", *(["vs baseline"] if numbers.compared else [])]
    notes = [seeds_note(numbers.seeds, "Final test accuracy in percent"), *_drop_notes(numbers, options, small, large)]
    notes += divergence_notes(numbers.accuracies.values())
    return row_table("Test accuracy by batch size", numbers.rows, titles, cells, notes)


def _titles(numbers: SmallBatch) -> list[str]:
    return [f"batch {level_text(level)}" for level in numbers.batches]


def _by(numbers: SmallBatch) -> list[str]:
    """The columns besides the row that tell the runs of a cell."""
    return ["batch_size", *([] if numbers.choices is None else ["lr"])]


def _where(numbers: SmallBatch, cell: tuple[int, int], sources: Sources) -> Where:
    if numbers.choices is None:
        return sources.of_mean(*cell)
    return sources.of_mean(*cell, numbers.choices[cell].code) if cell in numbers.choices else NOWHERE


def _cells(numbers: SmallBatch, row: int, sources: Sources) -> list[Cell]:
    places = [(row, batch) for batch in range(len(numbers.batches))]
    accuracies = [
        accuracy_cell(numbers.accuracies.get(place), numbers.seeds, where=_where(numbers, place, sources))
        for place in places
    ]
    excess = [_difference_cell(numbers.excess[row], "signed percent")] if numbers.compared else []
    return [*accuracies, _difference_cell(numbers.drops[row], "percent"), *excess]


def _difference_cell(difference: Difference | NoNumber, unit: Unit) -> Cell:
    if isinstance(difference, str):
        return WORDS[difference]
    return Cell(difference.mean, unit, difference.sd, n=difference.n)


def _drop_notes(numbers: SmallBatch, options: Options, small: str, large: str) -> list[str]:
    but = "" if numbers.choices is None else " but the lr"
    notes = [
        f"drop: points of test accuracy lost from batch {large} to batch {small}, paired by seed, with all other"
        f" settings{but} equal; '-' where no seed has both."
    ]
    if numbers.compared:
        text = baseline_text(options.baseline)
        notes.append(f"vs baseline: the row's drop minus that of {text}, paired by seed; + means the row loses more.")
        notes += unmatched_notes(numbers.rows, options.baseline, numbers.compared)
    elif options.baseline:
        notes.append(incomparable_note(options.baseline))
    return notes


def _lr_table(numbers: SmallBatch) -> Table:
    choices = numbers.choices or {}
    levels = numbers.rows.trials.levels["lr"]
    sources = Sources(numbers.rows, _by(numbers))
    chosen = {at: lr_cell(levels, choice, _where(numbers, at, sources)) for at, choice in choices.items()}
    batches = range(len(numbers.batches))
    cells = {row: [chosen.get((row, batch), NOTHING) for batch in batches] for row in numbers.rows.keys.index}
    text = "Each cell's own best, by mean final validation accuracy over the same seeds."
    notes = (text, *edge_notes(choices.values()))
    return row_table("Chosen learning rate by batch size", numbers.rows, _titles(numbers), cells, notes)
