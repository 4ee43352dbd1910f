"""The view of what probes measured inside runs: figures alone, and where the numbers are."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd

from bnbench.analysis import Options, read_trials, rows_at_best
from bnbench.figures import Drawn, Figure
from bnbench.reports.drawings import probe_figures
from bnbench.reports.view import ReportView
from bnbench.text import listing

TITLE = "Probes"
NOTE = "Measured inside the runs: {names}. The numbers are in probes.csv; figures: --figures FOLDER."


def probe_view(runs: pd.DataFrame, load: Callable[[], pd.DataFrame], options: Options) -> ReportView | None:
    """The figures of what was measured; None where no finished run was measured.

    Args:
        runs: one line per run.
        load: reads the numbers, as in probes.csv, once they are needed.
        options: the baseline comes first; rows are at their best learning rate or at all.
    """
    if runs.empty or "probes" not in runs.columns:
        return None
    trials = read_trials(runs, options.baseline)
    measured = runs[runs["run_id"].isin(trials.counted["run_id"])]["probes"].dropna().astype(str).unique()
    names = list(dict.fromkeys(name for text in measured for name in text.strip("[]").replace(",", " ").split()))
    if not names:
        return None

    def make() -> Mapping[str, Figure | str]:
        return probe_figures(rows_at_best(trials, options), load())

    return ReportView(TITLE, notes=(NOTE.format(names=listing(names)),), figures=Drawn(make))
