"""Writing so that a reader, at any moment and after any crash, sees only whole files and whole rows."""

from __future__ import annotations

import csv
import errno
import io
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

LONGEST_CELL = 4000


@contextmanager
def replacing(path: Path) -> Iterator[IO[str]]:
    """Write a whole file under a temporary name, then put it in place at once."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def leftovers(path: Path) -> Iterator[Path]:
    """The temporary files of those who died while replacing ``path``; its last part may be a pattern."""
    return path.parent.glob(f".{path.name}.*.tmp")


def sync_folder(folder: Path) -> None:
    """Wait until the names of the folder's files are on the disk, if its file system can tell."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


class RowAppender:
    """Appends whole rows to a CSV file that nobody else writes; a torn line that a crash left is cut off first."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._columns = columns
        path.touch()
        self._stream = path.open("r+b", buffering=0)
        try:
            if self._cut_torn_line() == 0:
                self._write([columns])
        except BaseException:
            self._stream.close()
            raise

    def append(self, rows: Iterable[Mapping[str, Any]], sync: bool = False) -> None:
        """Append rows, all of them or, if that raises, none; ``sync`` waits until they are on the disk."""
        self._write([[text(row.get(column)) for column in self._columns] for row in rows])
        if sync:
            os.fsync(self._stream.fileno())

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _write(self, rows: Sequence[Sequence[str]]) -> None:
        left = memoryview("".join(line(row) for row in rows).encode(errors="backslashreplace"))
        start = self._stream.tell()
        try:
            while left:  # a nearly full disk takes a part before it refuses
                left = left[self._stream.write(left) :]
        except OSError:
            self._stream.truncate(start)
            self._stream.seek(start)
            raise

    def _cut_torn_line(self) -> int:
        """Leave the file at the end of its last whole line, and say where that is."""
        size = self._stream.seek(0, os.SEEK_END)
        if size:
            self._stream.seek(-1, os.SEEK_END)
            if self._stream.read(1) != b"\n":
                self._stream.seek(0)
                size = self._stream.readall().rfind(b"\n") + 1
                self._stream.truncate(size)
        return self._stream.seek(size)


def line(cells: Sequence[str]) -> str:
    """One CSV line with its end."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue()


def text(value: Any) -> str:
    """A cell: empty for None, ``true`` and ``false``, floats so that they read back exactly, never a line break."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case float():
            return float.__repr__(value)
        case tuple():
            return " ".join(text(item) for item in value)
        case _:
            return " / ".join(str(value).splitlines())[:LONGEST_CELL]


def read_rows(path: Path) -> Iterator[dict[str, str]]:
    """The whole rows of a CSV file; a torn row (no line end, or too few or too many cells) is passed over.

    Raises:
        FileNotFoundError: there is no such file.
    """
    header: list[str] | None = None
    for whole_line in whole_lines(path):
        (cells,) = csv.reader([whole_line.decode(errors="replace")])  # by line: a torn quote must not swallow others
        if header is None:
            header = cells
        elif len(cells) == len(header):
            yield dict(zip(header, cells, strict=True))


def whole_lines(path: Path) -> list[bytes]:
    """The lines of a file at one moment, with their ends; a last line without an end is left out.

    Raises:
        FileNotFoundError: there is no such file.
    """
    lines = path.read_bytes().splitlines(keepends=True)
    return lines[:-1] if lines and not lines[-1].endswith(b"\n") else lines
