"""Reports: neutral views of the results, and one file per output format."""

from bnbench.reports.formats import FORMATS, render
from bnbench.reports.options import Options
from bnbench.reports.terminal import print_views
from bnbench.reports.view import Cell, Column, ReportView, Table
from bnbench.reports.views import VIEWS, report

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
