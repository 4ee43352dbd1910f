"""A report as one HTML page that needs nothing else, and as a fragment for notebooks."""

from bnbench.reports.page.document import PageOptions, render_figure, render_fragment, render_html
from bnbench.reports.page.run_table import MOST_RUNS

__all__ = ["MOST_RUNS", "PageOptions", "render_figure", "render_fragment", "render_html"]
