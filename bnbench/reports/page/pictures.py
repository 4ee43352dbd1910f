"""The drawings of a report's figures as SVG that stands in the page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bnbench.figures import Figure
from bnbench.reports.view import Report

if TYPE_CHECKING:  # slow to import
    from markupsafe import Markup

WIDE = 480
"""Pixels from which a drawing has a row of the page to itself: beside another its words would be too small to read."""
_WIDTH = re.compile(r'<svg\b[^>]*? width="([\d.]+)"')


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


def is_wide(picture: str) -> bool:
    """True for an SVG that is to have a row of its own."""
    width = _WIDTH.match(picture)
    return width is not None and float(width[1]) > WIDE
