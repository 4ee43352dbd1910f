"""The rows of runs as three tables: runs.csv, metrics.csv, probes.csv."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bnbench.store import METRICS, PROBES, SingleRun
from bnbench.store.files import line, replacing
from bnbench.store.folder import run_columns


def write_tables(runs: Sequence[SingleRun], folder: Path) -> list[str]:
    """Write the tables; without readings of probes there is none of them."""
    rows = [run.row for run in runs]
    _write(folder / "runs.csv", run_columns(rows), rows)
    _write(folder / "metrics.csv", METRICS, (row for run in runs for row in run.metrics))
    if any(run.readings for run in runs):
        _write(folder / "probes.csv", PROBES, (row for run in runs for row in run.readings))
    return []


def _write(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> None:
    with replacing(path) as stream:
        stream.write(line(columns))
        stream.writelines(line([row.get(column, "") for column in columns]) for row in rows)
