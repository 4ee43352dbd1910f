"""The look that all figures share: size, type, and the one colour of all that is no data."""

from __future__ import annotations

from typing import Any

INK = "#0b0c0e"
"""Stands for the colour of the text around a figure until it is drawn; no data has it."""
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Liberation Sans', Arial, sans-serif"
WIDTH, HEIGHT = 340, 210
"""Of the area inside the axes, in pixels."""

CONFIG: dict[str, Any] = {
    "font": FONT,
    "padding": {"left": 2, "top": 6, "right": 10, "bottom": 2},
    "aria": False,
    "background": None,
    "view": {"stroke": None, "continuousWidth": WIDTH, "continuousHeight": HEIGHT},
    "axis": {
        "domainColor": INK,
        "domainOpacity": 0.45,
        "tickColor": INK,
        "tickOpacity": 0.45,
        "tickSize": 4,
        "tickCount": 5,
        "labelFlush": False,
        "gridColor": INK,
        "gridOpacity": 0.11,
        "labelColor": INK,
        "labelFontSize": 11,
        "labelPadding": 4,
        "titleColor": INK,
        "titleFontSize": 11.5,
        "titleFontWeight": "normal",
        "titlePadding": 8,
    },
    "axisX": {"grid": False},
    "axisBand": {"domain": False, "ticks": False, "grid": False},
    "line": {"strokeWidth": 1.6, "strokeCap": "round"},
    "point": {"size": 34, "filled": True, "opacity": 1},
    "text": {"color": INK, "fontSize": 11},
    "rule": {"color": INK},
}
"""Vega-Lite's settings."""
