"""The drawings of a report's figures as SVG that stands in the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bnbench.reports.view import Report

if TYPE_CHECKING:  # slow to import
    from markupsafe import Markup


def pictures(report: Report) -> dict[str, Markup]:
    """By the key that the templates use (view, figure, panel), an SVG element."""
    panels = {
        f"v{number}-f{at}-p{place}": panel
        for number, view in enumerate(report.views, 1)
        for at, figure in enumerate(view.figures, 1)
        for place, panel in enumerate(figure.panels, 1)
    }
    if not panels:
        return {}
    from markupsafe import Markup

    from bnbench.figures.drawing import svg

    return {key: Markup(svg(panel)) for key, panel in panels.items()}
