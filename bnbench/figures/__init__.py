"""Figures of the numbers of analysis, described in Vega-Lite, and how they are drawn."""

from bnbench.figures.drawn import Drawn, reasons
from bnbench.figures.figure import Figure, Panel

__all__ = ["Drawn", "Figure", "Panel", "reasons"]
