"""The results folder of one sweep: planning it, joining its segments, and reading it back as tidy tables."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from bnbench.errors import BnbenchError, InvalidRequest
from bnbench.spec import RunSpec, flatten, run_id
from bnbench.store.columns import IDENTITY, METRICS, OUTCOME, RESULTS
from bnbench.store.files import line, read_rows, replacing, text
from bnbench.store.segment import FOLDER, METRIC_ROWS, ROWS

Row = dict[str, str]


@dataclass(frozen=True)
class _State:
    """Everything a folder says of its runs.

    Attributes:
        rows: by run_id, the row that counts, in the order of planning.
        source: by run_id, the metrics file that this row vouches for.
    """

    rows: dict[str, Row]
    source: dict[str, Path]


def check_writable(folder: Path) -> None:
    """Refuse a folder that cannot be written to, before anything is trained.

    Raises:
        InvalidRequest: naming the folder.
    """
    existing = next(parent for parent in [folder, *folder.absolute().parents] if parent.exists())
    if not existing.is_dir():
        raise InvalidRequest([f"results folder {folder}: {existing} is a file; choose another --results or --name"])
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InvalidRequest([f"results folder {folder}: {existing} is not writable; choose another --results"])


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the sweep: one program at a time adds to it. A program that dies lets go of it.

    Raises:
        BnbenchError: another program holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as lock:
        for attempt in range(10):  # a reader that asks whether we run holds the lock for an instant
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if attempt == 9:
                    message = f"{folder} is in use by another bnbench; wait for it, or choose another --name"
                    raise BnbenchError(message) from None
                time.sleep(0.05)
        yield


def is_locked(folder: Path) -> bool:
    """Whether a program is adding to the sweep at this moment."""
    try:
        with (folder / ".lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def statuses(folder: Path) -> dict[str, str]:
    """The status of every run in the folder by run_id; empty for a new sweep."""
    return {identity: row["status"] for identity, row in _read_state(folder).rows.items()}


def plan(folder: Path, specs: Sequence[RunSpec], impossible: Mapping[str, str], invocation: Mapping[str, Any]) -> None:
    """Enter runs into the sweep's tables, those already there excepted. The caller holds the sweep.

    Args:
        specs: the runs asked for.
        impossible: by run_id, why a run cannot be trained.
        invocation: what was asked, for sweep.yaml.
    """
    state = _read_state(folder, alive=False)
    for spec in specs:
        identity = run_id(spec)
        known = state.rows.get(identity, {})
        if known.get("status") in RESULTS:
            continue
        row = {column: text(value) for column, value in flatten(spec).items()}
        if identity in impossible:
            row |= {"status": "impossible", "error": text(impossible[identity])}
        else:
            row |= {"status": known.get("status", "planned"), "error": known.get("error", "")}
            row["status"] = "planned" if row["status"] == "impossible" else row["status"]
        state.rows[identity] = {**known, "run_id": identity, **row}
    _write_state(folder, state)
    _add_invocation(folder, invocation)


def join(folder: Path) -> None:
    """Move all segments' rows into runs.csv and metrics.csv. The caller holds the sweep.

    A crash at any point leaves a folder that reads the same: rows stand in the segments until both tables hold them,
    and a run's rows are taken from one place only.
    """
    segments = _segments(folder)
    _write_state(folder, _read_state(folder, alive=False))
    for path in sorted(segments, key=lambda path: not path.name.endswith(ROWS)):  # rows go before what they vouch for
        path.unlink()
    with contextlib.suppress(OSError):  # not there, or a worker that lost its program is still writing
        (folder / FOLDER).rmdir()


def load_runs(folder: Path) -> pd.DataFrame:
    """One row per run: identity, every spec field (dotted), outcome.

    Raises:
        InvalidRequest: there is no such sweep.
    """
    _check_exists(folder)
    rows = list(_read_state(folder).rows.values())
    columns = _run_columns(rows)
    lines = [line(columns), *(line([row.get(column, "") for column in columns]) for row in rows)]
    frame = _read_csv("".join(lines))
    return frame.astype({column: "float64" for column in OUTCOME if column in _NUMERIC})


def load_metrics(folder: Path) -> pd.DataFrame:
    """One row per evaluation of every run.

    Raises:
        InvalidRequest: there is no such sweep.
    """
    _check_exists(folder)
    while True:
        try:
            return _read_csv("".join([line(METRICS), *_metric_lines(_read_state(folder))]))
        except _Moved:
            continue  # a join moved the rows while we read; they are in the tables now


def load_sweeps(folders: Sequence[Path]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The runs and metrics of several sweeps in one table each; ``sweep`` tells them apart. A shared run counts once.

    Raises:
        InvalidRequest: one of them is not there.
    """
    runs = [load_runs(folder).assign(sweep=folder.name) for folder in folders]
    metrics = [load_metrics(folder) for folder in folders]
    if len(folders) == 1:
        return runs[0], metrics[0]
    columns = list(dict.fromkeys(column for frame in runs for column in frame.columns))
    seen: set[str] = set()
    for index, frame in enumerate(runs):
        fresh = frame[~frame["run_id"].isin(seen)]
        seen |= set(frame["run_id"])
        runs[index] = fresh
        metrics[index] = metrics[index][metrics[index]["run_id"].isin(fresh["run_id"])]
    filled = [frame.reindex(columns=columns).astype(object) for frame in runs]
    together = pd.concat(filled, ignore_index=True).infer_objects()
    return together, pd.concat(metrics, ignore_index=True)


def _check_exists(folder: Path) -> None:
    if not (folder / "runs.csv").is_file():
        near = sorted(path.parent.name for path in folder.parent.glob("*/runs.csv"))
        there = f"there are: {', '.join(near)}" if near else f"there are no sweeps in {folder.parent}"
        raise InvalidRequest([f"no sweep {folder.name!r} in {folder.parent}; {there}"])


_NUMERIC = frozenset(OUTCOME) - {
    "engine",
    "device",
    "started_at",
    "finished_at",
    "host",
    "version",
    "torch",
    "git_commit",
}


def _read_csv(content: str) -> pd.DataFrame:
    return pd.read_csv(
        io.StringIO(content), keep_default_na=False, na_values=[""], dtype={"run_id": str}, low_memory=False
    )


def _segments(folder: Path) -> list[Path]:
    return sorted((folder / FOLDER).glob("*.csv"))


def _read_state(folder: Path, alive: bool | None = None) -> _State:
    """Merge tables and segments: results count more than failures, failures than beginnings, later than earlier.

    The segments are read before the tables, so that a join in between loses nothing.

    Args:
        alive: whether a program is training; None asks the lock, which only others than its holder can.
    """
    segments = [(path, list(read_rows(path))) for path in _segments(folder) if path.name.endswith(ROWS)]
    state = _State({}, {})
    for row in read_rows(folder / "runs.csv"):
        state.rows[row["run_id"]] = row
        state.source[row["run_id"]] = folder / "metrics.csv"
    candidates = [(path, row) for path, rows in segments for row in rows]
    for path, row in sorted(candidates, key=lambda item: (_rank(item[1]["status"]), item[1]["finished_at"])):
        known = state.rows.get(row["run_id"], {"status": "planned"})
        if _rank(row["status"]) >= _rank(known["status"]) or known["status"] not in RESULTS:
            state.rows[row["run_id"]] = {**known, **row}
            state.source[row["run_id"]] = path.with_name(path.name.removesuffix(ROWS) + METRIC_ROWS)
    unfinished = any(row["status"] == "running" for row in state.rows.values())
    if unfinished and not (is_locked(folder) if alive is None else alive):
        for row in state.rows.values():
            row["status"] = "interrupted" if row["status"] == "running" else row["status"]
    return state


def _rank(status: str) -> int:
    return 2 if status in RESULTS else 0 if status in ("planned", "running") else 1


def _write_state(folder: Path, state: _State) -> None:
    """metrics.csv first: while only it is new, the segments still hold the final rows that vouch for its lines."""
    with replacing(folder / "metrics.csv") as stream:
        stream.write(line(METRICS))
        stream.writelines(_metric_lines(state))
    rows = list(state.rows.values())
    columns = _run_columns(rows)
    with replacing(folder / "runs.csv") as stream:
        stream.write(line(columns))
        stream.writelines(line([row.get(column, "") for column in columns]) for row in rows)


def _metric_lines(state: _State) -> Iterator[str]:
    """The metric lines of every run, each from the file that the run's row vouches for."""
    for path in dict.fromkeys(state.source.values()):
        try:
            with path.open(newline="", encoding="utf-8") as stream:
                next(stream, None)
                for text_line in stream:
                    identity, comma, _ = text_line.partition(",")
                    if comma and text_line.endswith("\n") and state.source.get(identity) == path:
                        yield text_line
        except FileNotFoundError:
            if path.parent.name == FOLDER:
                raise _Moved from None


class _Moved(Exception):
    """A segment is gone since its rows were read."""


def _run_columns(rows: Sequence[Row]) -> list[str]:
    """Identity, then the spec's columns with the options of a choice behind it, then the outcome."""
    seen = dict.fromkeys(column for row in rows for column in row)
    own = [column for column in seen if column not in IDENTITY and column not in OUTCOME]
    heads = list(dict.fromkeys(column.split(".")[0] for column in own))
    own.sort(key=lambda column: heads.index(column.split(".")[0]))
    return [*IDENTITY, *own, *OUTCOME]


def _add_invocation(folder: Path, invocation: Mapping[str, Any]) -> None:
    path = folder / "sweep.yaml"
    history = yaml.safe_load(path.read_text()) if path.exists() else []
    with replacing(path) as stream:
        yaml.safe_dump([*history, dict(invocation)], stream, sort_keys=False)
