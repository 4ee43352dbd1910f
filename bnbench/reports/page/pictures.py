"""The drawings of a report's figures as SVG that stands in the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bnbench.figures import Figure
from bnbench.reports.view import Report

if TYPE_CHECKING:  # slow to import
    from markupsafe import Markup


def pictures(report: Report) -> dict[str, Markup]:
    """By the key that the templates use (view, figure, panel), an SVG element."""
    figures = {
        f"v{number}-f{at}": figure
        for number, view in enumerate(report.views, 1)
        for at, figure in enumerate(view.figures, 1)
    }
    return {key: picture for place, figure in figures.items() for key, picture in panel_pictures(figure, place).items()}


def panel_pictures(figure: Figure, place: str) -> dict[str, Markup]:
    """By the key of a figure and the number of a panel in it, an SVG element."""
    from markupsafe import Markup

    from bnbench.figures.drawing import svg

    return {f"{place}-p{number}": Markup(svg(panel)) for number, panel in enumerate(figure.panels, 1)}
