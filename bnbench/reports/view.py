"""A report before anyone decides how it looks: numbers, figures and notes, the input of every output format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from bnbench.figures import Figure

if TYPE_CHECKING:
    import pandas as pd

Mark = Literal["", "best", "baseline", "bad"]
Unit = Literal[
    "plain", "percent", "signed percent", "lr", "lr range", "count", "magnitude", "ratio", "share", "decades", "nats"
]


@dataclass(frozen=True, slots=True)
class Cell:
    """One entry of a table: numbers, from which each output format makes its text.

    Attributes:
        value: an accuracy or a drop as a fraction, a count, a ratio, a label; None where there is none.
        unit: of the numbers, which says how they are written: ``percent`` for fractions, ``share`` for hits of ``n``,
            ``magnitude`` for large counts, ``lr range`` for ``low`` to ``high``.
        spread: standard deviation over seeds, in the unit of ``value``.
        low: smallest value over seeds, or the lower end of a range.
        high: largest value over seeds, or the upper end; infinite when a seed missed its target, or nothing bounds it.
        n: seeds behind the value.
        digits: significant digits that tell a learning rate from its neighbours.
        bound: the sign in front of a value that is a lower bound.
        words: a few words in place of the number: ``div 3/3``, ``n/a``.
        remarks: a few words each, behind the number: ``edge``, ``n=2``.
        mark: what a format may set off by colour or weight.
        where: the settings of the runs behind the number, by column of runs.csv, as texts that ``bnbench ls`` takes as
            filters: ``{"norm": "batch", "lr": "0.1"}``; several texts have commas between them. Empty for names, and
            for what is computed from other entries, such as a speed-up.
    """

    value: float | str | None = None
    unit: Unit = "plain"
    spread: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    digits: int = 3
    bound: Literal["", ">", ">="] = ""
    words: str = ""
    remarks: tuple[str, ...] = ()
    mark: Mark = ""
    where: Mapping[str, str] = field(default_factory=dict)


NOTHING = Cell()


@dataclass(frozen=True, slots=True)
class Column:
    """The head of a column.

    Attributes:
        key: it tells what a row is, and is repeated where a wide table is broken up.
        prose: it holds sentences, which are wrapped.
    """

    title: str
    key: bool = False
    prose: bool = False

    @property
    def left(self) -> bool:
        """True for names and sentences, whose lines begin below each other; numbers end so."""
        return self.key or self.prose


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
class Listing:
    """A source that is shown as it is, line by line, and never run."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class ReportView:
    """One view of the results; without tables and figures, its notes say why there is nothing to show.

    Attributes:
        sentences: its most important results, for the summary of the report.
        listings: texts for whoever wants to look closer; LaTeX and CSV are without them.
    """

    title: str
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    figures: Sequence[Figure] = ()
    sentences: tuple[str, ...] = ()
    listings: tuple[Listing, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """All that is said of some sweeps, or of a scorecard: the same for every format.

    Attributes:
        title: the names of the sweeps.
        summary: the most important results, a plain sentence each.
        views: in the order in which they are shown.
        provenance: where the numbers come from, as name and text: sweeps, versions, devices, times, the command.
        runs: one line per run, as ``load_sweeps`` reads them, with ``sweep``; None where there are none to list.
    """

    title: str
    summary: tuple[str, ...]
    views: tuple[ReportView, ...]
    provenance: tuple[tuple[str, str], ...] = ()
    runs: pd.DataFrame | None = None
