"""The growth of a worker's folder on another machine: taken there, and put down in the sweep's folder.

A reader of the sweep's folder sees whole rows only, a final row only behind all that it vouches for, and a checkpoint
only behind the final rows that were written before it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import IO

from bnbench.store.checkpoints import CHECKPOINTS, ENDING, checkpoint_path
from bnbench.store.files import check_file_place, naming, sync_folder
from bnbench.store.lock import writing
from bnbench.store.ownership import check_owner, owned_name
from bnbench.store.segment import FOLDER, LOGS, ROWS, SPECS
from bnbench.store.series import METRIC_SERIES, PROBE_SERIES
from bnbench.store.sharing import make_part, share
from bnbench.store.weights import WEIGHTS

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
        is_removal: the file is no more.
    """

    part: str
    name: str
    start: int
    content: bytes
    is_last: bool = False
    is_removal: bool = False


Growth = tuple[Piece, ...]
"""Pieces in the order in which they are put down: final rows behind what they vouch for, checkpoints behind both."""


@dataclass
class Watcher:
    """Takes the growth of a worker's folder, bit by bit.

    Attributes:
        folder: of the worker, who alone writes there.
    """

    folder: Path
    _taken: dict[str, int] = field(default_factory=dict)
    _seen: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def take(self) -> Generator[Growth, None, None]:
        """The growth since it was taken last, some of it at a time; it all comes again if this is not asked to its end.

        Final rows are read before what they vouch for, and given behind it. So are checkpoints with these rows: who
        knows of a checkpoint, or that there is none any more, knows of all results that there were before.
        """
        with ExitStack() as streams, self._taken_back_unless_whole():
            there = self._checkpoints(streams)
            rows = list(self._lines(ROWS))
            series = [piece for one in (METRIC_SERIES, PROBE_SERIES) for piece in self._lines(f".{one.file}")]
            yield from _batches(chain(series, self._files(), rows, self._changed(there), self._removals(there)))

    @contextmanager
    def _taken_back_unless_whole(self) -> Iterator[None]:
        """Count what a block takes as not taken if it is left early; what comes twice changes nothing."""
        before = dict(self._taken), dict(self._seen)
        try:
            yield
        except BaseException:  # as that of a generator that is closed
            self._taken, self._seen = before
            raise

    def _checkpoints(self, streams: ExitStack) -> dict[Path, IO[bytes]]:
        """The checkpoints as they are at this moment, open: each may go, or be replaced, at the next one."""
        there: dict[Path, IO[bytes]] = {}
        for path in sorted((self.folder / CHECKPOINTS).glob(f"[!.]*{ENDING}")):
            with suppress(FileNotFoundError):
                there[path] = streams.enter_context(path.open("rb"))
        return there

    def _changed(self, there: Mapping[Path, IO[bytes]]) -> Iterator[Piece]:
        """The new or changed checkpoints."""
        for path, stream in there.items():
            if self._is_new(path, os.fstat(stream.fileno())):
                yield from _pieces(CHECKPOINTS, path.name, stream)

    def _removals(self, there: Collection[Path]) -> Iterator[Piece]:
        """The checkpoints that are no more."""
        for path in [path for path in self._seen if path.parent.name == CHECKPOINTS and path not in there]:
            del self._seen[path]
            yield Piece(CHECKPOINTS, path.name, 0, b"", is_removal=True)

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
        for part in (SPECS, LOGS, WEIGHTS):
            for path in sorted((self.folder / part).glob("[!.]*")):
                with path.open("rb") as stream:
                    if self._is_new(path, os.fstat(stream.fileno())):
                        yield from _pieces(part, path.name, stream)

    def _is_new(self, path: Path, status: os.stat_result) -> bool:
        """True for a file that is not as it was seen last; it counts as seen then."""
        version = status.st_mtime_ns, status.st_ino
        is_new = self._seen.get(path) != version
        self._seen[path] = version
        return is_new


def luggage(folder: Path, checkpoint: str) -> Growth:
    """A checkpoint as it travels to where its runs go on; nothing if it is not there."""
    try:
        with checkpoint_path(folder, checkpoint).open("rb") as stream:
            return tuple(_pieces(CHECKPOINTS, f"{checkpoint}{ENDING}", stream))
    except FileNotFoundError:
        return ()


def _pieces(part: str, name: str, stream: IO[bytes]) -> Iterator[Piece]:
    """The pieces of a whole file."""
    size = os.fstat(stream.fileno()).st_size
    for start in range(0, max(size, 1), BATCH):
        yield Piece(part, name, start, stream.read(BATCH), start + BATCH >= size)


def _batches(pieces: Iterable[Piece]) -> Iterator[Growth]:
    """Pieces as they travel together."""
    batch: list[Piece] = []
    for piece in pieces:
        if batch and sum(len(one.content) for one in batch) + len(piece.content) > BATCH:
            yield tuple(batch)
            batch = []
        batch.append(piece)
    if batch:
        yield tuple(batch)


def put_down(folder: Path, growth: Sequence[Piece], token: str = "") -> None:
    """Add the growth of a worker's folder to a sweep; what is there already changes nothing.

    Args:
        token: of the lease of the program that does so, as of :class:`bnbench.store.Segment`.

    Raises:
        TakenOver: another program owns the sweep.
        Gone: the sweep's folder is not there.
        BnbenchError: its results are being joined.
    """
    with writing(folder):
        check_owner(folder, token)
        for piece in growth:
            path = make_part(folder, piece.part) / piece.name
            if piece.part == FOLDER:
                _write(path.with_name(owned_name(piece.name, token)), piece)
                continue
            if piece.is_removal:
                path.unlink(missing_ok=True)
                continue
            coming = path.with_name(f".{path.name}.coming.tmp")
            _write(coming, piece)
            if piece.is_last:
                if piece.part in (WEIGHTS, CHECKPOINTS):
                    check_file_place(path)
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
