"""What a report says, before anyone decides how it looks: the input of every output format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mark = Literal["", "best", "baseline", "bad"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One entry of a table: the text that people read, and the numbers behind it.

    Attributes:
        text: the entry as a person reads it, on one line.
        value: the raw value: an accuracy or a drop as a fraction, a count, a ratio, a label; None where there is none.
        spread: standard deviation over seeds, in the unit of ``value``.
        low: smallest value over seeds.
        high: largest value over seeds; infinite when a seed missed its target.
        n: seeds behind the value.
        mark: what a format may set off by colour or weight.
    """

    text: str
    value: float | str | None = None
    spread: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    mark: Mark = ""


@dataclass(frozen=True, slots=True)
class Column:
    """The head of a column; ``key`` columns tell what a row is, and are repeated where a wide table is broken up."""

    title: str
    key: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table with the notes that belong under it.

    Attributes:
        sections: indices of the rows before which a new group of rows begins (never 0).
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    sections: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportView:
    """One view of the results; without tables, its notes say why there is nothing to show."""

    title: str
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
