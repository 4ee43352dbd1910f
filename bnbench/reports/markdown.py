"""Markdown with GitHub tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from bnbench.reports.plain import plain_text
from bnbench.reports.view import Report, ReportView, Table
from bnbench.text import harmless, one_line

MARKUP = re.compile(
    r"[\\`*|&#~$@]|\](?=[(\[:])"
    r"|(?<![^\W_])_|_(?![^\W_])"  # batch_size is no emphasis
    r"|:(?=//)|(?<=www)\.|:(?=[\w+-]+:)",  # what GitHub makes links and emoji of
    re.IGNORECASE,
)
BEGINNING = re.compile(r"^(\d*)([-+.)](?=[\s+-]|$)|[>\[])")
"""A mark of a list, quotation or line at its begin; ``-0.5`` has none."""


def render_markdown(report: Report) -> str:
    """Write a report as Markdown: summary, views and provenance; a heading per view and table, notes as lists."""
    blocks = [block for view in report.views for block in _view(view)]
    summary = ["## Summary", _notes(report.summary)] if report.summary else []
    facts = [f"{name}: {text}" for name, text in report.provenance]
    provenance = ["## Provenance", _notes(facts)] if facts else []
    return "\n\n".join([*summary, *blocks, *provenance]) + "\n"


def _view(view: ReportView) -> Iterator[str]:
    yield f"## {escape(view.title)}"
    if not view.tables:
        yield _line(" ".join(view.notes))
        return
    for table in view.tables:
        yield f"### {escape(table.title)}"
        yield _table(table)
        if table.notes:
            yield _notes(table.notes)
    if view.notes:
        yield _notes(view.notes)
    for listing in view.listings:
        yield f"### {escape(listing.title)}"
        yield _as_it_is(listing.text)


def _table(table: Table) -> str:
    lines = [
        [escape(column.title) for column in table.columns],
        [":---" if column.left else "---:" for column in table.columns],
        *([escape(plain_text(cell)) for cell in row] for row in table.rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _as_it_is(text: str) -> str:
    """A text between fences that are longer than any that it holds."""
    fence = "`" * max([3, *(len(ticks) + 1 for ticks in re.findall("`+", text))])
    return f"{fence}python\n{harmless(text).rstrip()}\n{fence}"


def _notes(notes: Sequence[str]) -> str:
    return "\n".join(f"- {_line(note)}" for note in notes)


def _line(text: str) -> str:
    """A text with nothing in front of it, where a mark of a list or quotation would count."""
    return BEGINNING.sub(r"\1\\\2", escape(text))


def escape(text: str) -> str:
    """A text, on one line, so that Markdown reads it as just that text, in a cell or a heading.

    A control character becomes its escape, and blanks at the ends are lost.
    """
    text = one_line(text.strip())
    return MARKUP.sub(r"\\\g<0>", text).replace("<", "&lt;")
