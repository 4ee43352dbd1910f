"""The formats of a figure's files."""

from __future__ import annotations

from collections.abc import Callable

from bnbench.figures.figure import Panel


def _svg(panel: Panel) -> bytes:
    from bnbench.figures.drawing import svg_file

    return svg_file(panel).encode()


def _pdf(panel: Panel) -> bytes:
    from bnbench.figures.drawing import pdf

    return pdf(panel)


def _png(panel: Panel) -> bytes:
    from bnbench.figures.drawing import png

    return png(panel)


KINDS: dict[str, Callable[[Panel], bytes]] = {"svg": _svg, "pdf": _pdf, "png": _png}
"""By the ending of a file's name, the function that draws a panel; what draws is imported when it is called."""
