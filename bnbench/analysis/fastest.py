"""The fastest of the rows that are compared with each other."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from bnbench.analysis.factors import head
from bnbench.analysis.rows import Rows
from bnbench.analysis.time_to_target import Times

TASK = ("dataset", "data", "model", "batch_size")
"""Rows that have these and their options in common are compared."""


def fastest_rows(rows: Rows, times: Mapping[int, Times], unstable: pd.Series[bool]) -> set[int]:
    """The rows with the fewest median steps among the stable ones of their task, if it has several rows.

    Args:
        rows: all of them.
        times: of every row with results.
        unstable: by row with results, that its seeds disagree on whether it diverges.
    """
    keys = rows.keys
    task = [name for name in rows.trials.columns if head(name) in TASK]
    steps = pd.Series({row: one.median["step"] for row, one in times.items()}, dtype=float).reindex(keys.index)
    steps = steps.mask(unstable.reindex(keys.index, fill_value=False), math.inf)
    groups = steps.groupby([keys[name] for name in task])
    best = (steps == groups.transform("min")) & (steps < math.inf) & (groups.transform("size") > 1)
    return {int(row) for row in keys.index[best]}
