"""Figures of the numbers of analysis, described in Vega-Lite, and how they are drawn."""

from bnbench.figures.figure import Figure, Panel

__all__ = ["Figure", "Panel"]
