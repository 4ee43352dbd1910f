"""What the runs of a report were trained on: data are told apart by their fingerprint, not by where they were."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from bnbench.reports.wording import listing
from bnbench.text import plural

PATH, DATA, BEGUN = "dataset.path", "data", "started_at"
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


def changed_data(runs: pd.DataFrame) -> Iterator[str]:
    """A note on each place of which the data have changed: which are older, and which were trained on last."""
    if not {"dataset", DATA, BEGUN} <= {*runs.columns}:
        return
    runs = with_one_path(runs)
    runs = runs[runs[DATA].notna() & runs[BEGUN].notna()]
    paths = runs[PATH].astype(object).where(runs[PATH].notna(), "") if PATH in runs.columns else ""
    for (name, path), beside in runs.assign(**{PATH: paths}).groupby(["dataset", PATH], sort=False):
        begun = beside.astype({BEGUN: str}).groupby(DATA)[BEGUN]
        first, last = begun.min().sort_values(kind="stable"), begun.max().sort_values(kind="stable").index[-1]
        if len(first) > 1:
            told = [f"{data} (since {at}{', trained on last' if data == last else ''})" for data, at in first.items()]
            where = f"{PATH}={path}" if path else f"dataset={name}"
            yield f"{where} has changed, and its runs are told apart by what it held: {listing(told)}."
