"""Markdown with GitHub tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bnbench.reports.view import ReportView, Table


def render_markdown(views: Sequence[ReportView]) -> str:
    """Write views as Markdown: a heading per view and table, notes as lists."""
    return "\n\n".join(block for view in views for block in _view(view)) + "\n"


def _view(view: ReportView) -> Iterator[str]:
    yield f"## {escape(view.title)}"
    if not view.tables:
        yield escape(" ".join(view.notes))
        return
    for table in view.tables:
        yield f"### {escape(table.title)}"
        yield _table(table)
        if table.notes:
            yield _notes(table.notes)
    if view.notes:
        yield _notes(view.notes)


def _table(table: Table) -> str:
    lines = [
        [escape(column.title) for column in table.columns],
        [":---" if column.key else "---:" for column in table.columns],
        *([escape(cell.text) for cell in row] for row in table.rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _notes(notes: Sequence[str]) -> str:
    return "\n".join(f"- {escape(note)}" for note in notes)


def escape(text: str) -> str:
    """Keep characters that Markdown would read as markup."""
    for character in "\\|*`":
        text = text.replace(character, f"\\{character}")
    return text.replace("<", "&lt;").replace("\n", " ")
