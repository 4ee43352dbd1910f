"""Folders with files that are called as a sweep's are, but come from somebody else."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import yaml

from bnbench.errors import Damaged
from bnbench.store.columns import IDENTITY, OUTCOME, RUN_ID
from bnbench.store.files import content
from bnbench.store.history import INVOCATIONS
from bnbench.store.segment import FOLDER, SPECS
from bnbench.store.series import METRIC_SERIES, PROBE_SERIES
from bnbench.store.state import RUNS_TABLE

COLUMNS = {
    RUNS_TABLE: (*IDENTITY, *OUTCOME),
    METRIC_SERIES.file: METRIC_SERIES.columns,
    PROBE_SERIES.file: PROBE_SERIES.columns,
}
"""By table, the columns that every version has written."""
SHOWN = 4


def foreign(folder: Path) -> str:
    """The reason that nothing in a folder is a sweep's, whatever its files are called; empty where something may be.

    A damaged sweep is none of these: one of its files still tells whose it is, or cannot be read.
    """
    if not os.access(folder, os.R_OK | os.X_OK):
        return ""
    headers = {name: _header(folder / name) for name in COLUMNS if (folder / name).is_file()}
    if not (headers or (folder / INVOCATIONS).is_file()) or _has_traces(folder):
        return ""
    if any(header is None or _is_ours(name, header) for name, header in headers.items()):
        return ""
    name = next(iter(headers), RUNS_TABLE)
    here = [*headers, *([INVOCATIONS] if (folder / INVOCATIONS).is_file() else [])]
    return (
        f"no sweep of bnbench: {', '.join(here)} {'is' if len(here) == 1 else 'are'} somebody else's (looked for: a"
        f" list of calls in {INVOCATIONS}, or the columns {', '.join(COLUMNS[name][:SHOWN])}, ... in {name})"
    )


def _has_traces(folder: Path) -> bool:
    """True if there are parts of tables, or a list of calls, or a file that may be one."""
    if (folder / FOLDER).exists() or any(RUN_ID.fullmatch(path.stem) for path in (folder / SPECS).glob("*.yaml")):
        return True
    try:
        return not isinstance(yaml.safe_load(content(folder / INVOCATIONS).decode()), dict | str)
    except FileNotFoundError:
        return False
    except (OSError, Damaged, ValueError, RecursionError, yaml.YAMLError):
        return True


def _header(path: Path) -> Sequence[str] | None:
    """The cells of a table's first line; None if it cannot be read."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
            return next(csv.reader([stream.readline(1 << 16)]), [])
    except (OSError, csv.Error):
        return None


def _is_ours(name: str, header: Sequence[str]) -> bool:
    """True for a table with most of our columns: others may have some, and a damaged one may have lost some."""
    columns = COLUMNS[name]
    return 2 * len({*columns} & {*header}) > len(columns)
