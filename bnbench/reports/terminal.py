"""Tables for a terminal or a pipe. A table wider than the terminal is broken into parts that repeat its row labels."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table as RichTable
from rich.text import Text

from bnbench.console import plain_console
from bnbench.reports.plain import plain_text
from bnbench.reports.view import Mark, Report, ReportView, Table
from bnbench.text import one_line

STYLES: dict[Mark, str] = {"": "", "best": "bold green", "baseline": "dim", "bad": "yellow"}
GAP = 1
PROSE = 30
"""Letters across a column of sentences."""
DEFAULT_WIDTH = 120


def render_terminal(report: Report, width: int = DEFAULT_WIDTH) -> str:
    """Write a report as plain text without colour."""
    console = plain_console(
        file=io.StringIO(), width=width, color_system=None, force_terminal=False, legacy_windows=False
    )
    with console.capture() as captured:
        print_report(report, console)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"


def print_report(report: Report, console: Console) -> None:
    """Print a report on a console, in colour if it has any: the summary, then the views."""
    if report.summary:
        for line in [_heading("Summary"), "", *_lines(report.summary)]:
            console.print(line)
    for number, view in enumerate(report.views):
        if number or report.summary:
            console.print()
        for part in _view(view, console.width):
            console.print(part)


def _view(view: ReportView, width: int) -> Iterator[RenderableType]:
    if view.title:
        yield _heading(view.title)
    for table in view.tables:
        if table.title:
            yield ""
            yield _text(table.title, "bold")
        for columns in split_columns(table, width):
            yield ""
            yield _table(table, columns)
        yield from _notes(table.notes)
    yield from _notes(view.notes, style="dim" if view.tables else "")
    for listing in view.listings:
        yield from ("", _text(listing.title, "bold"), "", *_as_it_is(listing.text))


def _heading(title: str) -> RenderableType:
    return Rule(_text(title, "bold"), align="left", characters="═", style="dim")


def _lines(sentences: Iterable[str]) -> Iterator[RenderableType]:
    for sentence in sentences:
        grid = RichTable.grid(padding=(0, 1, 0, 0))
        grid.add_row("-", _text(sentence))
        yield Padding(grid, (0, 0, 0, 2))


def _notes(notes: Iterable[str], style: str = "dim") -> Iterator[RenderableType]:
    for number, note in enumerate(notes):
        if number == 0:
            yield ""
        yield Padding(_text(note, style), (0, 0, 0, 2))


def _as_it_is(text: str) -> Iterator[RenderableType]:
    """A text line by line."""
    for line in text.splitlines():
        yield Padding(_text(line), (0, 0, 0, 2))


def _table(table: Table, columns: Sequence[int]) -> RichTable:
    grid = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for at in columns:
        column = table.columns[at]
        side: Literal["left", "right"] = "left" if column.left else "right"
        most = PROSE if column.prose else None
        grid.add_column(_text(column.title), justify=side, overflow="fold", max_width=most)
    for number, row in enumerate(table.rows):
        if number in table.sections:
            grid.add_section()
        grid.add_row(*(_text(plain_text(row[at]), STYLES[row[at].mark]) for at in columns))
    return grid


def split_columns(table: Table, width: int) -> list[list[int]]:
    """Divide a table's columns into parts that fit; each part starts with the key columns."""
    widths = [_width(table, at) for at in range(len(table.columns))]
    keys = [at for at, column in enumerate(table.columns) if column.key]
    room = width - sum(widths[at] for at in keys)
    parts: list[list[int]] = [[]]
    rest = room
    for at in (at for at in range(len(table.columns)) if at not in keys):
        if parts[-1] and widths[at] > rest:
            parts.append([])
            rest = room
        parts[-1].append(at)
        rest -= widths[at]
    return [keys + part for part in parts]


def _width(table: Table, at: int) -> int:
    texts = [table.columns[at].title, *(plain_text(row[at]) for row in table.rows)]
    width = max(cell_len(one_line(text)) for text in texts)
    return (min(width, PROSE) if table.columns[at].prose else width) + GAP + 1


def _text(text: str, style: str = "") -> Text:
    """A text with the escapes of control characters, which rich would leave out."""
    return Text(one_line(text), style=style)
