"""The runs of a folder at one moment: its tables and its segments, merged."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import TypeVar

from bnbench.errors import Damaged
from bnbench.spec import LATER
from bnbench.store.attempts import attempt_order
from bnbench.store.cells import RUN_RULES, STEP, first_fault
from bnbench.store.columns import IDENTITY, NEWER, OUTCOME, RESULTS, RUN_ID, SPEC
from bnbench.store.files import content, line, read_rows, whole_lines
from bnbench.store.lock import is_locked
from bnbench.store.regular_series import is_regular, regular_runs
from bnbench.store.segment import FOLDER, ROWS, segment_paths, series_of_segment
from bnbench.store.series import METRIC_SERIES, Series
from bnbench.text import plural

RUNS_TABLE = "runs.csv"

Row = dict[str, str]
T = TypeVar("T")


@dataclass(frozen=True)
class State:
    """The runs of a folder.

    Attributes:
        rows: by run_id, the row that counts, in the order of planning.
        source: by run_id, the metrics file that this row vouches for.
    """

    rows: dict[str, Row]
    source: dict[str, Path]


class Moved(Exception):
    """A join has moved the segments into the tables since the state was read."""


def unmoved(read: Callable[[], T]) -> T:
    """What a function reads of a sweep; it reads anew where it is told :class:`Moved`."""
    while True:
        try:
            return read()
        except Moved:
            continue


def read_state(folder: Path, alive: bool | None = None) -> State:
    """Read segments, then tables (so that a join in between loses nothing), and merge them.

    Args:
        alive: a program is training; without one, running runs were interrupted. None asks the lock.
    """
    before = is_locked(folder) if alive is None else alive
    segments = _read_segments(folder)
    state = merge(_read_table(folder), segments, folder / METRIC_SERIES.file)
    running = [row for row in state.rows.values() if row["status"] == "running"]
    if running and not (before or (is_locked(folder) if alive is None else alive)):
        for row in running:
            row["status"] = "interrupted"
    return state


def segment_rows(folder: Path) -> dict[str, Row]:
    """By run_id, the rows of a worker's folder that has no tables."""
    return merge((), _read_segments(folder), folder / METRIC_SERIES.file).rows


def merge(table: Iterable[Row], segments: Iterable[tuple[Path, Row]], metrics: Path) -> State:
    """The row that counts for each run: a result before a failure, a failure before a beginning, the later of equals.

    Later is what is behind in a segment, and what a later attempt wrote (:func:`attempt_order`). The clock decides only
    where neither tells, as a machine's may go back and those of two differ.

    Segments are younger than the table, where only a result stands against what they say. Merging segments again
    into what came of merging them therefore changes nothing.

    Args:
        table: one row per run.
        segments: rows, each with the metrics file that it vouches for, those of one file in its order.
        metrics: the metrics file that the rows of ``table`` vouch for.
    """
    state = State({row["run_id"]: row for row in table}, {})
    state.source.update(dict.fromkeys(state.rows, metrics))
    counts: dict[tuple[Path, str], Row] = {}
    for path, row in segments:
        known = counts.get((path, row["run_id"]), row)
        counts[path, row["run_id"]] = row if rank(row["status"]) >= rank(known["status"]) else known
    for (path, _), row in sorted(counts.items(), key=_lateness):
        known = state.rows.get(row["run_id"], {"status": ""})
        if known["status"] not in RESULTS or row["status"] in RESULTS:
            state.rows[row["run_id"]] = {**known, **row}
            state.source[row["run_id"]] = path
    return state


def _lateness(item: tuple[tuple[Path, str], Row]) -> tuple[int, tuple[int, int], str]:
    (path, _), row = item
    return rank(row["status"]), attempt_order(path.name), row["finished_at"]


def rank(status: str) -> int:
    """The weight of a status against others of the same run: a result most, then a failure, then a beginning."""
    return 2 if status in RESULTS else 0 if status in ("planned", "running") else 1


def series_lines(state: State, series: Series) -> Iterator[bytes]:
    """The lines of every run in the order of the runs, by step, each from the file its row vouches for.

    Raises:
        Moved: that file is in the tables now.
        Damaged: that file is not as it was written.
    """
    lines: dict[bytes, dict[bytes, tuple[int, bytes]]] = {identity.encode(): {} for identity in state.rows}
    vouched: dict[Path, set[bytes]] = {}
    for identity, path in state.source.items():
        vouched.setdefault(path, set()).add(identity.encode())
    for metrics, identities in vouched.items():
        path = series.beside(metrics)
        for whole_line in _read_series(path, series):
            identity_cell, step, _ = whole_line.split(b",", 2)
            if identity_cell in identities:
                key = whole_line.rsplit(b",", len(series.columns) - series.key)[0]
                lines[identity_cell].setdefault(key, (_step(path, step), whole_line))
    return (whole_line for rows in lines.values() for _, whole_line in sorted(rows.values(), key=itemgetter(0)))


def _step(path: Path, cell: bytes) -> int:
    text = cell.decode(errors="replace")
    if not STEP.holds(text):
        raise Damaged(path, f"step={text!r:.60}: {STEP.allowed}")
    return int(float(text))


def _read_table(folder: Path) -> list[Row]:
    path = folder / RUNS_TABLE
    try:
        rows = list(read_rows(path, IDENTITY, whole=True))
    except FileNotFoundError:
        return []
    if rows:
        _check_columns(path, rows[0])
    _fill_later(rows)
    _check_rows(path, rows)
    if twice := [identity for identity, count in Counter(row["run_id"] for row in rows).items() if count > 1]:
        raise Damaged(path, f"run {twice[0]:.60} is there more than once")
    return rows


def _fill_later(rows: Sequence[Row]) -> None:
    """Give the runs of earlier versions the settings that they had before there was a column for them."""
    for row in rows:
        if row.get("batch_size"):
            row.update({column: str(value) for column, value in LATER.items() if not row.get(column)})


def _check_columns(path: Path, row: Row) -> None:
    """Refuse a table without a column that every version writes; those of the spec only runs that were planned have."""
    spec = () if row.keys() <= {*IDENTITY, *OUTCOME} else SPEC
    if missing := [column for column in (*spec, *OUTCOME) if column not in row.keys() | NEWER]:
        raise Damaged(path, f"its first line has no column {missing[0]}")


def _check_rows(path: Path, rows: Sequence[Row]) -> None:
    if not all(row["run_id"] for row in rows):
        raise Damaged(path, "a row has no run_id")
    if fault := first_fault(rows, RUN_RULES):
        raise Damaged(path, fault)
    if odd := next((identity for row in rows if not RUN_ID.fullmatch(identity := row["run_id"])), None):
        raise Damaged(path, f"run_id={odd!r:.60}: must be 12 hexadecimal digits, of which the first may be an r")


def _read_segments(folder: Path) -> list[tuple[Path, Row]]:
    """All rows of all segments that count, each with its metrics file."""
    while True:
        try:
            entries = []
            for path in segment_paths(folder):
                rows = list(read_rows(path, (*IDENTITY, "finished_at")))
                _check_rows(path, rows)
                metrics = series_of_segment(path, METRIC_SERIES)
                entries += [(metrics, row) for row in rows]
            return entries
        except FileNotFoundError:
            continue  # a join has moved them into the tables meanwhile


def series_runs(folder: Path, series: Series) -> set[str]:
    """The run_ids that a table of the sweep has.

    Raises:
        Damaged: it is not as it was written.
    """
    path = folder / series.file
    with suppress(FileNotFoundError):
        if is_regular(whole := content(path), series):
            return regular_runs(whole, series)
    return {whole_line.split(b",", 1)[0].decode(errors="replace") for whole_line in _read_series(path, series)}


def _read_series(path: Path, series: Series) -> list[bytes]:
    """The lines of a file of a series, each with all columns."""
    whole = path.parent.name != FOLDER
    try:
        lines = whole_lines(path, whole)
    except FileNotFoundError:
        rows = path.with_name(path.name.removesuffix(f".{series.file}") + ROWS)
        if not whole and not rows.exists():
            raise Moved from None
        return []
    if whole and not lines:
        raise Damaged(path, "it is empty")
    if lines and lines[0] != line(series.columns).encode():  # another version's columns, or saved by another program
        records = read_rows(path, series.columns if whole else ("run_id", "step"), whole)
        return [line([row.get(column, "") for column in series.columns]).encode() for row in records]
    expected = len(series.columns)
    for number, whole_line in enumerate(lines, 1):
        if whole and number > 1 and whole_line == lines[0]:
            raise Damaged(path, f"line {number} is its first line again")
        if whole and _cells(whole_line) != expected:
            raise Damaged(path, f"line {number} has {plural(_cells(whole_line), 'cell')} instead of {expected}")
    return [whole_line for whole_line in lines[1:] if _cells(whole_line) == expected]


def _cells(whole_line: bytes) -> int:
    """The number of a line's cells; only the rare one with quotes needs to be read for that."""
    if b'"' not in whole_line:
        return whole_line.count(b",") + 1
    try:
        return len(next(csv.reader([whole_line.decode(errors="replace")])))
    except csv.Error:
        return 0
