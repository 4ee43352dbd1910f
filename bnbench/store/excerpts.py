"""Some runs of a sweep as a sweep of their own, elsewhere: in the trash, or among the conflicts of a merge."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from bnbench.environment import timestamp
from bnbench.store.files import sync_folder
from bnbench.store.folder import write_runs, write_series
from bnbench.store.history import write_history
from bnbench.store.segment import files_of_run
from bnbench.store.series import METRIC_SERIES, PROBE_SERIES
from bnbench.store.sharing import make_folder, make_part
from bnbench.store.state import State, series_lines
from bnbench.store.tags import TAGS_TABLE

UNFINISHED = ".tmp"
"""The end of the name of a copy that is being written, or deleted."""


def part_of(state: State, identities: Collection[str]) -> State:
    """The state of some of the runs, in their order."""
    known = [identity for identity in state.rows if identity in identities]
    return State(
        {identity: state.rows[identity] for identity in known}, {identity: state.source[identity] for identity in known}
    )


def copy_runs(folder: Path, state: State, identities: Collection[str], place: Path, entry: Mapping[str, Any]) -> None:
    """Copy runs of a sweep, with all that belongs to them, to a place that is free: they are there together or not.

    Args:
        state: of the sweep.
        entry: what sweep.yaml says of them there; the time and the number of runs are added.
    """
    staging = place.with_name(f".{place.name}{UNFINISHED}")
    try:
        _write(folder, state, identities, staging, entry)
        sync_folder(staging)
        staging.rename(place)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    sync_folder(place.parent)


def remove_unfinished(folder: Path) -> None:
    """Delete what those who were killed have left of copies in a folder; others may do so at the same time."""
    for path in folder.glob(f".*{UNFINISHED}"):
        with suppress(FileNotFoundError, NotADirectoryError):  # or a file of somebody else
            shutil.rmtree(path)


def _write(folder: Path, state: State, identities: Collection[str], staging: Path, entry: Mapping[str, Any]) -> None:
    """Write runs of a sweep into a folder that nobody reads yet."""
    shutil.rmtree(staging, ignore_errors=True)
    make_folder(staging)
    part = part_of(state, identities)
    write_runs(staging, part)
    for series in (METRIC_SERIES, PROBE_SERIES):
        write_series(staging / series.file, series, list(series_lines(part, series)))
    for path in (path for identity in identities for path in files_of_run(folder, identity)):
        if path.is_file():
            shutil.copy2(path, make_part(staging, path.parent.name))
    if (folder / TAGS_TABLE).is_file():
        shutil.copy2(folder / TAGS_TABLE, staging)
    now = timestamp("seconds")
    write_history(staging, [{**entry, "time": now, "runs": len(part.rows)}])
