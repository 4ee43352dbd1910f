"""A segment: the rows of one worker process, which alone writes them. Segments are joined into the sweep's tables."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from bnbench.spec import RunSpec, as_tree, run_id
from bnbench.store.checkpoints import Checkpoint, remove_checkpoint, write_checkpoint
from bnbench.store.columns import SEGMENT
from bnbench.store.files import RowAppender, replacing
from bnbench.store.lock import writing
from bnbench.store.ownership import check_owner, owned_name, read_owner
from bnbench.store.series import METRIC_SERIES, PROBE_SERIES, Series
from bnbench.store.sharing import make_part
from bnbench.store.weights import weights_path, write_weights

FOLDER, SPECS, LOGS = "segments", "specs", "logs"
ROWS = ".runs.csv"


def nothing() -> None:
    """Do nothing."""


class Segment:
    """Writer of one worker's rows; a context manager. No join takes place until it is closed.

    The metrics and readings of a run are on the disk before its final row is: a final row vouches for them.
    It belongs to the process that opened it. A copy of that process (a plugin may fork) ends as soon as it gets here:
    it would write every row a second time.

    Args:
        folder: the sweep's folder.
        name: unique among the processes of all time that write to this folder.
        checkpoints: the folder in which checkpoints/ is; None is ``folder``.
        token: of the lease of the program for which it is written; empty where nobody has one. Its rows count as long
            as that program owns the sweep.
        before_checkpoint: is called before a checkpoint is written or removed.

    Raises:
        TakenOver: another program owns the sweep; so do ``start``, ``checkpoint``, ``remove_checkpoint``, ``weights``
            and ``log``, which write or remove files that runs have one of.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        checkpoints: Path | None = None,
        token: str = "",
        before_checkpoint: Callable[[], None] = nothing,
    ) -> None:
        self._folder = folder
        self._token = token
        self._checkpoints, self._before_checkpoint = checkpoints or folder, before_checkpoint
        self._process = os.getpid()
        with ExitStack() as resources:
            resources.enter_context(writing(folder))
            check_owner(folder, token)
            for sub in (FOLDER, SPECS):
                make_part(folder, sub)
            self._name = name = owned_name(name, token)
            self._metrics = resources.enter_context(self._open(METRIC_SERIES))
            self._readings: RowAppender | None = None
            self._told: dict[str, str] = {}
            runs = RowAppender(folder / FOLDER / f"{name}{ROWS}", SEGMENT)
            self._runs = resources.enter_context(closing(runs))
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
        self._check()
        write_specs(self._folder, specs)
        self._runs.append({"run_id": run_id(spec), "status": "running", **facts} for spec in specs)

    def evaluation(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append rows of METRICS columns, seen by readers at once."""
        self._end_copies()
        self._metrics.append(rows)

    def readings(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append rows of PROBES columns, seen by readers at once; without any there is no file for them."""
        self._end_copies()
        if rows:
            self._readings_file().append(rows)

    def finish(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append final rows of SEGMENT columns; when this returns, nothing can lose them."""
        self._end_copies()
        for rows_before in (self._metrics, self._readings):
            if rows_before is not None:
                rows_before.append((), sync=True)
        self._runs.append(rows, sync=True)

    def series(self) -> dict[str, str]:
        """The metrics and readings so far, as :meth:`restore_series` takes them."""
        return {"metrics": self._metrics.text(), "readings": "" if self._readings is None else self._readings.text()}

    def restore_series(self, texts: Mapping[str, str]) -> None:
        """Begin with the metrics and readings of a segment whose runs go on here: final rows vouch for one segment."""
        self._end_copies()
        self._metrics.append_text(texts["metrics"])
        if texts["readings"]:
            self._readings_file().append_text(texts["readings"])

    def checkpoint(self, checkpoint: Checkpoint, body: bytes) -> None:
        """Keep a checkpoint of the runs under checkpoints/."""
        self._check()
        self._before_checkpoint()
        write_checkpoint(self._checkpoints, checkpoint, body)

    def remove_checkpoint(self, name: str) -> None:
        """Remove a checkpoint, if it is there."""
        self._check()
        self._before_checkpoint()
        remove_checkpoint(self._checkpoints, name)

    def weights(self, identity: str, content: bytes) -> None:
        """Keep the weights of a run under weights/."""
        self._check()
        write_weights(self._folder, identity, content)

    def log(self, identity: str, text: str) -> None:
        """Keep a text (a traceback) under logs/, behind what was told here of the run before."""
        self._check()
        self._told[identity] = self._told.get(identity, "") + text
        make_part(self._folder, LOGS)
        with replacing(log_file(self._folder, identity)) as stream:
            stream.write(self._told[identity])

    def _readings_file(self) -> RowAppender:
        """The file of readings, which there is from the first ones on."""
        if self._readings is None:
            self._readings = self._resources.enter_context(self._open(PROBE_SERIES))
        return self._readings

    def _open(self, series: Series) -> closing[RowAppender]:
        return closing(RowAppender(self._folder / FOLDER / f"{self._name}.{series.file}", series.columns))

    def _check(self) -> None:
        self._end_copies()
        check_owner(self._folder, self._token)

    def _end_copies(self) -> None:
        if os.getpid() != self._process:
            os._exit(0)


def series_of_segment(path: Path, series: Series) -> Path:
    """The file of a series beside the rows of a segment."""
    return path.with_name(path.name.removesuffix(ROWS) + f".{series.file}")


def segment_paths(folder: Path) -> list[Path]:
    """The files of rows of the segments of a sweep that count."""
    owner = read_owner(folder)
    return [path for path in sorted((folder / FOLDER).glob(f"*{ROWS}")) if owner.owns(path.name)]


def files_of_run(folder: Path, identity: str) -> tuple[Path, ...]:
    """The places of the files that a sweep may have for a single run: its spec, its log and its weights."""
    return spec_file(folder, identity), log_file(folder, identity), weights_path(folder, identity)


def log_file(folder: Path, identity: str) -> Path:
    """The file in which a sweep keeps what is to be known of a run."""
    return folder / LOGS / f"{identity}.log"


def spec_path(folder: Path, spec: RunSpec) -> Path:
    """The file in which a sweep keeps the full spec of a run."""
    return spec_file(folder, run_id(spec))


def spec_file(folder: Path, identity: str) -> Path:
    """The same file by the run_id."""
    return folder / SPECS / f"{identity}.yaml"


def write_specs(folder: Path, specs: Iterable[RunSpec]) -> None:
    """Keep the full specs of runs, each in a file of its own.

    The disk is not waited for, which takes as long as a short run. A crash of the machine may leave an empty file:
    runs.csv holds all that was in it, and :func:`lacks_spec` tells.
    """
    make_part(folder, SPECS)
    texts: dict[tuple[str, str], str] = {}
    for spec in specs:
        parts = ((name, value, (name, repr(value))) for name, value in as_tree(spec).items())
        text = "".join(texts.get(key) or texts.setdefault(key, _as_yaml({name: value})) for name, value, key in parts)
        with replacing(spec_path(folder, spec), sync=False) as stream:
            stream.write(text)


def lacks_spec(folder: Path, identity: str) -> bool:
    """True for a run whose spec is not in its file."""
    try:
        return spec_file(folder, identity).stat().st_size == 0
    except FileNotFoundError:
        return True


def _as_yaml(tree: Mapping[str, Any]) -> str:
    try:
        return str(yaml.dump(tree, Dumper=_DUMPER, sort_keys=False))
    except UnicodeEncodeError:  # a path that is not UTF-8, which the C library cannot write
        return str(yaml.dump(tree, Dumper=yaml.SafeDumper, sort_keys=False))


_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
