"""The numbers of tables and figures as CSV files that the page can save."""

from __future__ import annotations

import csv
import io
import re

from bnbench.reports.plain import plain_text
from bnbench.reports.view import Report, Table


def downloads(report: Report) -> dict[str, dict[str, str]]:
    """By the key that the templates use, a file's name and its text."""
    files = {}
    for number, view in enumerate(report.views, 1):
        for at, table in enumerate(view.tables, 1):
            name = f"{_slug(view.title)}-{at}.csv"
            files[f"v{number}-t{at}"] = {"name": name, "text": _table(table)}
        for at, figure in enumerate(view.figures, 1):
            text = figure.data.to_csv(index=False, lineterminator="\n")
            files[f"v{number}-f{at}"] = {"name": f"{_slug(figure.name)}.csv", "text": text}
    return files


def _table(table: Table) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([column.title for column in table.columns])
    writer.writerows([plain_text(cell) for cell in row] for row in table.rows)
    return stream.getvalue()


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60] or "table"
