"""A report for notebooks and scripts: it prints as text, shows itself, and hands out its numbers and figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from bnbench.reports.figure_display import FigureDisplay, figure_of, figures_of
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

    def to_frame(self) -> pd.DataFrame:
        """The numbers as a tidy table: see :func:`bnbench.reports.tidy.tidy`."""
        return tidy(self.report)

    @property
    def figures(self) -> dict[str, FigureDisplay]:
        """The figures by name, as far as there is something to draw."""
        return figures_of(self.report)

    def figure(self, name: str) -> FigureDisplay:
        """One figure, as ``figure("learning-rates")``; it shows itself in a notebook, and has ``save(path)``.

        Raises:
            InvalidRequest: there is none of this name; the message says why, or which there are.
        """
        return figure_of(self.report, name)
