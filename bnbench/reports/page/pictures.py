"""The drawings of a report's figures as SVG that stands in the page."""

from __future__ import annotations

import json

from bnbench.reports.view import Report


def pictures(report: Report) -> dict[str, str]:
    """By the key that the templates use (view, figure, panel), an SVG element."""
    panels = {
        f"v{number}-f{at}-p{place}": panel
        for number, view in enumerate(report.views, 1)
        for at, figure in enumerate(view.figures, 1)
        for place, panel in enumerate(figure.panels, 1)
    }
    if not panels:
        return {}
    import vl_convert
    from markupsafe import Markup

    return {key: Markup(vl_convert.vegalite_to_svg(json.dumps(panel.chart))) for key, panel in panels.items()}
