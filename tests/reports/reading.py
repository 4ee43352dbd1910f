"""Look entries of a view up by name."""

from __future__ import annotations

from bnbench.reports import plain_text
from bnbench.reports.view import Cell, ReportView, Table


def lookup(table: Table) -> dict[str, dict[str, Cell]]:
    """Rows by their joined labels, entries by column title."""
    titles = [column.title for column in table.columns]
    keys = sum(column.key for column in table.columns)
    return {
        " | ".join(plain_text(cell) for cell in row[:keys]): dict(zip(titles, row, strict=True)) for row in table.rows
    }


def all_notes(view: ReportView) -> str:
    """Every note of a view."""
    return "\n".join([*view.notes, *(note for table in view.tables for note in table.notes)])
