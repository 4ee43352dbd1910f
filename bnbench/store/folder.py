"""The results folder of one sweep: entering its runs, and joining its segments into its tables."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from bnbench.spec import RunSpec, flatten, run_id
from bnbench.store.checkpoints import CHECKPOINTS, ENDING
from bnbench.store.checks import PARTS, TABLES, checked_rows
from bnbench.store.columns import IDENTITY, OUTCOME, RESULTS, TRIAL
from bnbench.store.files import leftovers, line, replacing, sync_folder, text
from bnbench.store.history import read_history, write_history
from bnbench.store.lease import NO_LEASE, Hold
from bnbench.store.lock import nobody_writing
from bnbench.store.ownership import enter_owner, read_owner
from bnbench.store.segment import FOLDER, lacks_spec, write_specs
from bnbench.store.series import METRIC_SERIES, PROBE_SERIES, Series
from bnbench.store.sharing import make_folder
from bnbench.store.state import RUNS_TABLE, Row, State, read_state, series_lines
from bnbench.store.tags import TAGS_TABLE
from bnbench.store.weights import FILES

JOINED = ".joined"


def enter_runs(
    folder: Path,
    specs: Sequence[RunSpec],
    refusals: Mapping[str, str],
    invocation: Mapping[str, Any],
    trials: Mapping[str, int] | None = None,
    hold: Hold = NO_LEASE,
) -> None:
    """Enter runs into runs.csv, those that have a result excepted. The caller holds the sweep.

    Args:
        specs: the runs asked for.
        refusals: by run_id, the error of each run that has the status ``impossible``.
        invocation: what was asked, for sweep.yaml.
        trials: by run_id, the trial of a search that a run is new for.
        hold: is called right before each table is put in place.
    """
    make_folder(folder)
    state, history = read_state(folder, alive=False), read_history(folder)
    for spec in specs:
        identity = run_id(spec)
        known = state.rows.get(identity, {})
        if known.get("status") in RESULTS:
            continue
        row = {"run_id": identity} | {column: text(value) for column, value in flatten(spec).items()}
        if trials and identity in trials and not known:
            row[TRIAL] = text(trials[identity])
        if identity in refusals:
            row |= {"status": "impossible", "error": text(refusals[identity])}
        elif known.get("status", "impossible") == "impossible":
            row |= {"status": "planned", "error": ""}
        state.rows[identity] = known | row
    _newest_last(state, specs)
    write_runs(folder, state, hold)
    write_history(folder, [*history, invocation], hold)


def renew(folder: Path, specs: Sequence[RunSpec], hold: Hold = NO_LEASE) -> None:
    """Make the plugin of runs that are in the folder already its newest version. The caller holds the sweep."""
    if any(spec.plugin is not None for spec in specs):
        state = read_state(folder, alive=False)
        if _newest_last(state, specs):
            write_runs(folder, state, hold)


def _newest_last(state: State, specs: Sequence[RunSpec]) -> bool:
    """Move runs of a plugin behind those of its other versions: the last ones of a table are of the newest.

    Returns:
        whether that changed anything.
    """
    newest = next((row["plugin"] for row in reversed(state.rows.values()) if row.get("plugin")), None)
    identities = [run_id(spec) for spec in specs if spec.plugin not in (None, newest)]
    for identity in identities:
        state.rows[identity] = state.rows.pop(identity)
    return bool(identities)


def restore_specs(folder: Path, specs: Sequence[RunSpec]) -> None:
    """Write the spec files of runs that have begun and lost theirs. The caller holds the sweep."""
    known = read_state(folder).rows
    begun = {identity for identity, row in known.items() if row["status"] not in ("planned", "impossible")}
    named = ((run_id(spec), spec) for spec in specs)
    if lost := [spec for identity, spec in named if identity in begun and lacks_spec(folder, identity)]:
        write_specs(folder, lost)


def belongs_to_sweep(path: Path) -> bool:
    """True for a file that a sweep's folder is made of."""
    if path.parent.name in PARTS:
        return (path.parent.parent / RUNS_TABLE).exists()
    return path.name in (*TABLES, TAGS_TABLE) and (path.parent / RUNS_TABLE).exists()


def join(folder: Path, check_there: Hold = NO_LEASE, adds: bool = True) -> None:
    """Move all segments' rows into runs.csv, metrics.csv and, if there are any, probes.csv. The caller holds the sweep.

    A crash at any point leaves a folder that reads the same. Until all tables hold all rows the segments do, and where
    a segment has a run's row it has the run's metrics too, whatever the tables say; then they go, all at once.

    Args:
        check_there: is called before each table is changed; what it raises ends the join, and the folder is whole.
        adds: who holds the sweep adds to it, and so is its owner from the end on: segments of those who had it
            before, and wake up late, do not count. A sweep that is finished stays as it is, byte for byte.

    Raises:
        BnbenchError: an earlier program's worker still writes.
        Damaged: the folder is not as it was written; nothing is changed then.
    """
    with nobody_writing(folder):
        last = read_owner(folder)
        check_there()
        checked_rows(folder, alive=False)
        _remove_leftovers(folder)
        if (folder / FOLDER).is_dir():
            state = read_state(folder, alive=False)
            grown = {series: list(series_lines(state, series)) for series in (METRIC_SERIES, PROBE_SERIES)}
            for series, lines in grown.items():
                write_series(folder / series.file, series, lines, check_there)
            write_runs(folder, state, check_there)
            sync_folder(folder)
            check_there()
            (folder / FOLDER).rename(folder / f"{JOINED}-{uuid.uuid4().hex[:8]}")
            _remove_leftovers(folder)
        if adds:
            enter_owner(folder, last, check_there)


def run_columns(rows: Sequence[Row]) -> list[str]:
    """Identity, the spec's columns with the options of a choice behind it, the trial if there is one, the outcome."""
    columns = dict.fromkeys(column for row in rows for column in row)
    middle = [column for column in columns if column not in (*IDENTITY, TRIAL, *OUTCOME)]
    position = {head: index for index, head in enumerate(dict.fromkeys(column.split(".")[0] for column in middle))}
    middle.sort(key=lambda column: position[column.split(".")[0]])
    return [*IDENTITY, *middle, *([TRIAL] if TRIAL in columns else []), *OUTCOME]


def run_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Runs as lines of CSV, the columns of :func:`run_columns` first."""
    columns = run_columns(rows)
    yield line(columns)
    yield from (line([row.get(column, "") for column in columns]) for row in rows)


def write_series(path: Path, series: Series, lines: Sequence[bytes], hold: Hold = NO_LEASE) -> None:
    """Write a series; without any lines there is no file of probes. The caller holds the sweep."""
    if series is PROBE_SERIES and not lines and not path.exists():
        return
    with replacing(path, check=hold) as stream:
        stream.write(line(series.columns))
        stream.writelines(whole_line.decode() for whole_line in lines)


def write_runs(folder: Path, state: State, hold: Hold = NO_LEASE) -> None:
    """Write runs.csv. The caller holds the sweep."""
    with replacing(folder / RUNS_TABLE, check=hold) as stream:
        stream.writelines(run_lines(list(state.rows.values())))


def _remove_leftovers(folder: Path) -> None:
    """Remove joined segments, and what the dead left half written; what cannot be removed now is tried again later."""
    for joined in folder.glob(f"{JOINED}-*"):
        shutil.rmtree(joined, ignore_errors=True)
    for name in (*TABLES, "specs/*.yaml", "logs/*.log", FILES, f"{CHECKPOINTS}/*{ENDING}"):
        for path in leftovers(folder / name):
            path.unlink(missing_ok=True)
    with suppress(OSError):  # it is not there, or has some
        (folder / CHECKPOINTS).rmdir()
