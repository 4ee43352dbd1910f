"""Sweeps merged into one: each run once, with the result that it has, and never one of two that contradict each other.

What is merged comes into the folder as the rows of a worker do, by a segment. After a crash at any point the folder
reads as one whose training was interrupted, and the same merge goes on.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bnbench.environment import timestamp
from bnbench.store.checks import checked_rows, is_sweep
from bnbench.store.columns import OUTCOME
from bnbench.store.copies import copy_files, lines_of, write_copies
from bnbench.store.excerpts import copy_runs
from bnbench.store.folder import join, write_runs
from bnbench.store.history import read_history, write_history
from bnbench.store.lease import Hold
from bnbench.store.lock import check_free, locked, nobody_writing
from bnbench.store.merge_plan import CONFLICTS, Merged, Merging, Sweep, decided
from bnbench.store.segment import files_of_run
from bnbench.store.series import METRIC_SERIES, PROBE_SERIES, Series
from bnbench.store.sharing import make_part
from bnbench.store.state import Row, read_state
from bnbench.store.tables import check_sweep
from bnbench.store.tags import change_tag

NOT_BEGUN = ("planned", "impossible")


def merge_sweeps(
    sources: Sequence[Path], target: Path, entry: Mapping[str, Any], merging: Merging | None = None
) -> Merged:
    """Merge sweeps into one, which may be new; the others stay as they are.

    Args:
        entry: what sweep.yaml says of it; the time and the number of runs are added.

    Raises:
        InvalidRequest: a source is no sweep, or runs have contradicting results; nothing is written then.
        BnbenchError: a program adds to one of them, or has taken ``target`` over meanwhile.
        Damaged: one of them is not as it was written; nothing is written then.
    """
    merging = merging or Merging()
    for source in sources:
        check_sweep(source)
        check_free(source)
    read = [Sweep.read(source) for source in sources]
    decided(read, Sweep.read(target) if is_sweep(target) else None, merging)
    with locked(target) as check_there:
        join(target, check_there)
        merged = decided(read, Sweep.read(target), merging)
        by_folder = {sweep.folder: sweep for sweep in read}
        calls = [call for source in sources for call in read_history(source)] if merging.with_history else []
        with nobody_writing(target):
            check_there()
            _put_aside(target, merged, by_folder)
            _enter(target, merged, by_folder, check_there)
            _note(target, calls, entry, merged, check_there)
            check_there()
            _write_segment(target, merged, by_folder, check_there.token)
            _copy_files(target, merged, read)
        join(target, check_there)
        _merge_tags(target, merged, read)
    return merged


def _put_aside(target: Path, merged: Merged, sweeps: Mapping[Path, Sweep]) -> None:
    """Copy the results that do not count into :data:`CONFLICTS`, those that are not there yet."""
    for folder, identities in merged.conflicts.items():
        state = sweeps[folder].state
        rows = _filled({identity: state.rows[identity] for identity in identities})
        names = itertools.chain([folder.name], (f"{folder.name}-{number}" for number in itertools.count(2)))
        places = (make_part(target, CONFLICTS) / name for name in names)
        place = next(place for place in places if not os.path.lexists(place) or _filled(checked_rows(place)) == rows)
        if not os.path.lexists(place):
            copy_runs(folder, state, identities, place, {"other_results_than": target.name})


def _filled(rows: Mapping[str, Row]) -> dict[str, Row]:
    """Rows without their empty cells, which a table has or has not by its other rows."""
    return {identity: {name: cell for name, cell in row.items() if cell} for identity, row in rows.items()}


def _enter(target: Path, merged: Merged, sweeps: Mapping[Path, Sweep], hold: Hold) -> None:
    """Enter the runs that are new, as planned: they come in the order of their sweeps."""
    state = read_state(target, alive=False)
    for identity in merged.added:
        row = sweeps[merged.sources[identity]].state.rows[identity]
        if row["status"] not in NOT_BEGUN:
            row = {name: cell for name, cell in row.items() if name not in OUTCOME} | {"status": "planned", "error": ""}
        state.rows[identity] = row
    write_runs(target, state, hold)


def _note(
    target: Path, calls: Sequence[Mapping[str, Any]], entry: Mapping[str, Any], merged: Merged, hold: Hold
) -> None:
    """Add calls to sweep.yaml, those that it does not have, and an entry with the time and the number of runs."""
    conflicts = {str(folder): identities for folder, identities in merged.conflicts.items()}
    history = read_history(target)
    now = timestamp("seconds")
    entry = {**entry, CONFLICTS: conflicts} if conflicts else entry
    last = {**entry, "time": now, "runs": len(read_state(target, alive=False).rows)}
    write_history(target, [*history, *(call for call in calls if call not in history), last], hold)


def _write_segment(target: Path, merged: Merged, sweeps: Mapping[Path, Sweep], token: str) -> None:
    """Write the runs that have begun as a worker does: what they measured first, then the rows that vouch for it."""
    parts: list[tuple[Sweep, list[str]]] = []
    for sweep in sweeps.values():
        its = [key for key, folder in merged.sources.items() if folder == sweep.folder]
        parts.append((sweep, [key for key in its if sweep.state.rows[key]["status"] not in NOT_BEGUN]))
    rows = [sweep.state.rows[identity] for sweep, identities in parts for identity in identities]
    lines = {series: _lines(parts, series) for series in (METRIC_SERIES, PROBE_SERIES)}
    write_copies(target, "merge", token, rows, lines)


def _lines(parts: Sequence[tuple[Sweep, Sequence[str]]], series: Series) -> Iterator[bytes]:
    for sweep, identities in parts:
        yield from lines_of(sweep.state, identities, series)


def _copy_files(target: Path, merged: Merged, sweeps: Iterable[Sweep]) -> None:
    """Copy the spec, log and weights of each run, where the sweep has none: also those that a crash has left out."""
    for sweep in sweeps:
        its = sweep.state.rows.keys() - set(merged.conflicts.get(sweep.folder, ()))
        copy_files(target, (path for identity in its for path in files_of_run(sweep.folder, identity)))


def _merge_tags(target: Path, merged: Merged, sweeps: Sequence[Sweep]) -> None:
    """Give the runs the tags that they have in the sources."""
    for sweep in sweeps:
        by_tag: dict[str, list[str]] = {}
        its = sweep.state.rows.keys() - set(merged.conflicts.get(sweep.folder, ()))
        for identity, tags in sweep.tags.items():
            for tag in tags if identity in its else ():
                by_tag.setdefault(tag, []).append(identity)
        for tag, identities in by_tag.items():
            change_tag(target, identities, tag)
