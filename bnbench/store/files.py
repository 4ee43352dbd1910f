"""Writing so that a reader, at any moment and after any crash, sees only whole files and whole rows."""

from __future__ import annotations

import csv
import errno
import io
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any

from bnbench.errors import Damaged
from bnbench.paths import irregular
from bnbench.store.sharing import share
from bnbench.text import plural

LONGEST_CELL = 4000


def replacing(
    path: Path, sync: bool = True, check: Callable[[], None] = lambda: None
) -> AbstractContextManager[IO[str]]:
    """Write a whole text file under a temporary name, then put it in place at once.

    Args:
        sync: wait until it is on the disk; else a crash of the machine may leave an empty file.
        check: is called right before it is put in place; what it raises leaves the old one there.
    """
    return _replacing(path, "w", sync, check, newline="", encoding="utf-8", errors="backslashreplace")


def replacing_bytes(path: Path) -> AbstractContextManager[IO[bytes]]:
    """The same for a file that holds no text."""
    return _replacing(path, "wb", True, lambda: None)


@contextmanager
def _replacing(path: Path, mode: str, sync: bool, check: Callable[[], None], **encoding: str) -> Iterator[IO[Any]]:
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with naming(path), temporary.open(mode, **encoding) as stream:  # type: ignore[call-overload]
            share(temporary, replaced=path)
            yield stream
            stream.flush()
            if sync:
                os.fsync(stream.fileno())
        check()
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Say in an operating system's error, as of a full disk, which file it is about."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


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
        self._path, self._columns = path, columns
        path.touch()
        share(path)
        self._stream = path.open("r+b", buffering=0)
        try:
            with naming(path):
                if self._cut_torn_line() == 0:
                    self._write([columns])
        except BaseException:
            self._stream.close()
            raise

    def append(self, rows: Iterable[Mapping[str, Any]], sync: bool = False) -> None:
        """Append rows, all of them or, if that raises, none; ``sync`` waits until they are on the disk."""
        with naming(self._path):
            self._write([[text(row.get(column)) for column in self._columns] for row in rows])
            if sync:
                os.fsync(self._stream.fileno())

    def text(self) -> str:
        """All rows as they are in the file."""
        return self._path.read_bytes().partition(b"\n")[2].decode()

    def append_text(self, rows: str) -> None:
        """Append rows that :meth:`text` of such a file has told."""
        with naming(self._path):
            self._write_bytes(rows.encode())

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _write(self, rows: Sequence[Sequence[str]]) -> None:
        self._write_bytes("".join(line(row) for row in rows).encode(errors="backslashreplace"))

    def _write_bytes(self, content: bytes) -> None:
        rest = memoryview(content)
        start = self._stream.tell()
        try:
            while rest:  # a nearly full disk takes a part before it refuses
                rest = rest[self._stream.write(rest) :]
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


def read_rows(path: Path, needs: Sequence[str] = (), whole: bool = False) -> Iterator[dict[str, str]]:
    """The rows of a CSV file; a byte order mark, as spreadsheets write it, and empty lines are no rows.

    Args:
        needs: columns that it must have.
        whole: whether it was written at once, so that a torn row (no line end, or too few or too many cells) is damage;
            otherwise such a row is passed over.

    Raises:
        FileNotFoundError: there is no such file.
        Damaged: it is not such a file.
    """
    header: list[str] | None = None
    for number, whole_line in enumerate(whole_lines(path, whole), 1):
        cells = _cells(path, number, whole_line, whole)
        if header is None:
            header = cells
            if missing := [column for column in needs if column not in header]:
                raise Damaged(path, f"its first line has no column {missing[0]}")
            if twice := [column for column in header if header.count(column) > 1]:
                raise Damaged(path, f"its first line has column {twice[0]} twice")
        elif whole and cells == header:
            raise Damaged(path, f"line {number} is its first line again")
        elif cells and len(cells) == len(header):
            yield dict(zip(header, cells, strict=True))
        elif cells and whole:
            raise Damaged(path, f"line {number} has {plural(len(cells), 'cell')} instead of {len(header)}")
    if whole and header is None:
        raise Damaged(path, "it is empty")


def _cells(path: Path, number: int, whole_line: bytes, whole: bool) -> list[str]:
    """One line at a time, so that a torn quote swallows no other; nothing for one that cannot be read."""
    try:
        text = whole_line.decode(errors="strict" if whole else "replace")
        return next(csv.reader([text.removeprefix("\ufeff") if number == 1 else text]), [])
    except (UnicodeDecodeError, csv.Error) as error:
        if not whole:
            return []
        raise Damaged(path, f"line {number} cannot be read ({error})") from error


def content(path: Path) -> bytes:
    """The content of a file of a results folder at one moment.

    Raises:
        FileNotFoundError: there is no such file.
        Damaged: it is something else, such as a pipe, of which reading might never end, or a link that leads nowhere.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP) and path.is_symlink():
            raise Damaged(path, "it is a link that leads nowhere") from error
        raise
    if kind := irregular(mode):
        raise Damaged(path, f"it must be a file, and is a {kind}")
    return path.read_bytes()


def whole_lines(path: Path, whole: bool = False) -> list[bytes]:
    """The lines of a file at one moment, with their ends; a last line without an end is left out.

    Raises:
        FileNotFoundError: there is no such file.
        Damaged: the last line has no end, though the file was written at once (``whole``).
    """
    lines = content(path).splitlines(keepends=True)
    if lines and not lines[-1].endswith(b"\n"):
        if whole:
            raise Damaged(path, f"its end is missing (line {len(lines)} is cut off)")
        lines.pop()
    return lines


def check_file_place(path: Path) -> None:
    """Refuse to put a file in the place of anything else, such as a link, which may lead to somebody else's.

    Raises:
        Damaged: something else is there.
    """
    if not os.path.lexists(path):
        return
    if kind := "link" if path.is_symlink() else irregular(path.stat().st_mode):
        raise Damaged(path, f"it must be a file, and is a {kind}", "move it away")
