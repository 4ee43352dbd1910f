"""The numbers of tables and figures as CSV files that the page can save."""

from __future__ import annotations

import re
from dataclasses import replace

from bnbench.reports.tidy import safe_csv, tidy
from bnbench.reports.view import Report


def downloads(report: Report) -> dict[str, dict[str, str]]:
    """By the key that the templates use (view, table or figure), a file's name and its text."""
    files = {}
    for number, view in enumerate(report.views, 1):
        for at, table in enumerate(view.tables, 1):
            alone = replace(report, views=(replace(view, tables=(table,)),))
            files[f"v{number}-t{at}"] = {"name": f"{_slug(view.title)}-{at}.csv", "text": safe_csv(tidy(alone))[0]}
        for at, figure in enumerate(view.figures, 1):
            files[f"v{number}-f{at}"] = {"name": f"{_slug(figure.name)}.csv", "text": safe_csv(figure.data)[0]}
    return files


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60] or "table"
