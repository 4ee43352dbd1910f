"""Tables for LaTeX, with booktabs and siunitx: a fragment for a paper, which no name can break."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count

from bnbench.reports.latex_text import escape, numbers
from bnbench.reports.plain import plain_text
from bnbench.reports.terminal import split_columns
from bnbench.reports.view import Cell, Report, ReportView, Table
from bnbench.text import one_line, plural

PREAMBLE = (
    r"Needs in the preamble: \usepackage[T1]{fontenc} \usepackage{booktabs} \usepackage{graphicx} \usepackage{siunitx}"
)
SETTINGS = (
    r"\sisetup{group-separator={,}, group-minimum-digits=4, mode=text, detect-weight=true, retain-explicit-plus=true}"
)
FIT = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
"""The beginning of a box that is made smaller where it is wider than the text."""
WIDTH, LINES = 120, 30
"""Letters across, and rows down, of a table that is not broken up."""
LONG = 40
"""Letters of a name that is not wrapped."""


def render_latex(report: Report) -> str:
    """Write a report as LaTeX: a ``table`` for each part of each table; what is no table of it, as comments."""
    told = [
        f"bnbench: {report.title}",
        PREAMBLE,
        *report.summary,
        *(f"{name}: {text}" for name, text in report.provenance),
    ]
    blocks = ["\n".join(map(_comment, told))]
    labels = (f"tab:bnbench-{number}" for number in count(1))
    for view in report.views:
        blocks += [_float(view, table, part, next(labels)) for table in view.tables for part in _parts(table)]
        if view.notes:
            blocks.append(_paragraph([*([] if view.tables else [f"{view.title}:"]), *view.notes]))
    return "\n\n".join(blocks) + "\n"


def _comment(text: str) -> str:
    return f"% {one_line(text)}"


def _paragraph(notes: Sequence[str]) -> str:
    return "\n".join([r"{\noindent\footnotesize\raggedright", *map(escape, notes), r"\par}"])


Part = tuple[Sequence[int], range]
"""Columns and rows of a table that stand together."""


def _parts(table: Table) -> Iterator[Part]:
    """Parts of a table that fit on a page; without rows there is one."""
    for columns in split_columns(table, WIDTH):
        for start in range(0, max(len(table.rows), 1), LINES):
            yield columns, range(start, min(start + LINES, len(table.rows)))


def _float(view: ReportView, table: Table, part: Part, label: str) -> str:
    columns, rows = part
    last = rows.stop == len(table.rows) and columns[-1] == len(table.columns) - 1
    first = rows.start == 0 and list(columns) == list(range(len(columns)))
    lines = [
        r"\begin{table}[htbp]",
        r"\centering\small",
        SETTINGS,
        rf"\caption{{{_caption(view, table, first)}}}",
        rf"\label{{{label}}}",
        FIT,
        *_tabular(table, part),
        "}",
        *(_below(table.notes) if last and table.notes else []),
        r"\end{table}",
    ]
    return "\n".join(lines)


def _caption(view: ReportView, table: Table, first: bool) -> str:
    """The title, and the number of seeds behind a number; what is not the first part goes on."""
    if not first:
        return escape(f"{view.title}: {table.title} (continued).")
    seeds = {cell.n for row in table.rows for cell in row if cell.n}
    most = max(seeds, default=0)
    behind = f" Each number is of {'' if len(seeds) == 1 else 'at most '}{plural(most, 'seed')}." if most else ""
    return escape(f"{view.title}: {table.title}.{behind}")


def _tabular(table: Table, part: Part) -> Iterator[str]:
    columns, rows = part
    kinds = "".join("l" if table.columns[at].left else "r" for at in columns)
    yield rf"\begin{{tabular}}{{@{{}}{kinds}@{{}}}}"
    yield r"\toprule"
    yield _line([escape(table.columns[at].title) for at in columns])
    yield r"\midrule"
    for number in rows:
        if number in table.sections and number != rows.start:
            yield r"\addlinespace"
        yield _line([_entry(table.rows[number][at]) for at in columns])
    yield r"\bottomrule"
    yield r"\end{tabular}%"


def _line(texts: Sequence[str]) -> str:
    return " & ".join(texts) + r" \\"


def _entry(cell: Cell) -> str:
    text = plain_text(cell)
    if cell.words or isinstance(cell.value, str):
        shown = rf"\parbox[t]{{16em}}{{\raggedright {escape(text)}}}" if len(text) > LONG else escape(text)
    else:
        shown = numbers(text)
    return rf"{{\bfseries\boldmath {shown}}}" if cell.mark == "best" else shown


def _below(notes: Sequence[str]) -> list[str]:
    """The notes under a table, as wide as the text."""
    return [
        r"\par\smallskip",
        r"\begin{minipage}{\linewidth}\footnotesize\raggedright",
        *(f"{escape(note)}\\par" for note in notes),
        r"\end{minipage}",
    ]
