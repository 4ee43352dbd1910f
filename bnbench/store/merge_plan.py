"""The decision which sweep each run of a merge comes from, before anything is written."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bnbench.errors import SHOWN, InvalidRequest
from bnbench.store.checks import checked_rows
from bnbench.store.columns import IDENTITY, OUTCOME, RESULTS, TRIAL
from bnbench.store.folder import run_columns
from bnbench.store.results import differing_results
from bnbench.store.series import METRIC_SERIES
from bnbench.store.state import Row, State, rank, read_state, series_lines
from bnbench.store.tags import read_tags
from bnbench.text import plural

CONFLICTS = "conflicts"
"""The folder inside a sweep with the results of its runs that do not count: a sweep for each that they come from."""

OTHER_SETTINGS = "nothing was merged; a run's id stands for its settings, so that one of them is not as it was written"


@dataclass
class Merged:
    """The runs that come into a sweep, by run_id.

    Attributes:
        sources: the folder that each run is taken from.
        added: runs that the sweep does not have.
        better: runs that it has without a result, or with an earlier failure.
        passed: runs that a source has without a result, or with an earlier failure.
        same: runs with the same result.
        conflicts: by sweep, its runs with another result than the one that counts.
    """

    sources: dict[str, Path] = field(default_factory=dict)
    added: list[str] = field(default_factory=list)
    better: list[str] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    conflicts: dict[Path, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Merging:
    """How sweeps are merged.

    Attributes:
        with_history: whether the calls of the sources come into sweep.yaml as well.
        keep_conflicts: whether other results of a run than the first one go into :data:`CONFLICTS`; they are refused
            otherwise.
        remedy: what to do where they are refused.
    """

    with_history: bool = True
    keep_conflicts: bool = False
    remedy: str = (
        "nothing was merged; --keep-conflicts takes the first result of each and puts the others aside, or move one of"
        " each to the trash (bnbench rm SWEEP/RUN) and merge again"
    )


@dataclass(frozen=True)
class Sweep:
    """A sweep as it is read: its state, the evaluations and the tags of each run."""

    folder: Path
    state: State
    metrics: Mapping[str, frozenset[bytes]]
    tags: Mapping[str, Sequence[str]]

    @classmethod
    def read(cls, folder: Path) -> Sweep:
        """Read a sweep to which no program adds. Raises as :func:`checked_rows`."""
        checked_rows(folder, alive=False)
        state = read_state(folder, alive=False)
        metrics: dict[str, set[bytes]] = {}
        for whole_line in series_lines(state, METRIC_SERIES):
            metrics.setdefault(whole_line.split(b",", 1)[0].decode(), set()).add(whole_line)
        return cls(
            folder, state, {identity: frozenset(lines) for identity, lines in metrics.items()}, read_tags(folder)
        )


def decided(sources: Sequence[Sweep], target: Sweep | None, merging: Merging) -> Merged:
    """Which runs come from where.

    Raises:
        InvalidRequest: two sweeps have other settings of one run, or contradicting results, which are not to be kept;
            all such runs.
    """
    merged, problems, damaged = Merged(), list[str](), False
    counted: dict[str, Sweep] = dict.fromkeys(target.state.rows, target) if target is not None else {}
    for sweep in sources:
        for identity, row in sweep.state.rows.items():
            known = counted.get(identity)
            if known is None:
                merged.added.append(identity)
                counted[identity] = sweep
            elif problem := _other_settings(identity, known, sweep):
                problems.append(problem)
                damaged = True
            elif problem := _other_result(identity, known, sweep):
                problems += [] if merging.keep_conflicts else [problem]
                merged.conflicts.setdefault(sweep.folder, []).append(identity)
            elif row["status"] in RESULTS and known.state.rows[identity]["status"] in RESULTS:
                merged.same.append(identity)
            elif _weight(row) > _weight(known.state.rows[identity]):
                merged.better += [identity] if known is target else []
                counted[identity] = sweep
            elif _weight(row) < _weight(known.state.rows[identity]):
                merged.passed.append(identity)
            else:
                merged.same.append(identity)
    if problems:
        more = [f"and {len(problems) - SHOWN} more runs"] if len(problems) > SHOWN else []
        raise InvalidRequest([*problems[:SHOWN], *more, OTHER_SETTINGS if damaged else merging.remedy])
    merged.sources = {identity: sweep.folder for identity, sweep in counted.items() if sweep is not target}
    return merged


def _weight(row: Row) -> tuple[int, bool, str]:
    """Of two rows of a run the larger counts: a result, a failure, what has begun; then the later one."""
    return rank(row["status"]), row["status"] != "planned", row.get("finished_at", "")


def _other_settings(identity: str, one: Sweep, other: Sweep) -> str | None:
    """The first setting that a run has in one sweep only, in words: one of them is damaged."""
    rows = (one.state.rows[identity], other.state.rows[identity])
    spec = [name for name in run_columns(rows) if name not in (*IDENTITY, TRIAL, *OUTCOME)]
    differing = [name for name in spec if rows[0].get(name, "") != rows[1].get(name, "")]
    return _words(identity, differing[0], one, other) if differing else None


def _other_result(identity: str, one: Sweep, other: Sweep) -> str | None:
    """The first difference between two results of a run, in words."""
    rows = (one.state.rows[identity], other.state.rows[identity])
    if not all(row["status"] in RESULTS for row in rows):
        return None
    if columns := differing_results(*rows):
        return _words(identity, columns[0], one, other)
    if one.metrics.get(identity) != other.metrics.get(identity):
        names = _names(one, other)
        return f"run {identity}: its evaluations are not the same in {names[0]} and {names[1]}"
    return None


def _names(one: Sweep, other: Sweep) -> tuple[object, object]:
    folders = (one.folder, other.folder)
    return folders if folders[0].name == folders[1].name else (folders[0].name, folders[1].name)


def _words(identity: str, column: str, one: Sweep, other: Sweep) -> str:
    names = _names(one, other)
    cells = [sweep.state.rows[identity].get(column, "") or "missing" for sweep in (one, other)]
    return f"run {identity}: {column} is {cells[0]:.60} in {names[0]} and {cells[1]:.60} in {names[1]}"


def merged_in_words(merged: Merged) -> str:
    """What a merge did, in words."""
    counts = (
        (merged.same, "the same"),
        (merged.better, "in place of runs without a result"),
        (merged.passed, "without a result left out"),
        ([*itertools.chain(*merged.conflicts.values())], f"with another result put into {CONFLICTS}/"),
    )
    others = [f"{len(runs)} {words}" for runs, words in counts if runs]
    return ", ".join([f"{plural(len(merged.added), 'run')} added", *others])
