"""Sweeps merged into one: each run once, with the result that it has, and never one of two that contradict each other.

What is merged comes into the folder as the rows of a worker do, by a segment. After a crash at any point the folder
reads as one whose training was interrupted, and the same merge goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bnbench.errors import SHOWN, InvalidRequest
from bnbench.store.checks import checked_rows, is_sweep
from bnbench.store.columns import IDENTITY, OUTCOME, RESULTS
from bnbench.store.copies import copy_files, lines_of, write_copies
from bnbench.store.folder import join, run_columns, write_runs
from bnbench.store.history import read_history, write_history
from bnbench.store.lock import check_free, locked, nobody_writing
from bnbench.store.results import differing_results
from bnbench.store.segment import files_of_run
from bnbench.store.series import METRIC_SERIES, PROBE_SERIES, Series
from bnbench.store.state import Row, State, rank, read_state, series_lines
from bnbench.store.tables import check_sweep
from bnbench.store.tags import change_tag, read_tags
from bnbench.text import plural

NOT_BEGUN = ("planned", "impossible")


@dataclass
class Merged:
    """The runs that come into a sweep, by run_id.

    Attributes:
        sources: the folder that each run is taken from.
        added: runs that the sweep does not have.
        better: runs that it has without a result, or with an earlier failure.
        passed: runs that a source has without a result, or with an earlier failure.
        same: runs with the same result.
    """

    sources: dict[str, Path] = field(default_factory=dict)
    added: list[str] = field(default_factory=list)
    better: list[str] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Sweep:
    """A sweep as it is read: its state, and the evaluations of each run."""

    folder: Path
    state: State
    metrics: Mapping[str, frozenset[bytes]]

    @classmethod
    def read(cls, folder: Path) -> _Sweep:
        checked_rows(folder, alive=False)
        state = read_state(folder, alive=False)
        metrics: dict[str, set[bytes]] = {}
        for whole_line in series_lines(state, METRIC_SERIES):
            metrics.setdefault(whole_line.split(b",", 1)[0].decode(), set()).add(whole_line)
        return cls(folder, state, {identity: frozenset(lines) for identity, lines in metrics.items()})


def merge_sweeps(sources: Sequence[Path], target: Path, entry: Mapping[str, Any], with_history: bool = True) -> Merged:
    """Merge sweeps into one, which may be new; the others stay as they are.

    Args:
        entry: what sweep.yaml says of it; the time and the number of runs are added.
        with_history: whether the calls of the sources come into sweep.yaml as well.

    Raises:
        InvalidRequest: a source is no sweep, or runs have contradicting results; nothing is written then.
        BnbenchError: a program adds to one of them.
        Damaged: one of them is not as it was written; nothing is written then.
    """
    for source in sources:
        check_sweep(source)
        check_free(source)
    read = [_Sweep.read(source) for source in sources]
    _decided(read, _Sweep.read(target) if is_sweep(target) else None)
    with locked(target):
        join(target)
        merged = _decided(read, _Sweep.read(target))
        by_folder = {sweep.folder: sweep for sweep in read}
        calls = [call for source in sources for call in read_history(source)] if with_history else []
        with nobody_writing(target):
            _enter(target, merged, by_folder)
            _note(target, calls, entry)
            _write_segment(target, merged, by_folder)
            _copy_files(target, read)
        join(target)
        _merge_tags(target, read)
    return merged


def _decided(sources: Sequence[_Sweep], target: _Sweep | None) -> Merged:
    """Which runs come from where.

    Raises:
        InvalidRequest: two sweeps have contradicting results of a run; all such runs.
    """
    merged, problems = Merged(), list[str]()
    counted: dict[str, _Sweep] = dict.fromkeys(target.state.rows, target) if target is not None else {}
    there = set(counted)
    for sweep in sources:
        for identity, row in sweep.state.rows.items():
            known = counted.get(identity)
            if known is None:
                merged.added.append(identity)
                counted[identity] = sweep
            elif contradiction := _contradiction(identity, known, sweep):
                problems.append(contradiction)
            elif row["status"] in RESULTS and known.state.rows[identity]["status"] in RESULTS:
                merged.same.append(identity)
            elif _weight(row) > _weight(known.state.rows[identity]):
                merged.better += [identity] if identity in there else []
                counted[identity] = sweep
            elif _weight(row) < _weight(known.state.rows[identity]):
                merged.passed.append(identity)
            else:
                merged.same.append(identity)
    if problems:
        more = [f"and {len(problems) - SHOWN} more runs"] if len(problems) > SHOWN else []
        remedy = "nothing was merged; move one of each to the trash (bnbench rm SWEEP/RUN), then merge again"
        raise InvalidRequest([*problems[:SHOWN], *more, remedy])
    merged.sources = {identity: sweep.folder for identity, sweep in counted.items() if sweep is not target}
    return merged


def _weight(row: Row) -> tuple[int, bool, str]:
    """Of two rows of a run the larger counts: a result, a failure, what has begun; then the later one."""
    return rank(row["status"]), row["status"] != "planned", row.get("finished_at", "")


def _contradiction(identity: str, one: _Sweep, other: _Sweep) -> str | None:
    """The first difference between two results of a run, in words."""
    rows = (one.state.rows[identity], other.state.rows[identity])
    names = (one.folder.name, other.folder.name) if one.folder.name != other.folder.name else (one.folder, other.folder)
    spec = [name for name in run_columns(rows) if name not in (*IDENTITY, *OUTCOME)]
    if differing := [name for name in spec if rows[0].get(name, "") != rows[1].get(name, "")]:
        return _words(identity, differing[0], rows, names)
    if not all(row["status"] in RESULTS for row in rows):
        return None
    if columns := differing_results(*rows):
        return _words(identity, columns[0], rows, names)
    if one.metrics.get(identity) != other.metrics.get(identity):
        return f"run {identity}: its evaluations are not the same in {names[0]} and {names[1]}"
    return None


def _words(identity: str, column: str, rows: Sequence[Row], names: Sequence[object]) -> str:
    cells = [row.get(column, "") or "missing" for row in rows]
    return f"run {identity}: {column} is {cells[0]:.60} in {names[0]} and {cells[1]:.60} in {names[1]}"


def _enter(target: Path, merged: Merged, sweeps: Mapping[Path, _Sweep]) -> None:
    """Enter the runs that are new, as planned: they come in the order of their sweeps."""
    state = read_state(target, alive=False)
    for identity in merged.added:
        row = sweeps[merged.sources[identity]].state.rows[identity]
        if row["status"] not in NOT_BEGUN:
            row = {name: cell for name, cell in row.items() if name not in OUTCOME} | {"status": "planned", "error": ""}
        state.rows[identity] = row
    write_runs(target, state)


def _note(target: Path, calls: Sequence[Mapping[str, Any]], entry: Mapping[str, Any]) -> None:
    """Add calls to sweep.yaml, those that it does not have, and an entry with the time and the number of runs."""
    history = read_history(target)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    last = {**entry, "time": now, "runs": len(read_state(target, alive=False).rows)}
    write_history(target, [*history, *(call for call in calls if call not in history), last])


def _write_segment(target: Path, merged: Merged, sweeps: Mapping[Path, _Sweep]) -> None:
    """Write the runs that have begun as a worker does: what they measured first, then the rows that vouch for it."""
    parts: list[tuple[_Sweep, list[str]]] = []
    for sweep in sweeps.values():
        its = [key for key, folder in merged.sources.items() if folder == sweep.folder]
        parts.append((sweep, [key for key in its if sweep.state.rows[key]["status"] not in NOT_BEGUN]))
    rows = [sweep.state.rows[identity] for sweep, identities in parts for identity in identities]
    lines = {series: _lines(parts, series) for series in (METRIC_SERIES, PROBE_SERIES)}
    write_copies(target, "merge", rows, lines)


def _lines(parts: Sequence[tuple[_Sweep, Sequence[str]]], series: Series) -> Iterator[bytes]:
    for sweep, identities in parts:
        yield from lines_of(sweep.state, identities, series)


def _copy_files(target: Path, sweeps: Iterable[_Sweep]) -> None:
    """Copy the spec, log and weights of each run, where the sweep has none: also those that a crash has left out."""
    for sweep in sweeps:
        copy_files(target, (path for identity in sweep.state.rows for path in files_of_run(sweep.folder, identity)))


def _merge_tags(target: Path, sweeps: Sequence[_Sweep]) -> None:
    """Give the runs the tags that they have in the sources."""
    for sweep in sweeps:
        by_tag: dict[str, list[str]] = {}
        for identity, tags in read_tags(sweep.folder).items():
            for tag in tags if identity in sweep.state.rows else ():
                by_tag.setdefault(tag, []).append(identity)
        for tag, identities in by_tag.items():
            change_tag(target, identities, tag)


def merged_in_words(merged: Merged) -> str:
    """What a merge did, in words."""
    counts = (
        (merged.same, "the same"),
        (merged.better, "in place of runs without a result"),
        (merged.passed, "without a result left out"),
    )
    others = [f"{len(runs)} {words}" for runs, words in counts if runs]
    return ", ".join([f"{plural(len(merged.added), 'run')} added", *others])
