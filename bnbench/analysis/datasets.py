"""The data that the runs of a table were trained on, told apart by their fingerprint, not by where they were."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from bnbench.schema import built_in
from bnbench.store import data_versions

PATH, DATA, BEGUN = "dataset.path", "data", "started_at"


@dataclass(frozen=True, slots=True)
class ChangedData:
    """A place whose data have changed between runs.

    Attributes:
        place: ``dataset.path=photos``, or ``dataset=mnist`` where there is no path.
        since: when the first run began, by fingerprint of the data, oldest first.
        newest: the fingerprint that was trained on last.
    """

    place: str
    since: dict[str, str]
    newest: str


def with_one_path(runs: pd.DataFrame) -> pd.DataFrame:
    """The same runs with one path for equal data: that of the first run that was trained on them."""
    if not {PATH, DATA} <= {*runs.columns}:
        return runs
    known = runs[DATA].notna() & runs[PATH].notna()
    first = runs[known].groupby(DATA, sort=False)[PATH].transform("first")
    return runs.assign(**{PATH: first.reindex(runs.index).where(known, runs[PATH])})


def without_fingerprint(runs: pd.DataFrame) -> int:
    """The number of runs on a user's own files of which nobody knows what these held."""
    if "dataset" not in runs.columns:
        return 0
    unknown = runs["dataset"].isin([name for name, facts in built_in().datasets.items() if facts.files == "own"])
    if DATA in runs.columns:
        unknown &= runs[DATA].isna()
    return int(unknown.sum())


def changed_data(runs: pd.DataFrame) -> Iterator[ChangedData]:
    """The places whose data have changed: their versions by age, and the one that was trained on last."""
    if not {"dataset", DATA, BEGUN} <= {*runs.columns}:
        return
    runs = with_one_path(runs)
    runs = runs[runs[DATA].notna() & runs[BEGUN].notna()]
    paths = runs[PATH].astype(object).where(runs[PATH].notna(), "") if PATH in runs.columns else ""
    for (name, path), beside in runs.assign(**{PATH: paths}).groupby(["dataset", PATH], sort=False):
        begun = beside[[DATA, BEGUN]].astype(str)
        since = data_versions(begun.itertuples(index=False, name=None))
        if len(since) > 1:
            place = f"{PATH}={path}" if path else f"dataset={name}"
            yield ChangedData(place, since, begun.sort_values([BEGUN, DATA])[DATA].iloc[-1])
