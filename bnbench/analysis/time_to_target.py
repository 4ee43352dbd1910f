"""Steps, epochs and examples until a run reaches a target; a run that never does counts as infinity.

The time to a target is right-censored: a run that missed it spent ``steps_done`` steps without reaching it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

UNITS = ("step", "epoch", "examples")
TOLERANCE = 1e-6
"""Far below one example; lets an accuracy stored in single precision reach the target it equals."""


@dataclass(frozen=True, slots=True)
class Times:
    """Times to one target over the seeds of a row.

    Attributes:
        hits: seeds that reached the target.
        n: seeds.
        median: per unit; infinite unless more than half of the seeds reached the target.
        low: the fastest seed, per unit.
        high: the slowest seed, per unit; infinite with a miss.
        spent: median steps with each miss at the steps it spent: a lower bound of the median steps to the target.
    """

    hits: int
    n: int
    median: dict[str, float]
    low: dict[str, float]
    high: dict[str, float]
    spent: float


def times_to_target(runs: pd.DataFrame, metrics: pd.DataFrame, target: float) -> dict[int, Times]:
    """Times of every row.

    Args:
        runs: ``run_id``, ``row`` and ``steps_done``.
        metrics: one line per evaluation: ``run_id``, ``step``, ``epoch``, ``examples`` and ``val_accuracy``.
        target: validation accuracy as a fraction; reached at the first evaluation that is not below it.
    """
    return dict(_rows(times_of_runs(runs, metrics, target)))


def times_of_runs(runs: pd.DataFrame, metrics: pd.DataFrame, target: float) -> pd.DataFrame:
    """Times of every run, and its ``row``: infinite for a miss; ``hit``, and ``spent``, the steps at its end or hit.

    Args:
        runs: as in :func:`times_to_target`, as are the others.
    """
    hits = metrics.loc[metrics["val_accuracy"] >= target - TOLERANCE, ["run_id", *UNITS]]
    first = hits.groupby("run_id", sort=False)[list(UNITS)].min().reindex(runs["run_id"]).astype(float)
    reached = first["step"].notna().to_numpy()
    times = first.fillna(np.inf).set_axis(runs.index, axis=0)
    spent = times["step"].where(reached, runs["steps_done"])
    return times.assign(row=runs["row"], spent=spent, hit=reached)


def _rows(times: pd.DataFrame) -> Iterator[tuple[int, Times]]:
    groups = times.groupby("row")
    units = list(UNITS)
    median, low, high = (_by_row(groups[[*units, "spent"]].agg(how)) for how in ("median", "min", "max"))
    counts = groups["hit"].agg(["sum", "count"])
    for row, hits, n in counts.itertuples():
        spent = float(median[row]["spent"])
        yield row, Times(int(hits), int(n), median[row], low[row], high[row], spent)


def _by_row(table: pd.DataFrame) -> dict[int, dict[str, float]]:
    lines = zip(table.index.tolist(), table.to_numpy().tolist(), strict=True)
    return {row: dict(zip(table.columns, line, strict=True)) for row, line in lines}
