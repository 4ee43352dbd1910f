"""A reader that looks at the tables of a sweep all the time, and remembers which runs had a result."""

from __future__ import annotations

import csv
import io
import threading
import time
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

import pandas as pd

from bnbench import store
from bnbench.store.segment import FOLDER, ROWS
from bnbench.store.series import METRIC_SERIES, PROBE_SERIES, Series
from bnbench.store.state import RUNS_TABLE

Row = dict[str, str]
MOST_FAULTS = 20


class Watcher:
    """Looks again and again, in a thread, by bnbench's readers and by plain pandas.

    Args:
        folder: the sweep's, which need not be there yet.

    Attributes:
        faults: what was wrong, in words.
        looks: how often everything was read.
        results: by run_id, the row with a result that was seen first, in runs.csv or in a segment.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lines: dict[str, bytes] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)
        self._seen: set[str] = set()
        self._sums: dict[Series, dict[str, int]] = {METRIC_SERIES: {}, PROBE_SERIES: {}}
        self.results: dict[str, Row] = {}
        self.faults: list[str] = []
        self.looks = 0

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def look(self) -> None:
        """Read all tables once and hold them against what was read before."""
        if not (self._folder / RUNS_TABLE).exists():
            if self._seen:
                self._tell("runs.csv is gone")
            return
        before = dict(self.results)
        for read in (self._plainly, partial(self._by_bnbench, before)):
            try:
                read()
            except Exception as error:
                self._tell(f"{type(error).__name__}: {error}")
        self._in_segments()
        self.looks += 1

    def _look_on(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            self.look()
            self._stop.wait(0.005 + time.monotonic() - began)  # half of the time is left to those who train

    def _tell(self, fault: str) -> None:
        if fault not in self.faults and len(self.faults) < MOST_FAULTS:
            self.faults.append(fault)

    def _in_segments(self) -> None:
        """Remember the results that workers have written."""
        for path in (self._folder / FOLDER).glob(f"*{ROWS}"):
            try:
                content = path.read_bytes()
            except FileNotFoundError:  # joined
                continue
            rows = list(csv.reader(io.StringIO(content[: content.rfind(b"\n") + 1].decode())))
            self._remember(dict(zip(rows[0], row, strict=True)) for row in rows[1:] if len(row) == len(rows[0]))

    def _remember(self, rows: Iterable[Row]) -> None:
        for row in rows:
            if row["status"] in store.RESULTS:
                self.results.setdefault(row["run_id"], row)

    def _by_bnbench(self, before: Mapping[str, Row]) -> None:
        """Read as reports do; all results of earlier looks must be there as they were."""
        rows = store.checked_rows(self._folder)
        for identity, row in before.items():
            self._compare(row, rows.get(identity, {}))
        runs, metrics = store.load_sweeps([self._folder])
        probes = store.load_probes(self._folder)
        if lost := before.keys() - set(runs.loc[runs["status"].isin(store.RESULTS), "run_id"]):
            self._tell(f"load_sweeps lacks results of {sorted(lost)[:3]}")
        self._once(runs, ["run_id"], "load_sweeps: runs")
        for series, frame in ((METRIC_SERIES, metrics), (PROBE_SERIES, probes)):
            self._once(frame, list(series.columns[: series.key]), f"bnbench reads of {series.file}")
            self._rows_stay(frame[frame["run_id"].isin(before)], series)

    def _rows_stay(self, frame: pd.DataFrame, series: Series) -> None:
        """Hold the rows of runs with a result against those of earlier looks, by a sum for each run."""
        rows = frame[list(series.columns)]
        sums = {
            str(name): int(one)
            for name, one in pd.util.hash_pandas_object(rows, index=False).groupby(frame["run_id"]).sum().items()
        }
        for identity, known in self._sums[series].items():
            if sums.get(identity) != known:
                self._tell(f"{series.file}: the rows of {identity}, which has a result, are other ones")
        self._sums[series] |= sums

    def _plainly(self) -> None:
        """Read as anybody does who knows of CSV files alone."""
        content = (self._folder / RUNS_TABLE).read_bytes()
        header, *cells = csv.reader(io.StringIO(content.decode()))
        rows = [dict(zip(header, row, strict=True)) for row in cells]
        lines = dict(zip((row["run_id"] for row in rows), content.splitlines()[1:], strict=True))
        for identity, line in self._lines.items():
            if lines.get(identity) != line:
                self._tell(f"runs.csv: the line of {identity} was {line!r}, is {lines.get(identity)!r}")
        self._lines |= {row["run_id"]: lines[row["run_id"]] for row in rows if row["status"] in store.RESULTS}
        self._remember(rows)
        self._once(pd.read_csv(self._folder / RUNS_TABLE), ["run_id"], RUNS_TABLE)
        for series in (METRIC_SERIES, PROBE_SERIES):
            self._series(series)

    def _series(self, series: Series) -> None:
        path = self._folder / series.file
        if not path.exists():
            if series.file in self._seen:
                self._tell(f"{series.file} is gone")
            return
        self._seen |= {RUNS_TABLE, series.file}
        content = path.read_bytes()
        cells = set(map(len, csv.reader(io.StringIO(content.decode()))))
        if not content.endswith(b"\n") or cells != {len(series.columns)}:
            self._tell(f"{series.file} has half a row")
        frame = pd.read_csv(path)
        if tuple(frame.columns) != series.columns:
            self._tell(f"{series.file} has the columns {list(frame.columns)}")
        self._once(frame, list(series.columns[: series.key]), series.file)

    def _compare(self, was: Row, now: Row) -> None:
        if changed := [column for column, cell in was.items() if now.get(column) != cell]:
            told = {column: (was[column], now.get(column)) for column in changed[:3]}
            self._tell(f"the result of {was['run_id']} is another: {told}")

    def _once(self, frame: pd.DataFrame, key: list[str], table: str) -> None:
        if (doubled := frame[frame.duplicated(key)]).size:
            self._tell(f"{table}: {doubled[key].iloc[0].to_dict()} is there more than once")
        if frame[key].isna().any(axis=None):
            self._tell(f"{table}: a row lacks one of {key}")
