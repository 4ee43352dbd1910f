"""The results that a view rests on, or the reason why there are none."""

from __future__ import annotations

import pandas as pd

from bnbench.analysis import Options, Trials, read_trials
from bnbench.analysis.levels import level_text
from bnbench.reports.notes import uncounted_notes
from bnbench.reports.view import ReportView


def results(title: str, runs: pd.DataFrame, options: Options, swept: str = "") -> Trials | ReportView:
    """The trials of a table of runs, or the view that says why there is nothing to show.

    Args:
        title: of the view.
        runs: one line per run.
        options: the baseline comes first among the levels.
        swept: the column of which finished runs must have two levels; empty where one is enough.
    """
    if runs.empty:
        return ReportView(title, notes=("There are no runs.",))
    trials = read_trials(runs, options.baseline)
    if trials.counted.empty:
        return ReportView(title, notes=("No run has finished.", *uncounted_notes(trials)))
    if swept and trials.counted[swept].nunique() < 2:
        only = level_text(trials.levels[swept][int(trials.counted[swept].iloc[0])])
        return ReportView(title, notes=(f"All finished runs have {swept}={only}; sweep {swept} to see its effect.",))
    return trials
