"""The settings of runs on which it depends whether a norm is another one."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from bnbench.analysis.factors import head
from bnbench.analysis.levels import Level, canonical

READ = ("model", "model.width", "batch_size", "evaluate.statistics", "freeze_statistics")
"""Columns beside the norm and its options on which it depends whether two norms are one."""


def norm_settings(runs: pd.DataFrame) -> Iterator[dict[str, Level]]:
    """The distinct settings of some runs as :mod:`bnbench.coincidences` reads them; nothing where there is no norm."""
    if runs.empty or "norm" not in runs.columns:
        return
    read = [name for name in runs.columns if head(name) == "norm" or name in READ]
    for row in runs[read].assign(total_steps=_steps(runs)).drop_duplicates().to_dict("records"):
        levels = {str(name): canonical(value) for name, value in row.items()}
        yield {name: level for name, level in levels.items() if level is not None}


def _steps(runs: pd.DataFrame) -> pd.Series[float]:
    """The steps that a run was to make: as it says, or as it made in its epochs."""
    missing = pd.Series(float("nan"), index=runs.index)
    steps = pd.to_numeric(runs["steps"], errors="coerce") if "steps" in runs.columns else missing
    done = pd.to_numeric(runs["steps_done"], errors="coerce") if "steps_done" in runs.columns else missing
    return steps.fillna(done.where(runs["status"] == "completed")).astype(float)
