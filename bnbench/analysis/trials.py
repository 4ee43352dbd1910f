"""The runs of a report, each once, with their factors as codes and their outcomes as scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bnbench.analysis.datasets import with_one_path
from bnbench.analysis.factors import spec_columns
from bnbench.analysis.levels import Level, encode

RESULT_STATUSES = ("completed", "diverged")
SUPERSEDED = "trained again by a later version"
NEEDED = ("seed", "lr", "batch_size", "dataset")


@dataclass(frozen=True, slots=True)
class Trials:
    """Runs ready for aggregation.

    Attributes:
        frame: one row per run: ``run_id``, ``status``, ``counted`` (a result: completed or diverged), ``diverged``,
            ``val`` and ``test`` (final accuracy; a diverged run scores at ``chance``, one over the classes),
            ``val_loss`` (final, in nats; that of a diverged run is of guesses by chance),
            ``steps_done``, and an integer code per spec column.
        levels: what the codes of each spec column stand for, in natural order.
    """

    frame: pd.DataFrame
    levels: Mapping[str, tuple[Level, ...]]

    @property
    def columns(self) -> list[str]:
        """The spec columns."""
        return list(self.levels)

    @property
    def counted(self) -> pd.DataFrame:
        """The runs that are results."""
        return self.frame[self.frame["counted"]]


def read_trials(runs: pd.DataFrame, first: Mapping[str, Level] | None = None) -> Trials:
    """Take over a table of runs; levels in ``first`` (the baseline's) come ahead of the natural order."""
    first = {name: level for name, level in (first or {}).items() if name not in ("lr", "batch_size")}
    runs = with_one_path(_each_run_once(runs))
    names = spec_columns([*runs.columns, *(name for name in NEEDED if name not in runs.columns)])
    columns, levels = {}, {}
    for name in names:
        column = runs[name] if name in runs.columns else pd.Series(None, index=runs.index, dtype=object)
        columns[name], levels[name] = encode(column, [first[name]] if name in first else [])
    outcomes = _outcomes(runs, columns["dataset"])
    return Trials(_newest(pd.DataFrame({**outcomes, **columns}), names), levels)


def _newest(frame: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Count one result per configuration: a program in which it means other numbers trains it again, under a new id."""
    older = frame["counted"] & frame[frame["counted"]].duplicated(names, keep="last").reindex(
        frame.index, fill_value=False
    )
    return frame.assign(counted=frame["counted"] & ~older, status=frame["status"].mask(older, SUPERSEDED))


def _each_run_once(runs: pd.DataFrame) -> pd.DataFrame:
    """Keep one row per run_id, a result if there is one; sweeps that share a run become one sweep."""
    if not runs["run_id"].duplicated().any():
        return runs.reset_index(drop=True)
    if "sweep" in runs.columns:
        runs = runs.assign(sweep=runs["sweep"].map(_joined_sweeps(runs)))
    unfinished = ~runs["status"].isin(RESULT_STATUSES).to_numpy()
    once = runs.iloc[np.argsort(unfinished, kind="stable")].drop_duplicates("run_id")
    return once.sort_index().reset_index(drop=True) if runs.index.is_unique else once.reset_index(drop=True)


def _joined_sweeps(runs: pd.DataFrame) -> dict[object, str]:
    groups: list[list[object]] = [[name] for name in runs["sweep"].unique()]
    repeated = runs[runs["run_id"].duplicated(keep=False)]
    for together in {tuple(names) for names in repeated.groupby("run_id", sort=False)["sweep"].unique()}:
        touched = [group for group in groups if set(group) & set(together)]
        groups = [group for group in groups if group not in touched]
        groups.append([name for group in touched for name in group])
    return {name: " + ".join(sorted(map(str, group))) for group in groups for name in group}


def _outcomes(runs: pd.DataFrame, dataset: NDArray[np.int64]) -> dict[str, pd.Series[Any]]:
    status = runs["status"].astype(str)
    diverged = status == "diverged"
    classes = _numbers(runs, "classes")
    chance = (1 / classes.fillna(classes.groupby(dataset).transform("max"))).fillna(0.0)
    val = _numbers(runs, "val_accuracy").mask(diverged, chance)
    return {
        "run_id": runs["run_id"],
        "status": status,
        "counted": status.isin(RESULT_STATUSES) & val.notna(),
        "diverged": diverged,
        "val": val,
        "test": _numbers(runs, "test_accuracy").mask(diverged, chance),
        "val_loss": _numbers(runs, "val_loss").mask(diverged, -np.log(chance.where(chance > 0))),
        "steps_done": _numbers(runs, "steps_done"),
        "chance": chance,
    }


def _numbers(runs: pd.DataFrame, name: str) -> pd.Series[float]:
    if name not in runs.columns:
        return pd.Series(np.nan, index=runs.index, dtype=float)
    return pd.to_numeric(runs[name], errors="coerce").astype(float)


def uncounted(trials: Trials) -> dict[str, int]:
    """Numbers of runs that are not results, by the reason: a status, or that there is no validation accuracy."""
    rest = trials.frame[~trials.frame["counted"]]
    reasons = rest["status"].where(~rest["status"].isin(RESULT_STATUSES), "without validation accuracy")
    return {str(reason): int(number) for reason, number in reasons.value_counts(sort=False).items()}
