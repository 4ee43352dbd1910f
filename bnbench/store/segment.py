"""A segment: the rows of one worker process, which alone writes them. Segments are joined into the sweep's tables."""

from __future__ import annotations

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

FOLDER = "segments"
ROWS = ".runs.csv"
METRIC_ROWS = ".metrics.csv"


class Segment:
    """Writer of one worker's rows; a context manager. No join takes place until it is closed.

    The metrics of a run are on the disk before its final row is: a final row vouches for them.

    Args:
        folder: the sweep's folder.
        name: unique among the processes of all time that write to this folder.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        with ExitStack() as resources:
            resources.enter_context(writing(folder))
            for sub in (FOLDER, "specs"):
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
        self._resources.close()

    def start(self, specs: Sequence[RunSpec], facts: Mapping[str, Any]) -> None:
        """Say that runs have begun, and keep their full specs."""
        for spec in specs:
            with replacing(self._folder / "specs" / f"{run_id(spec)}.yaml") as stream:
                yaml.dump(as_tree(spec), stream, Dumper=_DUMPER, sort_keys=False)
        self._runs.append({"run_id": run_id(spec), "status": "running", **facts} for spec in specs)

    def evaluation(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append rows of METRICS columns, seen by readers at once."""
        self._metrics.append(rows)

    def finish(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append final rows of SEGMENT columns; when this returns, nothing can lose them."""
        self._metrics.append((), sync=True)
        self._runs.append(rows, sync=True)

    def log(self, identity: str, text: str) -> None:
        """Keep a text (a traceback) under logs/."""
        (self._folder / "logs").mkdir(exist_ok=True)
        with replacing(self._folder / "logs" / f"{identity}.log") as stream:
            stream.write(text)


_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
