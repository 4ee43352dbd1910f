"""Small batch: test accuracy by batch size, each cell at its own best learning rate, and what small batches cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from bnbench.reports.accuracy import NOTHING, UNSTABLE, accuracy_cell, divergence_notes, seeds_note, summarize
from bnbench.reports.baseline import baseline_rows, baseline_text, incomparable, is_comparable, unmatched
from bnbench.reports.levels import level_text
from bnbench.reports.options import Options
from bnbench.reports.rows import Rows, following, key_columns, labels, section_starts, sort_into_rows
from bnbench.reports.trials import Trials, read_trials, uncounted
from bnbench.reports.tuning import EDGE_NOTE, best_lr, keep_best, lr_cell
from bnbench.reports.view import Cell, Column, ReportView, Table
from bnbench.reports.wording import percent

TITLE = "Small batch"
CELL = ("row", "batch_size")


@dataclass(frozen=True, slots=True)
class _Material:
    """``runs`` are those at the learning rate of their cell; ``ends`` the codes of the smallest and largest batch."""

    rows: Rows
    runs: pd.DataFrame
    best: pd.DataFrame | None
    compared: dict[int, int]
    options: Options
    ends: tuple[int, int]


def small_batch(runs: pd.DataFrame, metrics: pd.DataFrame, options: Options) -> ReportView:
    """Test accuracy by batch size and the drop from the largest to the smallest. Needs no metrics.

    Args:
        runs: one line per run.
        metrics: not used.
        options: with a baseline, each row's drop is compared with the baseline's.

    Raises:
        InvalidRequest: the baseline matches several rows with equal other factors.
    """
    if runs.empty:
        return ReportView(TITLE, notes=("There are no runs.",))
    trials = read_trials(runs, options.baseline)
    if trials.counted.empty:
        return ReportView(TITLE, notes=("No run has finished.", *uncounted(trials)))
    if trials.counted["batch_size"].nunique() < 2:
        only = level_text(trials.levels["batch_size"][int(trials.counted["batch_size"].iloc[0])])
        return ReportView(
            TITLE, notes=(f"All finished runs have batch_size={only}; sweep batch_size to see its effect.",)
        )
    material = _gather(trials, options)
    tables = [_accuracy_table(material), *([_lr_table(material)] if material.best is not None else [])]
    return ReportView(TITLE, tuple(tables), _notes(material))


def _gather(trials: Trials, options: Options) -> _Material:
    tuned = options.lr == "best" and len(trials.levels["lr"]) > 1
    rows = sort_into_rows(trials, aside=("batch_size", "lr") if options.lr == "best" else ("batch_size",))
    counted = rows.trials.counted
    best = best_lr(counted, CELL, stable_first=True) if tuned else None
    compared = baseline_rows(rows, options.baseline) if is_comparable(rows, options.baseline) else {}
    chosen = counted if best is None else keep_best(counted, best, CELL)
    ends = int(counted["batch_size"].min()), int(counted["batch_size"].max())
    return _Material(rows, chosen, best, compared, options, ends)


def _accuracy_table(material: _Material) -> Table:
    rows = material.rows
    batches = rows.trials.levels["batch_size"]
    table = summarize(material.runs, CELL, "test")
    usual = int(table["seeds"].max())
    cells = {at: accuracy_cell(summary, usual=usual) for at, *summary in table.itertuples()}
    drops = _drops(material)
    unstable = {row for row, batch in table.index[table["unstable"]] if batch in material.ends}
    names = labels(rows)
    lines = [
        (
            *names[row],
            *(cells.get((row, batch), NOTHING) for batch in range(len(batches))),
            _drop_cell(drops.get(row), row in unstable),
            *_excess(material, row, drops, unstable),
        )
        for row in names
    ]
    small, large = (level_text(batches[end]) for end in material.ends)
    extra = [f"drop {large} to {small}", *(["vs baseline"] if material.compared else [])]
    columns = (
        *key_columns(rows),
        *(Column(f"batch {level_text(level)}") for level in batches),
        *(Column(title) for title in extra),
    )
    notes = [seeds_note(usual, "Final test accuracy in percent"), *_drop_notes(material, small, large)]
    notes += divergence_notes(table)
    sections = section_starts(list(names.values()))
    return Table("Test accuracy by batch size", columns, tuple(lines), tuple(notes), sections)


def _drops(material: _Material) -> dict[int, dict[int, float]]:
    """Test accuracy at the largest batch minus that at the smallest, per row and seed that has both."""
    by_seed = material.runs.groupby(["row", "seed", "batch_size"])["test"].mean().unstack()
    small, large = material.ends
    drops = (by_seed[large] - by_seed[small]).dropna()
    found: dict[int, dict[int, float]] = {}
    for row, seed, drop in drops.rename("drop").reset_index().itertuples(index=False):
        found.setdefault(row, {})[seed] = float(drop)
    return found


def _drop_cell(drops: dict[int, float] | None, unstable: bool) -> Cell:
    if not drops:
        return NOTHING
    return Cell(UNSTABLE, mark="bad") if unstable else _points(list(drops.values()), percent)


def _points(differences: Sequence[float], write: Callable[[float], str]) -> Cell:
    values = pd.Series(differences, dtype=float)
    mean, sd = float(values.mean()), float(values.std())
    text = write(mean) + ("" if math.isnan(sd) else f" ± {percent(sd)}")
    return Cell(text, value=mean, spread=None if math.isnan(sd) else sd, n=len(values))


def _signed(fraction: float) -> str:
    text = percent(fraction)
    return text if text == "0.0" or text.startswith("-") else f"+{text}"


def _excess(material: _Material, row: int, drops: dict[int, dict[int, float]], unstable: set[int]) -> tuple[Cell, ...]:
    if not material.compared:
        return ()
    other = material.compared.get(row)
    if other == row:
        return (Cell("baseline", mark="baseline"),)
    ours, theirs = drops.get(row, {}), drops.get(other, {}) if other is not None else {}
    differences = [ours[seed] - theirs[seed] for seed in ours if seed in theirs]
    if not differences:
        return (Cell("n/a"),)
    return (Cell(UNSTABLE, mark="bad") if unstable & {row, other} else _points(differences, _signed),)


def _drop_notes(material: _Material, small: str, large: str) -> list[str]:
    but = " but the lr" if material.best is not None else ""
    notes = [
        f"drop: points of test accuracy lost from batch {large} to batch {small}, paired by seed, with all other"
        f" settings{but} equal; '-' where no seed has both."
    ]
    if material.compared:
        text = baseline_text(material.options.baseline)
        notes.append(f"vs baseline: the row's drop minus that of {text}, paired by seed; + means the row loses more.")
        notes += unmatched(material.rows, material.options.baseline, material.compared)
    elif material.options.baseline:
        notes.append(incomparable(material.options.baseline))
    return notes


def _lr_table(material: _Material) -> Table:
    rows, best = material.rows, material.best
    assert best is not None
    batches = rows.trials.levels["batch_size"]
    levels = rows.trials.levels["lr"]
    cells = {at: lr_cell(levels, lr, edge, unstable) for at, lr, _, edge, unstable in best.itertuples()}
    names = labels(rows)
    lines = [(*names[row], *(cells.get((row, batch), NOTHING) for batch in range(len(batches)))) for row in names]
    columns = (*key_columns(rows), *(Column(f"batch {level_text(level)}") for level in batches))
    notes = ["Each cell's own best, by mean final validation accuracy over the same seeds."]
    notes += [EDGE_NOTE] if best["edge"].any() else []
    title = "Chosen learning rate by batch size"
    return Table(title, columns, tuple(lines), tuple(notes), section_starts(list(names.values())))


def _notes(material: _Material) -> tuple[str, ...]:
    levels = material.rows.trials.levels["lr"]
    untuned = (f"lr is {level_text(levels[0])} in every run: it was not tuned.",) if len(levels) == 1 else ()
    return (*untuned, *following(material.rows), *uncounted(material.rows.trials))
