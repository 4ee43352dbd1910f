"""The rows of a table of runs, each at its own best learning rate."""

from __future__ import annotations

from typing import Any, NamedTuple

import pandas as pd

from bnbench.analysis.lr_choice import LearningRateChoice, best_lr, keep_best
from bnbench.analysis.options import Options
from bnbench.analysis.rows import Rows, sort_into_rows
from bnbench.analysis.trials import Trials


class RowsAtBest(NamedTuple):
    """Rows, and the results that they are shown by.

    Attributes:
        rows: all of them.
        choices: the learning rate of each row; None where none was chosen.
        runs: the results at the learning rate of their row.
    """

    rows: Rows
    choices: dict[Any, LearningRateChoice] | None
    runs: pd.DataFrame


def rows_at_best(trials: Trials, options: Options) -> RowsAtBest:
    """Sort runs into rows and choose the learning rate of each, unless all rates are asked for.

    Args:
        trials: at least one of them a result.
    """
    rows = sort_into_rows(trials, aside=() if options.lr == "all" else ("lr",))
    counted = rows.trials.counted
    tuned = options.lr == "best" and len(rows.trials.levels["lr"]) > 1
    choices = best_lr(counted, ["row"], stable_first=True) if tuned else None
    return RowsAtBest(rows, choices, counted if choices is None else keep_best(counted, choices, ["row"]))
