"""Checks that a sweep's folder is whole: its files know of each other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from bnbench.errors import Damaged, InvalidRequest
from bnbench.notices import notice
from bnbench.paths import irregular
from bnbench.store.checkpoints import CHECKPOINTS
from bnbench.store.columns import RUN_ID
from bnbench.store.foreign_files import foreign
from bnbench.store.history import INVOCATIONS, entered, read_history, removed
from bnbench.store.segment import FOLDER, LOGS, SPECS
from bnbench.store.series import METRIC_SERIES, PROBE_SERIES
from bnbench.store.state import RUNS_TABLE, Row, read_state, series_runs
from bnbench.store.weights import WEIGHTS
from bnbench.text import plural

TABLES = (RUNS_TABLE, METRIC_SERIES.file, PROBE_SERIES.file, INVOCATIONS)
PARTS = (FOLDER, SPECS, LOGS, WEIGHTS, CHECKPOINTS)
SHOWN = 3


def sweep_folders(results: Path) -> list[Path]:
    """The folders that hold a sweep, or what is left of one, by name.

    Raises:
        OSError: the folder of results cannot be read.
    """
    if not results.is_dir():
        return []
    return sorted(path for path in results.iterdir() if is_sweep(path))


def is_sweep(folder: Path) -> bool:
    """True for a folder with a sweep, or the rest of one; one that cannot be looked into may have one."""
    return _may_be_sweep(folder) and not foreign(folder)


def foreign_folders(results: Path) -> dict[Path, str]:
    """The folders that hold files of the same names, but no sweep, each with the reason.

    Raises:
        OSError: the folder of results cannot be read.
    """
    folders = sorted(results.iterdir()) if results.is_dir() else []
    reasons = {folder: foreign(folder) for folder in folders if _may_be_sweep(folder)}
    return {folder: reason for folder, reason in reasons.items() if reason}


def _may_be_sweep(folder: Path) -> bool:
    if folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK):
        return True
    return any(os.path.lexists(folder / name) for name in TABLES)


def statuses(folder: Path) -> dict[str, str]:
    """The status of every run in the folder by run_id; empty for a new sweep. Raises as :func:`checked_rows`."""
    return {identity: row["status"] for identity, row in checked_rows(folder).items()}


def checked_rows(folder: Path, alive: bool | None = None) -> dict[str, Row]:
    """The row of every run in the folder by run_id, as texts; empty for a new sweep.

    Args:
        alive: as of :func:`read_state`.

    Raises:
        InvalidRequest: its files are somebody else's.
        Damaged: a file of it is not as it was written, or another one knows of runs that runs.csv has lost.
    """
    if reason := foreign(folder):
        raise InvalidRequest([f"{folder}: {reason}; it is left alone, choose another name"])
    _check_parts(folder)
    # Before runs.csv: a program that extends the sweep enters runs there first.
    history, elsewhere = read_history(folder), dict(_elsewhere(folder))
    rows = read_state(folder, alive).rows
    least, gone = entered(history), removed(history)
    lost = [f"{INVOCATIONS} says {least}"] if len(rows) < least else []
    for place, identities in elsewhere.items():
        if unknown := sorted(identities - rows.keys() - gone):
            more = [f"{len(unknown) - SHOWN} more"] if len(unknown) > SHOWN else []
            lost.append(f"{place} has {', '.join([*unknown[:SHOWN], *more])} as well")
    if lost:
        there = f"it has {plural(len(rows), 'run')}" if os.path.lexists(folder / RUNS_TABLE) else "it is missing"
        raise Damaged(folder / RUNS_TABLE, f"{there}, but {' and '.join(lost)}")
    if not history and any(row["status"] != "planned" for row in rows.values()):
        notice(f"{folder / INVOCATIONS} is missing or empty: what was asked for in earlier calls is not known")
    return rows


def _check_parts(folder: Path) -> None:
    """Refuse a folder of the sweep in whose place there is something else."""
    for path in (folder / part for part in PARTS):
        if os.path.lexists(path) and not path.is_dir():
            kind = "link that leads nowhere" if not path.exists() else irregular(path.stat().st_mode) or "file"
            raise Damaged(path, f"it must be a folder, and is a {kind}")


def _elsewhere(folder: Path) -> Iterator[tuple[str, set[str]]]:
    """The run_ids that other parts of the folder know of; a spec file that a user has put there may have any name."""
    for series in (METRIC_SERIES, PROBE_SERIES):
        yield series.file, series_runs(folder, series)
    yield SPECS, {path.stem for path in (folder / SPECS).glob("*.yaml") if RUN_ID.fullmatch(path.stem)}
