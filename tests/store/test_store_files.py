from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bnbench.store.files import LONGEST_CELL, RowAppender, leftovers, read_rows, replacing, text
from tests.conftest import RoomFor

COLUMNS = ("a", "b")
ROW = {"a": "1", "b": 'x, "y"'}


def write(path: Path, *rows: dict[str, Any]) -> None:
    appender = RowAppender(path, COLUMNS)
    appender.append(rows)
    appender.close()


@pytest.mark.parametrize("size", range(40))
def test_a_file_cut_anywhere_reads_whole_rows_and_is_written_on(tmp_path: Path, size: int) -> None:
    path = tmp_path / "rows.csv"
    write(path, ROW, ROW)
    content = path.read_bytes()
    path.write_bytes(content[:size])
    whole = max(0, content[:size].count(b"\n") - 1)
    assert list(read_rows(path)) == [ROW] * whole
    write(path, {"a": "2", "b": "z"})
    assert list(read_rows(path)) == [*[ROW] * whole, {"a": "2", "b": "z"}]
    assert path.read_bytes().startswith(b"a,b\n")


def test_a_line_torn_inside_a_quote_or_a_character_swallows_no_other(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b'a,b\n1,"x\n2,y\n\xc3\n3,z\n')
    assert [row["a"] for row in read_rows(path) if row["b"] in "yz"] == ["2", "3"]


def test_a_full_disk_leaves_no_part_of_a_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    appender = RowAppender(path, COLUMNS)
    stream = appender._stream

    class Full:
        room = 5

        def write(self, data: memoryview) -> int:
            if not self.room:
                raise OSError(28, "No space left on device")
            written = stream.write(data[: self.room])
            self.room = 0
            return written

        def __getattr__(self, name: str) -> Any:
            return getattr(stream, name)

    appender._stream = Full()  # type: ignore[assignment]
    with pytest.raises(OSError, match="No space"):
        appender.append([ROW])
    appender._stream = stream
    appender.append([{"a": "2", "b": "z"}])
    appender.close()
    assert list(read_rows(path)) == [{"a": "2", "b": "z"}]


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, ""),
        (True, "true"),
        (False, "false"),
        (0.1 + 0.2, "0.30000000000000004"),
        (np.float64(0.1), "0.1"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (12, "12"),
        ((0.5, 0.75), "0.5 0.75"),
        ((), ""),
        ("none", "none"),
        ("a\nb\r\nc\u2028d", "a / b / c / d"),
        ("x" * 1_000_000, "x" * LONGEST_CELL),
    ],
)
def test_text(value: Any, cell: str) -> None:
    assert text(value) == cell


def test_any_text_can_be_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    write(path, {"a": os.fsdecode(b"\xff"), "b": "\x00é'\"" * 200_000})
    (row,) = read_rows(path)
    assert row["a"] == "\\udcff"
    assert row["b"].startswith("\x00é'\"")


def test_replacing_puts_a_whole_file_or_none(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    with replacing(path) as stream:
        stream.write("first")
    with pytest.raises(RuntimeError), replacing(path) as stream:
        stream.write("second")
        assert [found.name for found in leftovers(path)] == [Path(stream.name).name]
        raise RuntimeError
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path: Path, room_for: RoomFor) -> None:
    path = tmp_path / "rows.csv"
    appender = RowAppender(path, COLUMNS)
    appender.append([ROW])
    before = path.read_bytes()
    with room_for(len(before) + 5), pytest.raises(OSError, match="too large") as caught:
        appender.append([ROW])
    appender.close()
    assert caught.value.filename == str(path)
    assert path.read_bytes() == before
    with room_for(10), pytest.raises(OSError, match="too large") as caught, replacing(path) as stream:
        stream.write("x" * 100)
    assert caught.value.filename == str(path)
    assert path.read_bytes() == before
