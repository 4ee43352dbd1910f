"""Reading a results folder back as tidy tables."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from bnbench.errors import Damaged, InvalidRequest
from bnbench.store.cells import SERIES_RULES, first_fault
from bnbench.store.checks import checked_rows, is_sweep, statuses, sweep_folders
from bnbench.store.columns import RUN_TYPES
from bnbench.store.completeness import check_complete
from bnbench.store.files import content, line
from bnbench.store.folder import run_columns, run_lines
from bnbench.store.foreign_files import foreign
from bnbench.store.regular_series import in_order, is_regular
from bnbench.store.series import METRIC_SERIES, PROBE_SERIES, Series
from bnbench.store.state import RUNS_TABLE, State, rank, read_state, series_lines, unmoved

if TYPE_CHECKING:  # slow to import, and not needed to write
    import pandas as pd


def load_runs(folder: Path) -> pd.DataFrame:
    """One row per run: identity, every spec field (dotted), outcome.

    Raises:
        InvalidRequest: there is no such sweep.
        Damaged: a file of it is not as it was written.
    """
    check_sweep(folder)
    rows = list(checked_rows(folder).values())
    return _parse(folder / RUNS_TABLE, "".join(run_lines(rows)).encode(), run_columns(rows), RUN_TYPES)


def load_metrics(folder: Path) -> pd.DataFrame:
    """One row per evaluation of every run.

    Raises:
        InvalidRequest: there is no such sweep.
        Damaged: a file of it is not as it was written.
    """
    return _load_series(folder, METRIC_SERIES)


def load_probes(folder: Path) -> pd.DataFrame:
    """One row per number that a probe measured, of every run.

    Raises:
        InvalidRequest: there is no such sweep.
        Damaged: a file of it is not as it was written.
    """
    return _load_series(folder, PROBE_SERIES)


def load_sweeps(folders: Sequence[Path]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The runs and metrics of several sweeps in one table each; ``sweep`` tells them apart.

    A shared run counts once: where it has a result, or else in the first sweep.

    Raises:
        InvalidRequest: none is named, or one of them is not there.
        Damaged: a file of one is not as it was written, or evaluations of completed runs are missing.
    """
    _check_named(folders)
    runs = [load_runs(folder).assign(sweep=folder.name) for folder in folders]
    metrics = [load_metrics(folder) for folder in folders]
    for folder, run_frame, metric_frame in zip(folders, runs, metrics, strict=True):
        _check_complete(folder, run_frame, metric_frame)
    if len(folders) == 1:
        return runs[0], metrics[0]
    import pandas as pd

    columns = list(dict.fromkeys(column for frame in runs for column in frame.columns))
    places = _places([dict(zip(frame["run_id"], frame["status"], strict=True)) for frame in runs])
    counted = [frame.reindex(columns=columns).astype(object) for frame in _counted(runs, places)]
    together = pd.concat(counted, ignore_index=True).infer_objects()
    return together, pd.concat(_counted(metrics, places), ignore_index=True)


def load_sweep_probes(folders: Sequence[Path]) -> pd.DataFrame:
    """The numbers of probes of several sweeps in one table; of a shared run, in the sweep in which it counts.

    Raises:
        InvalidRequest: none is named, or one of them is not there.
        Damaged: a file of one is not as it was written.
    """
    _check_named(folders)
    import pandas as pd

    places, frames = _places([*map(statuses, folders)]), [load_probes(folder) for folder in folders]
    return pd.concat(_counted(frames, places), ignore_index=True)


def _check_named(folders: Sequence[Path]) -> None:
    if not folders:
        raise InvalidRequest(["name at least one sweep"])


def _places(sweeps: Sequence[Mapping[str, str]]) -> dict[str, int]:
    """By run, the place of the sweep in which it counts, given the statuses of the runs of each."""
    places: dict[str, int] = {}
    for place, sweep in enumerate(sweeps):
        for identity, status in sweep.items():
            if identity not in places or rank(status) > rank(sweeps[places[identity]][identity]):
                places[identity] = place
    return places


def _counted(frames: Sequence[pd.DataFrame], places: Mapping[str, int]) -> list[pd.DataFrame]:
    """The rows of each sweep that belong to runs which count in it."""
    return [frame[frame["run_id"].map(places.get) == place] for place, frame in enumerate(frames)]


def _load_series(folder: Path, series: Series) -> pd.DataFrame:
    check_sweep(folder)
    return unmoved(lambda: _read_series(folder, series))


def _read_series(folder: Path, series: Series) -> pd.DataFrame:
    """See :func:`series_lines` for what it raises."""
    path, state = folder / series.file, read_state(folder)
    if (regular := _regular(path, state, series)) is not None:
        return regular
    lines = b"".join([line(series.columns).encode(), *series_lines(state, series)])
    frame = _parse(path, lines, series.columns, series.types)
    _check_limits(path, lines, frame)
    return frame


def _regular(path: Path, state: State, series: Series) -> pd.DataFrame | None:
    """The table at once, where it is regular and all is in it; None where it must be read line by line."""
    if set(state.source.values()) != {path.with_name(METRIC_SERIES.file)}:
        return None
    try:
        whole = content(path)
        if not is_regular(whole, series):
            return None
        frame = _parse(path, whole, series.columns, series.types)
        _check_limits(path, whole, frame)
    except (FileNotFoundError, Damaged):  # told line by line
        return None
    return in_order(frame, state.rows, series)


def check_sweep(folder: Path) -> None:
    """Refuse a folder in which there is no sweep.

    Raises:
        InvalidRequest: naming those that there are.
    """
    if reason := foreign(folder):
        raise InvalidRequest([f"{folder}: {reason}; it is left alone"])
    if not is_sweep(folder):
        names = ", ".join(path.name for path in sweep_folders(folder.parent))
        near = f"there are: {names}" if names else f"there are no sweeps in {folder.parent}"
        raise InvalidRequest([f"no sweep {folder.name!r} in {folder.parent}; {near}"])


def _check_complete(folder: Path, runs: pd.DataFrame, metrics: pd.DataFrame) -> None:
    """See :func:`check_complete`."""
    completed = runs[runs["status"] == "completed"]
    steps = dict(zip(completed["run_id"], completed["steps_done"], strict=True))
    last = {str(identity): float(step) for identity, step in metrics.groupby("run_id")["step"].max().items()}
    check_complete(folder, steps, last)


def _parse(path: Path, content: bytes, columns: Sequence[str], types: Mapping[str, str]) -> pd.DataFrame:
    """A table with floats as exact as they were written; only an empty cell is missing, so ``none`` stays a text."""
    import pandas as pd

    # pandas before 3.1 is up to one unit in the last place off unless told otherwise
    exact = {} if pd.__version__ >= "3.1" else {"float_precision": "round_trip"}
    options: dict[str, Any] = {
        "keep_default_na": False,
        "na_values": {column: ["", "nan"] if types.get(column) == "float64" else [""] for column in columns},
        "low_memory": False,
        **exact,
    }
    kinds = {column: types[column] for column in columns if column in types}
    try:
        frame: pd.DataFrame = pd.read_csv(io.BytesIO(content), dtype=kinds, **options)
    except (ValueError, OverflowError) as error:
        raise Damaged(path, _series_fault(content) or str(error)) from error
    return frame


def _check_limits(path: Path, content: bytes, frame: pd.DataFrame) -> None:
    """Refuse a number of a series that cannot be."""
    limits = {column: rule for column, rule in SERIES_RULES.items() if column in frame.columns}
    within = [frame[column].isna() | frame[column].between(rule.low, rule.high) for column, rule in limits.items()]
    if not all(column.all() for column in within):
        raise Damaged(path, _series_fault(content) or "it holds a number that cannot be")


def _series_fault(content: bytes) -> str | None:
    """The first cell of a series that holds what it must not."""
    import pandas as pd

    frame = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)
    return first_fault(cast(list[dict[str, str]], frame.to_dict("records")), SERIES_RULES)
