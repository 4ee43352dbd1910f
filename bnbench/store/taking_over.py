"""Results of other sweeps taken over into one: a run is the same wherever it was trained.

They come into the folder as the rows of a worker do. After a crash at any point the folder reads as one whose training
was interrupted, and the next call goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bnbench.environment import timestamp
from bnbench.errors import Damaged, InvalidRequest
from bnbench.notices import notice
from bnbench.spec import RunSpec
from bnbench.store.checks import checked_rows
from bnbench.store.columns import RESULTS, SEGMENT
from bnbench.store.completeness import check_complete
from bnbench.store.copies import copy_files, lines_of, write_copies
from bnbench.store.folder import enter_runs, join
from bnbench.store.history import read_history
from bnbench.store.lock import locked, nobody_writing
from bnbench.store.segment import log_file, write_specs
from bnbench.store.series import METRIC_SERIES, PROBE_SERIES, Series
from bnbench.store.state import Row, read_state, unmoved

TAKEN_OVER = "taken_over"
"""The key of sweep.yaml that says how many runs came from which sweep."""
SERIES = (METRIC_SERIES, PROBE_SERIES)


@dataclass(frozen=True)
class _Copies:
    """Runs of a sweep as they are read: the row of each, and its lines of each series."""

    folder: Path
    rows: Mapping[str, Row]
    lines: Mapping[Series, Mapping[str, Sequence[bytes]]]


def take_over(target: Path, specs: Mapping[str, RunSpec], sources: Mapping[str, Path]) -> Counter[str]:
    """Copy results of other sweeps into one, which may be new; the others stay as they are.

    A source may be in training. One that is damaged is left alone, and a notice says so. Weights stay where they are.

    Args:
        specs: the runs, by run_id.
        sources: the folder of a sweep that has the result, by run_id.

    Returns:
        how many runs were taken over, by the name of the sweep.

    Raises:
        BnbenchError: a program adds to ``target``, or it is damaged.
    """
    by_folder: dict[Path, list[str]] = {}
    for identity, folder in sources.items():
        by_folder.setdefault(folder, []).append(identity)
    read = [copies for folder, identities in by_folder.items() if (copies := _read(folder, identities)).rows]
    if not read:
        return Counter()
    with locked(target) as check_there:
        join(target, check_there)
        there = {name for name, row in read_state(target, alive=False).rows.items() if row["status"] in RESULTS}
        parts = [(copies, [name for name in copies.rows if name not in there]) for copies in read]
        counts = Counter({copies.folder.name: len(identities) for copies, identities in parts if identities})
        if counts:
            taken = [specs[identity] for _, identities in parts for identity in identities]
            now = timestamp("seconds")
            check_there()
            entry = {TAKEN_OVER: dict(counts), "time": now, "runs": len(taken)}
            enter_runs(target, taken, {}, entry, hold=check_there)
            with nobody_writing(target):
                check_there()
                write_specs(target, taken)
                _write(target, parts, check_there.token)
            join(target, check_there)
    return counts


def taken_over(folder: Path) -> Counter[str]:
    """How many runs a sweep has from which others, by what sweep.yaml says."""
    counts: Counter[str] = Counter()
    for entry in read_history(folder):
        told = entry.get(TAKEN_OVER)
        counts.update(told if isinstance(told, dict) else {})
    return counts


def _read(folder: Path, identities: Sequence[str]) -> _Copies:
    """The runs of these that have a result; none of a sweep that cannot be relied on."""
    try:
        return unmoved(lambda: _read_once(folder, identities))
    except (Damaged, InvalidRequest, OSError) as error:
        notice(f"results of {folder.name} are not taken over: {error}")
        return _Copies(folder, {}, {})


def _read_once(folder: Path, identities: Sequence[str]) -> _Copies:
    checked_rows(folder)
    state = read_state(folder)
    there = [name for name in identities if name in state.rows and state.rows[name]["status"] in RESULTS]
    lines: dict[Series, dict[str, list[bytes]]] = {series: {name: [] for name in there} for series in SERIES}
    for series, by_run in lines.items():
        for whole_line in lines_of(state, there, series):
            by_run[whole_line.split(b",", 1)[0].decode()].append(whole_line)
    rows = {name: {column: state.rows[name].get(column, "") for column in SEGMENT} for name in there}
    _check_evaluations(folder, rows, lines[METRIC_SERIES])
    return _Copies(folder, rows, lines)


def _check_evaluations(folder: Path, rows: Mapping[str, Row], lines: Mapping[str, Sequence[bytes]]) -> None:
    """See :func:`check_complete`."""
    completed = {name: float(row["steps_done"] or 0) for name, row in rows.items() if row["status"] == "completed"}
    last = {name: float(its[-1].split(b",", 2)[1]) for name, its in lines.items() if its}
    check_complete(folder, completed, last)


def _write(target: Path, parts: Sequence[tuple[_Copies, Sequence[str]]], token: str) -> None:
    def lines(series: Series) -> Iterator[bytes]:
        for copies, identities in parts:
            for identity in identities:
                yield from copies.lines[series][identity]

    copy_files(target, (log_file(copies.folder, name) for copies, identities in parts for name in identities))
    rows = [dict(copies.rows[identity]) for copies, identities in parts for identity in identities]
    write_copies(target, "taken-over", token, rows, {series: lines(series) for series in SERIES})
