"""The output formats by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bnbench.errors import InvalidRequest, nearest
from bnbench.reports.markdown import render_markdown
from bnbench.reports.terminal import render_terminal
from bnbench.reports.view import ReportView

FORMATS: dict[str, Callable[[Sequence[ReportView]], str]] = {
    "terminal": render_terminal,
    "markdown": render_markdown,
}


def render(views: Sequence[ReportView], format: str = "terminal") -> str:
    """Write views in a format.

    Raises:
        InvalidRequest: there is no such format.
    """
    if format not in FORMATS:
        raise InvalidRequest([f"format {format!r}: there is no such format; {nearest(format, list(FORMATS))}"])
    return FORMATS[format](views)
