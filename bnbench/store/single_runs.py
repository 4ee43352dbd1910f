"""Single runs of a sweep with all that is known of them, as texts; without pandas."""

from __future__ import annotations

import csv
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from bnbench.errors import Damaged
from bnbench.store.cells import SERIES_RULES, first_fault
from bnbench.store.checks import checked_rows
from bnbench.store.completeness import check_complete
from bnbench.store.segment import log_file
from bnbench.store.series import METRIC_SERIES, PROBE_SERIES, Series
from bnbench.store.state import Row, State, read_state, series_lines, unmoved
from bnbench.store.tags import read_tags


@dataclass(frozen=True)
class SingleRun:
    """A run of a sweep.

    Attributes:
        folder: of the sweep.
        row: of the run in runs.csv.
        metrics: its evaluations, by step.
        readings: of its probes, by step.
        tags: in the order in which they were given.
    """

    folder: Path
    row: Row
    metrics: list[Row]
    readings: list[Row]
    tags: list[str]

    @property
    def identity(self) -> str:
        """Its run_id."""
        return self.row["run_id"]

    @property
    def status(self) -> str:
        """How it ended, or how far it is."""
        return self.row["status"]

    def log(self) -> Path | None:
        """The file with what is to be known of it; None if there is none."""
        path = log_file(self.folder, self.identity)
        return path if path.is_file() else None


def load_single_runs(folder: Path, identities: Collection[str]) -> list[SingleRun]:
    """Some runs of a sweep, in its order; those that it does not have are left out.

    Raises:
        InvalidRequest: its files are somebody else's.
        Damaged: a file of it is not as it was written, or evaluations of completed runs are missing.
    """
    rows = [row for row in checked_rows(folder).values() if row["run_id"] in identities]
    if not rows:
        return []
    tags = read_tags(folder)
    metrics, readings = (_series_of(folder, series, identities) for series in (METRIC_SERIES, PROBE_SERIES))
    return [
        SingleRun(folder, row, metrics.get(key := row["run_id"], []), readings.get(key, []), tags.get(key, []))
        for row in rows
    ]


def _state_and_lines(folder: Path, series: Series) -> tuple[State, list[list[bytes]]]:
    """A sweep, and the lines of a series of it, each in three parts. Raises as :func:`series_lines`."""
    state = read_state(folder)
    return state, [line.split(b",", 2) for line in series_lines(state, series)]


def _series_of(folder: Path, series: Series, identities: Collection[str]) -> dict[str, list[Row]]:
    """The rows of a series by run; the metrics of the others are looked at as well, for their last steps."""
    wanted = {identity.encode() for identity in identities}
    state, lines = unmoved(lambda: _state_and_lines(folder, series))
    rows: dict[str, list[Row]] = {}
    for parts in lines:
        if parts[0] in wanted:
            cells = next(csv.reader([b",".join(parts).decode(errors="replace")]))
            rows.setdefault(cells[0], []).append(dict(zip(series.columns, cells, strict=True)))
    if fault := first_fault((row for its in rows.values() for row in its), SERIES_RULES):
        raise Damaged(folder / series.file, fault)
    if series is METRIC_SERIES:
        done = {
            key: float(row["steps_done"] or "nan") for key, row in state.rows.items() if row["status"] == "completed"
        }
        last = {parts[0].decode(): int(float(parts[1])) for parts in lines}
        check_complete(folder, done, last)
    return rows
