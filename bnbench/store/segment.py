"""A segment: the rows of one worker process, which alone writes them. Segments are joined into the sweep's tables."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from bnbench.spec import RunSpec, as_tree, run_id
from bnbench.store.columns import METRICS, SEGMENT
from bnbench.store.files import RowAppender, replacing
from bnbench.store.lock import writing

FOLDER, SPECS, LOGS = "segments", "specs", "logs"
ROWS = ".runs.csv"
METRIC_ROWS = ".metrics.csv"


class Segment:
    """Writer of one worker's rows; a context manager. No join takes place until it is closed.

    The metrics of a run are on the disk before its final row is: a final row vouches for them.
    It belongs to the process that opened it. A copy of that process (a plugin may fork) ends as soon as it gets here:
    it would write every row a second time.

    Args:
        folder: the sweep's folder.
        name: unique among the processes of all time that write to this folder.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._owner = os.getpid()
        with ExitStack() as resources:
            resources.enter_context(writing(folder))
            for sub in (FOLDER, SPECS):
                (folder / sub).mkdir(exist_ok=True)
            files = folder / FOLDER
            self._metrics = resources.enter_context(closing(RowAppender(files / f"{name}{METRIC_ROWS}", METRICS)))
            self._runs = resources.enter_context(closing(RowAppender(files / f"{name}{ROWS}", SEGMENT)))
            self._resources = resources.pop_all()

    def __enter__(self) -> Segment:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_copies()
        self._resources.close()

    def start(self, specs: Sequence[RunSpec], facts: Mapping[str, Any]) -> None:
        """Say that runs have begun, and keep their full specs."""
        self._end_copies()
        for spec in specs:
            write_spec(self._folder, spec)
        self._runs.append({"run_id": run_id(spec), "status": "running", **facts} for spec in specs)

    def evaluation(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append rows of METRICS columns, seen by readers at once."""
        self._end_copies()
        self._metrics.append(rows)

    def finish(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append final rows of SEGMENT columns; when this returns, nothing can lose them."""
        self._end_copies()
        self._metrics.append((), sync=True)
        self._runs.append(rows, sync=True)

    def log(self, identity: str, text: str) -> None:
        """Keep a text (a traceback) under logs/."""
        self._end_copies()
        (self._folder / LOGS).mkdir(exist_ok=True)
        with replacing(self._folder / LOGS / f"{identity}.log") as stream:
            stream.write(text)

    def _end_copies(self) -> None:
        if os.getpid() != self._owner:
            os._exit(0)


def spec_path(folder: Path, spec: RunSpec) -> Path:
    """Where a sweep keeps the full spec of a run."""
    return folder / SPECS / f"{run_id(spec)}.yaml"


def write_spec(folder: Path, spec: RunSpec) -> None:
    """Keep the full spec of a run."""
    path = spec_path(folder, spec)
    path.parent.mkdir(exist_ok=True)
    with replacing(path) as stream:
        yaml.dump(as_tree(spec), stream, Dumper=_DUMPER, sort_keys=False)


_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
