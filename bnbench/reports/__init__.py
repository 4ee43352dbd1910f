"""Reports: neutral views of the results, and one file per output format. The numbers are those of analysis."""

from bnbench.analysis import Options
from bnbench.reports.formats import FORMATS, render
from bnbench.reports.plain import plain_text
from bnbench.reports.terminal import print_report
from bnbench.reports.view import Cell, Column, Report, ReportView, Table
from bnbench.reports.views import VIEWS, report

__all__ = [
    "FORMATS",
    "VIEWS",
    "Cell",
    "Column",
    "Options",
    "Report",
    "ReportView",
    "Table",
    "plain_text",
    "print_report",
    "render",
    "report",
]
