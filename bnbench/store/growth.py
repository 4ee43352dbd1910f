"""The growth of a worker's folder on another machine: taken there, and put down in the sweep's folder.

A reader of the sweep's folder sees whole rows only, and a final row only behind all that it vouches for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bnbench.store.checkpoints import CHECKPOINTS
from bnbench.store.files import naming, sync_folder
from bnbench.store.lock import writing
from bnbench.store.segment import FOLDER, LOGS, ROWS, SPECS
from bnbench.store.series import METRIC_SERIES, PROBE_SERIES
from bnbench.store.sharing import make_part, share
from bnbench.store.weights import WEIGHTS, check_weights_place

BATCH = 2**26
"""Bytes that travel at once, roughly, and of a file at most."""


@dataclass(frozen=True)
class Piece:
    """A part of a file.

    Attributes:
        part: the folder in the sweep's folder that has the file.
        name: of the file.
        start: where the piece begins.
        content: of tables whole lines, of other files any bytes.
        is_last: of a file that is no table: the last of its pieces, with which it takes the place of an earlier one.
    """

    part: str
    name: str
    start: int
    content: bytes
    is_last: bool = False


Growth = tuple[Piece, ...]
"""Pieces in the order in which they are put down: final rows behind what they vouch for."""


@dataclass
class Watcher:
    """Takes the growth of a worker's folder, bit by bit.

    Attributes:
        folder: of the worker, who alone writes there.
    """

    folder: Path
    _taken: dict[str, int] = field(default_factory=dict)
    _seen: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def take(self) -> Iterator[Growth]:
        """The growth since it was taken last, some of it at a time; final rows are read first and given last."""
        rows = list(self._lines(ROWS))
        series = [piece for one in (METRIC_SERIES, PROBE_SERIES) for piece in self._lines(f".{one.file}")]
        batch: list[Piece] = []
        for piece in (*series, *self._files(), *rows):
            if batch and sum(len(one.content) for one in batch) + len(piece.content) > BATCH:
                yield tuple(batch)
                batch = []
            batch.append(piece)
        if batch:
            yield tuple(batch)

    def _lines(self, ending: str) -> Iterator[Piece]:
        """The new whole lines of tables."""
        for path in sorted((self.folder / FOLDER).glob(f"*{ending}")):
            start = self._taken.get(path.name, 0)
            with path.open("rb") as stream:
                stream.seek(start)
                content = stream.read()
            content = content[: content.rfind(b"\n") + 1]
            if content:
                self._taken[path.name] = start + len(content)
                yield Piece(FOLDER, path.name, start, content)

    def _files(self) -> Iterator[Piece]:
        """The new or changed whole files; temporary ones are hidden."""
        for part in (SPECS, LOGS, WEIGHTS, CHECKPOINTS):
            for path in sorted((self.folder / part).glob("[!.]*")):
                try:
                    status = path.stat()
                except FileNotFoundError:  # a checkpoint goes when its runs have ended
                    continue
                version = status.st_mtime_ns, status.st_ino
                if self._seen.get(path) != version:
                    self._seen[path] = version
                    yield from _pieces(part, path)


def _pieces(part: str, path: Path) -> Iterator[Piece]:
    """The pieces of a whole file."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        for start in range(0, max(size, 1), BATCH):
            yield Piece(part, path.name, start, stream.read(BATCH), start + BATCH >= size)


def put_down(folder: Path, growth: Sequence[Piece]) -> None:
    """Add the growth of a worker's folder to a sweep; what is there already changes nothing.

    Raises:
        Gone: the sweep's folder is not there.
        BnbenchError: its results are being joined.
    """
    with writing(folder):
        for piece in growth:
            path = make_part(folder, piece.part) / piece.name
            if piece.part == FOLDER:
                _write(path, piece)
                continue
            coming = path.with_name(f".{path.name}.coming.tmp")
            _write(coming, piece)
            if piece.is_last:
                if piece.part in (WEIGHTS, CHECKPOINTS):
                    check_weights_place(path)
                share(coming, replaced=path)
                coming.replace(path)
                sync_folder(path.parent)


def _write(path: Path, piece: Piece) -> None:
    """Write a piece at its place; when this returns, nothing can lose it."""
    with naming(path), os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b", buffering=0) as stream:
        share(path)
        assert stream.seek(0, os.SEEK_END) >= piece.start, "pieces come in order"
        stream.seek(piece.start)
        rest = memoryview(piece.content)
        while rest:
            rest = rest[stream.write(rest) :]
        if piece.part != FOLDER:
            stream.truncate()  # of what an earlier attempt has left
        os.fsync(stream.fileno())
