"""The readings over all tasks as views: in few lines for a terminal, and each pair with its numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from bnbench.comparison.aggregates import PairOverTasks, ReadingOverTasks
from bnbench.reports import Cell, Column, ReportView, Table
from bnbench.reports.view import Mark
from bnbench.reports.wording import percent
from bnbench.stats import Estimate
from bnbench.study.questions import Reading
from bnbench.text import general, listing, plural

EVEN = 0.5
"""The probability of improvement of two arms that are alike."""
OVER_TASKS = "Over tasks"
IMPROVEMENT_NOTE = (
    "How often a run of it is better than one of the other, each task with the same weight (probability of improvement,"
    " Agarwal et al. 2021): 50% are two alike. In brackets the 95% interval from runs resampled within their tasks."
)
SIZE_NOTE = (
    "Interquartile mean: of the middle half of the arm's runs on all tasks, each relative (less, or x: over) to the"
    " interquartile mean of the other arm on its task."
)


def over_tasks_view(readings: Sequence[ReadingOverTasks], arms: Sequence[str]) -> ReportView:
    """A table per arm: a row per reading, a column per arm that it is compared with."""
    tables = tuple(table for arm in arms if (table := _arm_table(readings, arm)).rows)
    return ReportView(OVER_TASKS, tables, tuple(dict.fromkeys(_notes(readings))))


def _arm_table(readings: Sequence[ReadingOverTasks], arm: str) -> Table:
    lines = [(one, {pair.pair[1]: pair for pair in one.pairs if pair.pair[0] == arm}) for one in readings]
    others = list(dict.fromkeys(other for _, by_other in lines for other in by_other))
    columns = (Column("reading", key=True), *(Column(f"against {other}") for other in others))
    rows = tuple(
        (Cell(one.reading.short), *(_improvement(by_other.get(other)) for other in others))
        for one, by_other in lines
        if by_other
    )
    tasks = list(dict.fromkeys(task for one in readings for task in one.tasks))
    return Table(f"{arm}: better over {listing(tasks)}", columns, rows, (IMPROVEMENT_NOTE,))


def _notes(readings: Sequence[ReadingOverTasks]) -> Iterator[str]:
    for one in readings:
        for sentence in one.lacking:
            yield f"{one.reading.short}: {sentence}."


def pairs_view(readings: Sequence[ReadingOverTasks]) -> ReportView:
    """A table per reading: how often, and by how much, each arm is better."""
    titles = ["better with probability", "interquartile mean", "replicates of a task"]
    columns = (Column("arm", key=True), Column("against", key=True), *map(Column, titles))
    tables = tuple(
        Table(_title(one), columns, tuple(_row(one.reading, pair) for pair in one.pairs), (IMPROVEMENT_NOTE, SIZE_NOTE))
        for one in readings
        if one.pairs
    )
    return ReportView("Each reading over tasks", tables)


def _title(one: ReadingOverTasks) -> str:
    return f"{one.reading.short}, over {plural(len(one.tasks), 'task')}: {one.reading.asks}"


def _row(reading: Reading, pair: PairOverTasks) -> tuple[Cell, ...]:
    size = pair.size
    low, high = _ends(size)
    limits = "" if low is None or high is None else f" [{_size(reading, low)} to {_size(reading, high)}]"
    times = "x " if reading.contrast == "ratio" and math.isfinite(size.value) else ""
    words = f"{times}{_size(reading, size.value)}{limits}"
    return (
        *map(Cell, pair.pair),
        _improvement(pair),
        Cell(size.value, low=low, high=high, n=pair.replicates, words=words),
        Cell(pair.replicates, "count"),
    )


def _improvement(pair: PairOverTasks | None) -> Cell:
    if pair is None:
        return Cell()
    low, high = _ends(pair.improvement)
    mark: Mark = "" if low is None or high is None else "best" if low > EVEN else "bad" if high < EVEN else ""
    limits = "" if low is None or high is None else f" [{_share(low)} to {_share(high)}]"
    words = f"{_share(pair.improvement.value)}%{limits}"
    return Cell(pair.improvement.value, low=low, high=high, n=pair.replicates, words=words, mark=mark)


def _ends(estimate: Estimate) -> tuple[float, float] | tuple[None, None]:
    interval = estimate.interval
    return (None, None) if interval is None else (interval.low, interval.high)


def _share(value: float) -> str:
    return f"{100 * value:.0f}"


def _size(reading: Reading, value: float) -> str:
    """A ratio, or a difference with its sign, in the unit of a reading; shares in percentage points."""
    if math.isinf(value):
        return reading.measure.missed if value > 0 else f"minus {reading.measure.missed}"
    if reading.contrast == "ratio":
        return general(float(f"{value:.3g}"))
    text = f"{percent(value)} points" if reading.measure.percent else general(float(f"{value:.3g}"))
    return f"+{text}" if value > 0 and any(digit in text for digit in "123456789") else text
