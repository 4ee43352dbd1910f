"""The runs of a study as the store holds them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bnbench import store
from bnbench.analysis import read_trials
from bnbench.study.measure import Tables


def read_tables(folder: Path, table: pd.DataFrame) -> Tables:
    """The results of the runs in a table of trials.

    Args:
        folder: of the study's sweep.
        table: ``arm``, ``cell``, ``pair``, ``lr``, ``refined`` and ``run_id``; a line per use of a run.
    """
    runs, metrics = store.load_sweeps([folder])
    names = set(table["run_id"])
    runs = runs[runs["run_id"].isin(names)]
    outcomes = read_trials(runs).frame[["run_id", "counted", "diverged", "val", "test", "chance", "steps_done"]]
    probes = store.load_probes(folder)
    return Tables(
        table.merge(outcomes, on="run_id"),
        metrics[metrics["run_id"].isin(names)],
        probes[probes["run_id"].isin(names)],
    )
