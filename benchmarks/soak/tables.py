"""The tables of a sweep beside those of one that nobody disturbed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from bnbench import store
from bnbench.store.columns import OUTCOME
from bnbench.store.results import RESULT
from bnbench.store.series import METRIC_SERIES, PROBE_SERIES, Series
from bnbench.store.state import RUNS_TABLE

CIRCUMSTANCES = ("seconds", "started_at", "finished_at", "host", "engine_reason")
"""Columns of runs.csv that say when, where, how long, or why not faster: a worker that was killed is a reason."""
ROUNDING = 2e-2
"""A stack that was halved rounds otherwise; so far may a number be off, relatively, after a short training."""
FLIPS = 0.03
"""Share of examples that such a difference may move across a decision."""


def faults(folder: Path, whole: Path, is_exact: bool) -> Iterator[str]:
    """Say what the sweep in ``folder`` has otherwise than the one in ``whole``.

    Args:
        is_exact: each run was trained alone, so that all but :data:`CIRCUMSTANCES` must be the same, to the last digit;
            else what is counted must be the same, and what is measured of completed runs up to rounding.
    """
    yield from _leftovers(folder)
    runs, expected = _texts(folder / RUNS_TABLE), _texts(whole / RUNS_TABLE)
    if list(runs["run_id"]) != list(expected["run_id"]) or list(runs.columns) != list(expected.columns):
        yield "runs.csv has other runs or columns, or in another order"
        return
    settings = [column for column in runs.columns if column not in OUTCOME]
    told = [column for column in runs.columns if column not in CIRCUMSTANCES] if is_exact else [*settings, *_counted()]
    for column in told:
        if (other := runs[column] != expected[column]).any():
            row = int(other.argmax())
            yield f"{runs['run_id'][row]} has {column}={runs[column][row]} for {expected[column][row]}"
    if is_exact:
        tables = (METRIC_SERIES.file, PROBE_SERIES.file)
        yield from (
            f"{name} is another" for name in tables if (folder / name).read_bytes() != (whole / name).read_bytes()
        )
    else:
        yield from _rounded(folder, whole)


def _counted() -> list[str]:
    """The columns of a result that hold no measured number."""
    return [column for column in RESULT if not column.endswith(("_loss", "_accuracy"))]


def _leftovers(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        if path.name in ("segments", "checkpoints") or path.name.startswith(".joined") or path.suffix == ".tmp":
            yield f"{path.relative_to(folder)} is left over"


def _rounded(folder: Path, whole: Path) -> Iterator[str]:
    """Compare what was measured of completed runs; one that diverges soon holds any number."""
    runs, expected = store.load_runs(folder), store.load_runs(whole)
    completed = set(expected.loc[expected["status"] == "completed", "run_id"])
    yield from _far(runs, expected, completed, RUNS_TABLE)
    yield from _same_keys(folder, whole, METRIC_SERIES)
    yield from _same_keys(folder, whole, PROBE_SERIES)
    yield from _far(store.load_metrics(folder), store.load_metrics(whole), completed, METRIC_SERIES.file)


def _same_keys(folder: Path, whole: Path, series: Series) -> Iterator[str]:
    key = list(series.columns[: series.key])
    ours, theirs = (_texts(place / series.file)[key] for place in (folder, whole))
    if not ours.equals(theirs):
        yield f"{series.file} has other rows: {len(ours)} for {len(theirs)}"


def _far(ours: pd.DataFrame, theirs: pd.DataFrame, completed: set[str], table: str) -> Iterator[str]:
    ours, theirs = (frame[frame["run_id"].isin(completed)].reset_index(drop=True) for frame in (ours, theirs))
    if list(ours["run_id"]) != list(theirs["run_id"]):
        return
    for column in [name for name in ours.columns if name.endswith(("_loss", "_accuracy"))]:
        one, other = ours[column].to_numpy(float), theirs[column].to_numpy(float)
        is_loss = column.endswith("_loss")
        near = np.isclose(one, other, rtol=ROUNDING if is_loss else 0, atol=0 if is_loss else FLIPS, equal_nan=True)
        if not near.all():
            row = int((~near).argmax())
            yield f"{table}: {ours['run_id'][row]} has {column}={one[row]:g} for {other[row]:g}"


def _texts(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)
