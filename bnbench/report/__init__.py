"""Reports: neutral views of the results, and one file per output format."""

from bnbench.report.formats import FORMATS, render
from bnbench.report.options import Options
from bnbench.report.terminal import print_views
from bnbench.report.view import Cell, Column, ReportView, Table
from bnbench.report.views import VIEWS, report

__all__ = [
    "FORMATS",
    "VIEWS",
    "Cell",
    "Column",
    "Options",
    "ReportView",
    "Table",
    "print_views",
    "render",
    "report",
]
