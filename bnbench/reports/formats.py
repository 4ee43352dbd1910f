"""The output formats by name."""

from __future__ import annotations

from collections.abc import Callable

from bnbench.errors import InvalidRequest, nearest
from bnbench.reports.latex import render_latex
from bnbench.reports.markdown import render_markdown
from bnbench.reports.page import render_html
from bnbench.reports.terminal import render_terminal
from bnbench.reports.tidy import render_csv
from bnbench.reports.view import Report

FORMATS: dict[str, Callable[[Report], str]] = {
    "terminal": render_terminal,
    "markdown": render_markdown,
    "csv": render_csv,
    "latex": render_latex,
    "html": render_html,
}


def check_format(format: str) -> None:
    """Refuse a format that there is not.

    Raises:
        InvalidRequest: it is none of ``FORMATS``.
    """
    if format not in FORMATS:
        raise InvalidRequest([f"format {format!r}: there is no such format; {nearest(format, list(FORMATS))}"])


def render(report: Report, format: str = "terminal") -> str:
    """Write a report in a format.

    Raises:
        InvalidRequest: there is no such format.
    """
    check_format(format)
    return FORMATS[format](report)
