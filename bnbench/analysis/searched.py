"""Runs that were trials of a search, and the settings that it chose."""

from __future__ import annotations

import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from bnbench.analysis.factors import spec_columns

SEEDS = ("seed", "split.seed")


def stopped(runs: pd.DataFrame) -> int:
    """How many runs stopped at a rung of successive halving: they are no results."""
    return int((runs["status"] == "stopped").sum()) if "status" in runs.columns else 0


def searched(runs: pd.DataFrame) -> tuple[int, list[str]]:
    """How many runs were planned for a trial of a search, and the columns that it chose, as far as they can be told.

    Such a column holds numbers, has one value in each trial of otherwise equal names, and several over the trials.
    """
    if "trial" not in runs.columns or not (trials := runs[runs["trial"].notna()].reset_index(drop=True)).size:
        return 0, []
    columns = [name for name in spec_columns(trials.columns) if name not in (*SEEDS, "sweep")]
    numbers = [name for name in columns if is_numeric_dtype(trials[name]) and not is_bool_dtype(trials[name])]
    names = trials[[name for name in columns if name not in numbers]].astype(object)
    arm = pd.Series(
        pd.factorize(names.where(names.notna(), "").map(str).agg("\n".join, axis=1))[0] if names.size else 0,
        index=trials.index,
    )
    place = [arm, trials["trial"], *([trials["sweep"]] if "sweep" in trials.columns else [])]
    chosen = [
        name
        for name in numbers
        if trials[name].groupby(arm).nunique().max() > 1 and trials[name].groupby(place).nunique().max() == 1
    ]
    return len(trials), chosen
