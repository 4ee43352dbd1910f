"""Norms that are other norms in the runs of a report, as notes."""

from __future__ import annotations

import pandas as pd

from bnbench.coincidences import sentences
from bnbench.reports.factors import head
from bnbench.reports.levels import canonical

READ = ("model", "model.width", "batch_size", "evaluate.statistics")
"""Columns beside the norm and its options on which it depends whether two norms are one."""


def coinciding_norms(runs: pd.DataFrame) -> tuple[str, ...]:
    """A sentence for each; nothing where the columns do not tell."""
    if runs.empty or "norm" not in runs.columns:
        return ()
    read = [name for name in runs.columns if head(name) == "norm" or name in READ]
    rows = runs[read].assign(total_steps=_steps(runs)).drop_duplicates().to_dict("records")
    levels = ({str(name): canonical(value) for name, value in row.items()} for row in rows)
    known = ({name: level for name, level in row.items() if level is not None} for row in levels)
    return tuple(f"{sentence}." for sentence in sentences(known))


def _steps(runs: pd.DataFrame) -> pd.Series[float]:
    """The steps that a run was to make: as it says, or as it made in its epochs."""
    missing = pd.Series(float("nan"), index=runs.index)
    asked = pd.to_numeric(runs["steps"], errors="coerce") if "steps" in runs.columns else missing
    done = pd.to_numeric(runs["steps_done"], errors="coerce") if "steps_done" in runs.columns else missing
    return asked.fillna(done.where(runs["status"] == "completed")).astype(float)
