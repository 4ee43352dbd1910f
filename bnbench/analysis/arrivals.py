"""Arrivals at a target: how many of the seeds of a row have reached it by a step.

A miss counts as never, also that of a run that diverged early, so shares are of all seeds: one less a survival curve.
"""

from __future__ import annotations

import pandas as pd

from bnbench.analysis.time_to_target import times_of_runs

COLUMNS = ["row", "step", "hits", "n", "misses"]


def arrivals(runs: pd.DataFrame, metrics: pd.DataFrame, target: float) -> pd.DataFrame:
    """A line per row and step at which seeds arrive, in order: ``hits`` so far, of ``n`` seeds.

    A row with ``misses`` has a last line with their number, at the most steps that one of its seeds spent; in other
    lines it is 0.

    Args:
        runs: ``run_id``, ``row`` and ``steps_done``.
        metrics: one line per evaluation.
        target: validation accuracy as a fraction.
    """
    times = times_of_runs(runs, metrics, target)
    seeds = times.groupby("row")["hit"].agg(n="size", reached="sum")
    there = times[times["hit"]].groupby(["row", "step"])["hit"].size().rename("new").reset_index()
    there = there.assign(hits=there.groupby("row")["new"].cumsum(), misses=0)
    spent = times.groupby("row")["spent"].max()
    missed = seeds[seeds["n"] > seeds["reached"]]
    ends = pd.DataFrame(
        {
            "row": missed.index,
            "step": spent.reindex(missed.index).to_numpy(),
            "hits": missed["reached"].to_numpy(),
            "misses": (missed["n"] - missed["reached"]).to_numpy(),
        }
    )
    lines = pd.concat([part[["row", "step", "hits", "misses"]] for part in (there, ends) if len(part)])
    lines = lines.assign(n=lines["row"].map(seeds["n"]))
    return lines[COLUMNS].sort_values(["row", "step", "misses"]).reset_index(drop=True)
