"""Tables of a series as this version writes them: all lines have all cells, so that they can be read at once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

from bnbench.store.files import line
from bnbench.store.series import Series

if TYPE_CHECKING:  # slow to import, and not needed to write
    import pandas as pd


def is_regular(content: bytes, series: Series) -> bool:
    """True for a file with the columns of this version, without quotes, and with all cells in each whole line.

    Others may be right as well; they are read line by line, and what is wrong with them is found there.
    """
    header = _header(series)
    if not content.startswith(header) or content.find(header, 1) >= 0:
        return False
    return _lines(len(series.columns)).fullmatch(content, len(header)) is not None


@cache
def _header(series: Series) -> bytes:
    return line(series.columns).encode()


@cache
def _lines(cells: int) -> re.Pattern[bytes]:
    cell = rb'[^,"\r\n\0]*+'
    return re.compile(rb"(?:(?:%b,){%d}%b\n)*+" % (cell, cells - 1, cell))


def regular_runs(content: bytes, series: Series) -> set[str]:
    """The run_ids in a regular file."""
    cells = re.findall(rb"^[^,]*+", content[len(_header(series)) :], re.MULTILINE)
    return {cell.decode(errors="replace") for cell in dict.fromkeys(cells) if cell}


def in_order(frame: pd.DataFrame, runs: Iterable[str], series: Series) -> pd.DataFrame | None:
    """The rows of some runs, in their order and by step; None where a row is there twice."""
    if frame.duplicated(list(series.columns[: series.key])).any():
        return None
    places = frame["run_id"].map({identity: place for place, identity in enumerate(runs)})
    ordered = frame.assign(place=places)[places.notna()].sort_values(["place", "step"], kind="stable")
    return ordered.drop(columns="place").reset_index(drop=True)
