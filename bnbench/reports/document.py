"""A report for notebooks and scripts: it prints as text, and hands out its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from bnbench.errors import InvalidRequest, nearest
from bnbench.figures import Figure, reasons
from bnbench.reports.formats import render
from bnbench.reports.page import render_fragment
from bnbench.reports.tidy import tidy
from bnbench.reports.view import Report

if TYPE_CHECKING:
    import pandas as pd


@final
@dataclass(frozen=True, repr=False)
class Document:
    """A report that prints in a format.

    Attributes:
        report: all that it says.
        format: in ``FORMATS``.
    """

    report: Report
    format: str = "terminal"

    def __str__(self) -> str:
        return render(self.report, self.format)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        """The report as a part of a notebook."""
        return render_fragment(self.report)

    def figure(self, name: str) -> Figure:
        """A figure by its name, such as ``learning-curves``: its panels in Vega-Lite, and its numbers as a table.

        Raises:
            InvalidRequest: there is no such figure; the message says which there are, or why it has nothing to show.
        """
        there = {figure.name: figure for view in self.report.views for figure in view.figures}
        if name not in there:
            told = [reason for view in self.report.views for reason in reasons(view.figures) if f" {name}:" in reason]
            raise InvalidRequest(told or [f"figure {name!r}: there is no such figure; {nearest(name, list(there))}"])
        return there[name]

    def to_frame(self) -> pd.DataFrame:
        """The numbers as a tidy table: see :func:`bnbench.reports.tidy.tidy`."""
        return tidy(self.report)
