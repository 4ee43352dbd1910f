"""Reports: neutral views of the results, and one file per output format. The numbers are those of analysis."""

from bnbench.analysis import Options
from bnbench.reports.document import Document
from bnbench.reports.formats import FORMATS, check_format, render
from bnbench.reports.plain import plain_text
from bnbench.reports.sweeps import report_sweeps
from bnbench.reports.terminal import print_report
from bnbench.reports.tidy import tidy
from bnbench.reports.view import Cell, Column, Listing, Report, ReportView, Table
from bnbench.reports.views import VIEWS, report

__all__ = [
    "FORMATS",
    "VIEWS",
    "Cell",
    "Column",
    "Document",
    "Listing",
    "Options",
    "Report",
    "ReportView",
    "Table",
    "check_format",
    "plain_text",
    "print_report",
    "render",
    "report",
    "report_sweeps",
    "tidy",
]
