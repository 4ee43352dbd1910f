"""The numbers of tables and figures as CSV files that the page can save; packed, as many are never asked for."""

from __future__ import annotations

import base64
import gzip
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from bnbench.reports.tidy import safe_csv, tidy
from bnbench.reports.view import Report

if TYPE_CHECKING:  # slow to import
    import pandas as pd


def downloads(report: Report) -> dict[str, dict[str, str]]:
    """By the key that the templates use (view, table or figure), a file's name and its text, packed."""
    files = {}
    for number, view in enumerate(report.views, 1):
        for at, table in enumerate(view.tables, 1):
            alone = replace(report, views=(replace(view, tables=(table,)),))
            files[f"v{number}-t{at}"] = {"name": f"{_slug(view.title)}-{at}.csv", "gzip": _packed(tidy(alone))}
        for at, figure in enumerate(view.figures, 1):
            files[f"v{number}-f{at}"] = {"name": f"{_slug(figure.name)}.csv", "gzip": _packed(figure.data)}
    return files


def _packed(frame: pd.DataFrame) -> str:
    """A table as CSV that no spreadsheet executes, by gzip, in base64."""
    return base64.b64encode(gzip.compress(safe_csv(frame)[0].encode(), mtime=0)).decode()


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60] or "table"
