"""An index of all results of a results folder: which sweep has the result of a run."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from bnbench.errors import Damaged
from bnbench.store.columns import RESULTS
from bnbench.store.files import content, read_rows
from bnbench.store.segment import segment_paths
from bnbench.store.state import RUNS_TABLE

HEAD = b"run_id,status,"
"""The beginning of each table of runs as it is written here; one saved by another program may have another."""
DIGITS = 12
"""Letters of a run_id."""
ENDINGS = tuple(f",{status},".encode() for status in sorted(RESULTS))


class Found(NamedTuple):
    """The place of a result: a sweep's folder, and the status of the run there."""

    folder: Path
    status: str


@dataclass
class ResultIndex:
    """The results of all sweeps of a folder; a table is read again only once it has changed.

    Damaged sweeps are passed over: whoever takes a result from a sweep checks it as a whole.

    Attributes:
        results: the folder of the sweeps.
    """

    results: Path
    _tables: dict[Path, tuple[tuple[int, int, int], dict[str, str]]] = field(default_factory=dict)

    def find(self, wanted: Collection[str], outside: Path) -> dict[str, Found]:
        """The first sweep by name that has a result, by run_id.

        Args:
            wanted: run_ids.
            outside: the folder of a sweep that is not looked into.
        """
        found: dict[str, Found] = {}
        missing = set(wanted)
        for folder in self._folders():
            if not missing or folder == outside:
                continue
            statuses = self._statuses(folder)
            here = {identity: Found(folder, statuses[identity]) for identity in missing & statuses.keys()}
            found |= here
            missing -= here.keys()
        return {identity: found[identity] for identity in wanted if identity in found}

    def _folders(self) -> list[Path]:
        try:
            return sorted(path for path in self.results.iterdir() if path.is_dir())
        except OSError:
            return []

    def _statuses(self, folder: Path) -> dict[str, str]:
        """The results of a sweep; the segments of one that is trained first, as a join moves them into the table."""
        whole: dict[str, str] = {}
        for path in [*segment_paths(folder), folder / RUNS_TABLE]:
            try:
                whole |= self._table(path)
            except (OSError, Damaged):
                continue
        return whole

    def _table(self, path: Path) -> dict[str, str]:
        status = path.stat()
        signature = (status.st_ino, status.st_size, status.st_mtime_ns)
        if path not in self._tables or self._tables[path][0] != signature:
            self._tables[path] = signature, dict(_results(path))
        return self._tables[path][1]


def _results(path: Path) -> Iterator[tuple[str, str]]:
    """The run_id and the status of each result in a table, by the beginnings of its whole lines alone."""
    text = content(path)
    if not text.startswith(HEAD):
        yield from ((row["run_id"], row["status"]) for row in read_rows(path, ("run_id", "status")) if _counts(row))
        return
    for line in text[: text.rfind(b"\n") + 1].splitlines():
        if line.startswith(ENDINGS, DIGITS):
            yield line[:DIGITS].decode(errors="replace"), line[DIGITS + 1 :].partition(b",")[0].decode()


def _counts(row: dict[str, str]) -> bool:
    return row["status"] in RESULTS
