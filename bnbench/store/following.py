"""The segments of a sweep that trains: each look reads what was appended since the one before."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bnbench.errors import Damaged
from bnbench.paths import irregular
from bnbench.store.columns import IDENTITY
from bnbench.store.segment import segment_paths

COLUMNS = ("run_id", "status", "started_at")


@dataclass
class Story:
    """The rows of a segment in short.

    Attributes:
        running: the run_ids whose last row says that they run.
        ended: those whose last row says something else.
        began: when the last stack began, as it was written; empty if none did.
        latest: the run_ids of that stack.
        latest_ended: those that have ended since, whatever their stack.
        begins: whether the last row is one of those that say that this stack began.
    """

    running: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    began: str = ""
    latest: set[str] = field(default_factory=set)
    latest_ended: set[str] = field(default_factory=set)
    begins: bool = False

    def add(self, identity: str, status: str, started_at: str) -> None:
        """Go on with a row. The later one counts: a clock may go back, and a stack that goes on began long ago."""
        if status != "running":
            self.running.discard(identity)
            self.ended.add(identity)
            self.latest_ended.add(identity)
            self.begins = False
            return
        self.running.add(identity)
        self.ended.discard(identity)
        if not self.begins or started_at != self.began:
            self.began, self.latest, self.latest_ended, self.begins = started_at, set(), set(), True
        self.latest.add(identity)


@dataclass
class _Follower:
    """A file of rows, read up to a position."""

    path: Path
    position: int = 0
    columns: list[str] = field(default_factory=list)
    story: Story = field(default_factory=Story)

    def read_on(self) -> None:
        """Take in the whole rows that are new. Raises OSError or Damaged: there is nothing that can be told from."""
        status = self.path.stat()
        if irregular(status.st_mode):
            raise Damaged(self.path, "it must be a file")
        if status.st_size < self.position:  # a full disk has taken rows back
            self.position, self.columns, self.story = 0, [], Story()
        with self.path.open("rb") as stream:
            stream.seek(self.position)
            new = stream.read()
        whole = new[: new.rfind(b"\n") + 1]
        for cells in map(_cells, whole.splitlines()):
            if not self.columns:
                if not {*IDENTITY, *COLUMNS} <= {*cells}:
                    raise Damaged(self.path, "its first line lacks columns")
                self.columns = cells
            elif len(cells) == len(self.columns):
                self.story.add(*(cells[self.columns.index(column)] for column in COLUMNS))
        self.position += len(whole)


class Segments:
    """The segments of a sweep that trains.

    Args:
        folder: the sweep's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._followers: dict[Path, _Follower] = {}

    def look(self) -> Mapping[Path, Story]:
        """By its file of rows, what each segment says now that can be told from; a joined one is not there any more."""
        return dict(self._stories())

    def _stories(self) -> Iterator[tuple[Path, Story]]:
        paths = segment_paths(self._folder)
        self._followers = {path: self._followers.get(path, _Follower(path)) for path in paths}
        for path, follower in self._followers.items():
            try:
                follower.read_on()
            except (OSError, Damaged):
                continue
            yield path, follower.story


def _cells(whole_line: bytes) -> list[str]:
    text = whole_line.decode(errors="replace")
    try:
        return next(csv.reader([text]), []) if '"' in text else text.split(",")
    except csv.Error:
        return []
