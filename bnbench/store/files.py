"""Writing so that a reader, at any moment and after any crash, sees only whole files and whole rows."""

from __future__ import annotations

import csv
import io
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


@contextmanager
def replacing(path: Path) -> Iterator[IO[str]]:
    """Write a whole file under a temporary name, then put it in place at once."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with temporary.open("w", newline="", encoding="utf-8") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


class RowAppender:
    """Appends whole rows to a CSV file, each call in one write; a torn line that a crash left is closed first."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._columns = columns
        self._stream = path.open("ab", buffering=0)
        if self._stream.tell() == 0:
            self._write([columns])
        elif not path.read_bytes().endswith(b"\n"):
            self._stream.write(b"\n")

    def append(self, rows: Iterable[Mapping[str, Any]], sync: bool = False) -> None:
        """Append rows; ``sync`` waits until they are on the disk."""
        self._write([[text(row.get(column)) for column in self._columns] for row in rows])
        if sync:
            os.fsync(self._stream.fileno())

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _write(self, rows: Sequence[Sequence[str]]) -> None:
        self._stream.write("".join(line(row) for row in rows).encode())


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
            return repr(value)
        case tuple():
            return " ".join(text(item) for item in value)
        case _:
            return " / ".join(str(value).splitlines())


def read_rows(path: Path) -> Iterator[dict[str, str]]:
    """The whole rows of a CSV file; a torn row (no line end, or too few or too many cells) is passed over."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    lines = content[: content.rfind(b"\n") + 1].decode().splitlines()
    reader = csv.reader(lines)
    header = next(reader, None)
    for cells in reader:
        if header is not None and len(cells) == len(header):
            yield dict(zip(header, cells, strict=True))
