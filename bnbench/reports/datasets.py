"""What the runs of a report were trained on: data are told apart by their fingerprint, not by where they were."""

from __future__ import annotations

import pandas as pd

from bnbench.wording import plural

PATH, DATA = "dataset.path", "data"
WITH_FILES = ("imagefolder", "npz")
"""Datasets of a user's own files, which have had a fingerprint since there are any."""


def with_one_path(runs: pd.DataFrame) -> pd.DataFrame:
    """The same runs with one path for equal data: that of the first run that was trained on them."""
    if not {PATH, DATA} <= {*runs.columns}:
        return runs
    known = runs[DATA].notna() & runs[PATH].notna()
    first = runs[known].groupby(DATA, sort=False)[PATH].transform("first")
    return runs.assign(**{PATH: first.reindex(runs.index).where(known, runs[PATH])})


def without_fingerprint(runs: pd.DataFrame) -> tuple[str, ...]:
    """A note on runs of which nobody knows what their files held."""
    if "dataset" not in runs.columns:
        return ()
    unknown = runs["dataset"].isin(WITH_FILES)
    if DATA in runs.columns:
        unknown &= runs[DATA].isna()
    count = int(unknown.sum())
    said = "by an earlier version: nothing says that they were trained on the same data"
    return (f"{plural(count, 'run')} without a fingerprint of the data, {said}.",) if count else ()
