"""The output formats by name."""

from __future__ import annotations

from collections.abc import Callable

from bnbench.errors import InvalidRequest, nearest
from bnbench.reports.markdown import render_markdown
from bnbench.reports.page import render_html
from bnbench.reports.terminal import render_terminal
from bnbench.reports.view import Report

FORMATS: dict[str, Callable[[Report], str]] = {
    "terminal": render_terminal,
    "markdown": render_markdown,
    "html": render_html,
}


def render(report: Report, format: str = "terminal") -> str:
    """Write a report in a format.

    Raises:
        InvalidRequest: there is no such format.
    """
    if format not in FORMATS:
        raise InvalidRequest([f"format {format!r}: there is no such format; {nearest(format, list(FORMATS))}"])
    return FORMATS[format](report)
